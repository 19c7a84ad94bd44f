-- The mesh is in the archive. Hands waiting renditions to this worker while the mesh is hot, at most a.hand_over; what
-- is beyond goes to the render queue, in steps. Answers {1 when such steps are left, the renditions' fields, flattened,
-- one list each with the key first…}, or 'stale'.
-- Touches P:work:<key>*, P:work:<part>, P:owns:<worker>, P:ending, P:pace*, P:counters, P:token, P:changes,
-- P:seconds:generate:<generator>.

if not holds(a.key, a.token) then return 'stale' end
local name = work_name(a.key)
local work = fields_of(name)
local handed = {}
for _, part in ipairs(redis.call('SPOP', name .. ':parts', a.hand_over)) do
  local token = new_token(work.owner)
  redis.call('HSET', work_name(part), 'status', 'running', 'owner', work.owner, 'token', token,
    'started_at', work.started_at, 'attempts', work.attempts, 'inherited', work.attempts - 1,
    'task_id', work.task_id, 'cache', a.cache, 'timings', a.timings, 'stage', 'render', 'progress', '90')
  redis.call('SADD', P .. ':owns:' .. work.owner, part)
  handed[#handed + 1] = redis.call('HGETALL', work_name(part))
  table.insert(handed[#handed], 1, part)
end
redis.call('HINCRBY', P .. ':counters', 'generation:' .. a.cache, 1)
if a.cache == 'MISS' then
  local before = tonumber(get(P .. ':pace', work.generator))
  local pace = before and (0.7 * before + 0.3 * a.generate_s) or a.generate_s
  redis.call('HSET', P .. ':pace', work.generator, string.format('%.4f', pace))
  note_pace(work.queue, a.generate_s)
  if (work.pace or '') ~= '' then note_pace(work.pace, a.generate_s) end
  observe('generate:' .. work.generator, a.generate_s)
end
local left = redis.call('SCARD', name .. ':parts') > 0
if left then
  begin_ending(a.key, 'made', {served = a.cache, timings = a.timings})
  step_again(a.key, STEP_LEASE_MS)
else
  drop_work(a.key)
end
for _, part in ipairs(handed) do announce_work(part[1]) end
table.insert(handed, 1, left and 1 or 0)
return handed
