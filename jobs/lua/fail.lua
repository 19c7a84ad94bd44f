-- A try went wrong. Transient and tries left: back into the queue after a delay; else every waiting job fails, the
-- first a.at_once of them now. Answers 'requeued', 'failed', 'failing' when more are left, or 'stale'.
-- Touches P:work:<key>*, P:work:<part>*, P:job:<id>, P:list, P:queued:<queue>, P:due, P:owns:<worker>, P:ending,
-- P:error:<key>, P:webhooks:<owner>, P:counters, P:changes.

if not holds(a.key, a.token) then return 'stale' end
if a.retryable and tries(work_name(a.key)) < a.max_attempts then
  requeue(a.key, a.delay_ms)
  return 'requeued'
end
return fail_in_steps(a.key, a.error, a.at_once, a.retention_s)
