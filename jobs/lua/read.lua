-- Jobs as they stand, with the work that each waits for: per id {job fields, fields of the work that runs or waits,
-- place in its queue or -1, works ahead of it included}. An unknown id answers an empty job.
-- Touches P:job:<id>, P:work:<key>, P:queued:<queue>, P:pace; writes nothing.

local answer = {}
for i, id in ipairs(a.ids) do
  local job = redis.call('HGETALL', P .. ':job:' .. id)
  local map = {}
  for j = 1, #job, 2 do map[job[j]] = job[j + 1] end
  local work, place, pace = {}, -1, false
  if map.status == 'queued' then
    local key = map.rendition
    if get(work_name(key), 'status') == 'blocked' then key = map.generation end
    work = redis.call('HGETALL', work_name(key))
    place = redis.call('ZRANK', P .. ':queued:' .. get(work_name(key), 'queue'), key) or -1
    pace = redis.call('HGET', P .. ':pace', map.generator)
  end
  answer[i] = {job, work, place, pace or ''}
end
return answer
