-- A worker begins: queued work becomes its own, under a new fencing token. Answers the work's fields, or nothing
-- when there is no such work or somebody else has it: a message is a hint only. `task_id` is that of the message.
-- Touches P:work:<key>, P:queued:<queue>, P:sent:<queue>, P:due, P:owns:<worker>, P:worker:<worker>, P:token,
-- P:seconds:wait:<queue>.

local name = work_name(a.key)
if get(name, 'status') ~= 'queued' then return {} end
if not has_waiters(a.key) then
  drop_work(a.key)
  return {}
end
local token = new_token(a.worker)
leave_queue(a.key, get(name, 'queue'))
if redis.call('HINCRBY', name, 'attempts', 1) == 1 then
  observe('wait:' .. get(name, 'queue'), math.max(0, NOW - tonumber(get(name, 'created_at'))) / 1000)
end
redis.call('HSET', name, 'status', 'running', 'owner', a.worker, 'token', token, 'started_at', NOW_S)
if a.task_id ~= '' then redis.call('HSET', name, 'task_id', a.task_id) end
redis.call('HDEL', P .. ':worker:' .. a.worker, 'idle_since')
redis.call('SADD', P .. ':owns:' .. a.worker, a.key)
announce_work(a.key)
return redis.call('HGETALL', name)
