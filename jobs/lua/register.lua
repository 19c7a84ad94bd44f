-- A worker process takes its place. Whoever sat there before is gone: its works are taken back at once.
-- Touches P:slot:<slot>, P:workers, P:worker:<worker>, and for the one before all that forget_worker touches.

local before = redis.call('GET', P .. ':slot:' .. a.slot)
if before and before ~= a.worker then forget_worker(before, a.max_attempts, a.poison) end
redis.call('SET', P .. ':slot:' .. a.slot, a.worker, 'EX', 86400)
put_fields(P .. ':worker:' .. a.worker, a.fields)
redis.call('ZADD', P .. ':workers', NOW_S, a.worker)
return 'ok'
