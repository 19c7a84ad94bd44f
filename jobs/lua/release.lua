-- A worker lets go without a verdict: its work was canceled, or it is shutting down. Answers 'dropped' when nobody
-- waits, 'requeued' when somebody does (a job may have joined after the cancel), 'failed', 'failing' when more
-- jobs are left to end, or 'stale'.
-- With a.interrupted something else than the work ended it: Redis, a lost answer, a signal. The first time is nobody's
-- attempt; all others count, or the same cause would repeat for ever, and the last one fails with a.error.
-- Touches P:work:<key>*, P:queued:<queue>, P:due, P:owns:<worker>, P:changes; when it fails, all that `fail` touches.

if not holds(a.key, a.token) then return 'stale' end
local name = work_name(a.key)
if not has_waiters(a.key) then
  drop_work(a.key)
  return 'dropped'
end
if a.interrupted and redis.call('HINCRBY', name, 'interruptions', 1) > 1 then
  if tries(name) >= a.max_attempts then
    return fail_in_steps(a.key, a.error, a.at_once, a.retention_s)
  end
else
  redis.call('HINCRBY', name, 'attempts', -1)
end
requeue(a.key, 0)
return 'requeued'
