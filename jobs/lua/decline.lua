-- A worker cannot do this work: it lacks the generator, or has another revision. Back into the queue after a pause that
-- grows, for another worker, and the attempt does not count. Fails with a.error when no worker has offered it for
-- a.wait_ms, counted from the first time that it was declined. Answers 'requeued', 'dropped', 'failed',
-- 'failing' when more jobs are left to end, or 'stale'.
-- Touches P:work:<key>*, P:queued:<queue>, P:due, P:owns:<worker>, P:offered, P:changes; when it fails, all that `fail`
-- touches.

if not holds(a.key, a.token) then return 'stale' end
local name = work_name(a.key)
if not has_waiters(a.key) then
  drop_work(a.key)
  return 'dropped'
end
redis.call('HSETNX', name, 'declined_at', NOW_S)
local since = math.max(
  tonumber(get(name, 'declined_at')), tonumber(redis.call('ZSCORE', P .. ':offered', a.offer) or 0)
)
if NOW - since >= a.wait_ms then
  return fail_in_steps(a.key, a.error, a.at_once, a.retention_s)
end
local times = redis.call('HINCRBY', name, 'declined', 1)
redis.call('HINCRBY', name, 'attempts', -1)
requeue(a.key, math.min(a.most_ms, a.least_ms * 2 ^ math.min(times - 1, 10)))
return 'requeued'
