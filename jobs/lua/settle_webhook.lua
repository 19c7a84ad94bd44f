-- How one try of a webhook went: delivered, to be tried again after a.again_ms, or given up (no a.again_ms).
-- Answers 'delivered', 'pending', 'failed', or 'stale' when the lease ran out and another deliverer has it.
-- Touches P:webhooks:<owner>, P:webhook:<id>, P:counters.

local name, queue = P .. ':webhook:' .. a.id, P .. ':webhooks:' .. a.owner
if get(name, 'token') ~= a.token then return 'stale' end
local status = a.delivered and 'delivered' or a.again_ms and 'pending' or 'failed'
redis.call('HSET', name, 'status', status, 'token', '', 'put_at', NOW_S, 'try:' .. a.attempt, a.tried)
if status == 'pending' then
  redis.call('ZADD', queue, string.format('%.0f', NOW + a.again_ms), a.id)
else
  redis.call('ZREM', queue, a.id)
end
redis.call('HINCRBY', P .. ':counters', 'webhook:' .. (status == 'pending' and 'retried' or status), 1)
return status
