-- The message of a work went out, as `task_id`: it leaves the outbox, unless a worker was faster.
-- Touches P:due, P:sent:<queue>, P:work:<key>.

local name = work_name(a.key)
if get(name, 'status') ~= 'queued' then return 0 end
redis.call('HSET', name, 'task_id', a.task_id)
redis.call('HINCRBY', name, 'messages', 1)
redis.call('ZREM', P .. ':due', a.key)
redis.call('ZADD', P .. ':sent:' .. get(name, 'queue'), NOW_S, a.key)
return 1
