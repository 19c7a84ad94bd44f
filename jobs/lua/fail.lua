-- A try went wrong. Transient and tries left: back into the queue after a delay; else every waiting job fails.
-- Answers 'requeued', 'failed' or 'stale'.
-- Touches P:work:<key>*, P:job:<id>, P:queued:<queue>, P:due, P:owns:<worker>, P:error:<key>, P:counters, P:changes.

if not holds(a.key, a.token) then return 'stale' end
if a.retryable and tries(work_name(a.key)) < a.max_attempts then
  requeue(a.key, a.delay_ms)
  return 'requeued'
end
fail_work(a.key, a.error, a.retention_s)
return 'failed'
