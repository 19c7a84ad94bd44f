-- The mesh is in the archive. Hands every waiting rendition to this worker, while the mesh is hot; answers their
-- fields, flattened, one list each with the key first; or 'stale'.
-- Touches P:work:<key>*, P:work:<part>, P:owns:<worker>, P:pace*, P:counters, P:token, P:changes,
-- P:seconds:generate:<generator>.

if not holds(a.key, a.token) then return 'stale' end
local name = work_name(a.key)
local started, attempts = get(name, 'started_at'), get(name, 'attempts')
local task_id, owner, generator = get(name, 'task_id'), get(name, 'owner'), get(name, 'generator')
local handed = {}
for _, part in ipairs(redis.call('SMEMBERS', name .. ':parts')) do
  local token = new_token(owner)
  redis.call('HSET', work_name(part), 'status', 'running', 'owner', owner, 'token', token, 'started_at', started,
    'attempts', attempts, 'inherited', attempts - 1, 'task_id', task_id, 'cache', a.cache, 'timings', a.timings,
    'stage', 'render', 'progress', '90')
  redis.call('SADD', P .. ':owns:' .. owner, part)
  handed[#handed + 1] = redis.call('HGETALL', work_name(part))
  table.insert(handed[#handed], 1, part)
end
redis.call('HINCRBY', P .. ':counters', 'generation:' .. a.cache, 1)
if a.cache == 'MISS' then
  local before = tonumber(get(P .. ':pace', generator))
  local pace = before and (0.7 * before + 0.3 * a.generate_s) or a.generate_s
  redis.call('HSET', P .. ':pace', generator, string.format('%.4f', pace))
  note_pace(get(name, 'queue'), a.generate_s)
  if get(name, 'pace') ~= '' then note_pace(get(name, 'pace'), a.generate_s) end
  observe('generate:' .. generator, a.generate_s)
end
drop_work(a.key)
for _, part in ipairs(handed) do announce_work(part[1]) end
return handed
