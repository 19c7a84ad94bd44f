-- A worker lets go without a verdict: its work was canceled, or it is shutting down. Answers 'dropped' when nobody
-- waits, 'requeued' when somebody does (a job may have joined after the cancel), or 'stale'.
-- Touches P:work:<key>*, P:queued:<queue>, P:due, P:owns:<worker>, P:changes.

if not holds(a.key, a.token) then return 'stale' end
if not has_waiters(a.key) then
  drop_work(a.key)
  return 'dropped'
end
redis.call('HDEL', work_name(a.key), 'canceled_at')
redis.call('HINCRBY', work_name(a.key), 'attempts', -1)
requeue(a.key, 0)
return 'requeued'
