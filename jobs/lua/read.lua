-- Jobs as they stand, with the work that each waits for: per id {job fields, fields of the work that runs or waits,
-- place in its queue or -1, the work's usual seconds or '', its queue's {workers, busy ones, seconds per work or ''}}.
-- Works ahead of a job count, its own included. An unknown id answers an empty job.
-- Touches P:job:<id>, P:work:<key>, P:queued:<queue>, P:pace:<what>, P:workers, P:worker:<worker>, P:owns:<worker>;
-- writes nothing.

local function read(name)
  local flat, map = redis.call('HGETALL', name), {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return flat, map
end

local function pace_of(what) return redis.call('GET', P .. ':pace:' .. what) or '' end

local lines = {}
local function line_of(queue)
  if lines[queue] then return lines[queue] end
  local workers, busy = 0, 0
  for _, worker in ipairs(redis.call('ZRANGE', P .. ':workers', 0, -1)) do
    if get(P .. ':worker:' .. worker, 'queue') == queue then
      workers = workers + 1
      busy = busy + redis.call('EXISTS', P .. ':owns:' .. worker)
    end
  end
  lines[queue] = {workers, busy, pace_of(queue)}
  return lines[queue]
end

local answer = {}
for i, id in ipairs(a.ids) do
  local told, job = read(P .. ':job:' .. id)
  local work, place, usual, line = {}, -1, '', {0, 0, ''}
  if job.status == 'queued' then
    local key = job.rendition
    if get(work_name(key), 'status') == 'blocked' then key = job.generation end
    local fields
    work, fields = read(work_name(key))
    if fields.queue then
      place = redis.call('ZRANK', P .. ':queued:' .. fields.queue, key) or -1
      if fields.pace then usual = pace_of(fields.pace) end
      if fields.status == 'queued' then line = line_of(fields.queue) end
    end
  end
  answer[i] = {told, work, place, usual, line}
end
return {NOW_S, answer}
