-- Notes how far a running work is. Answers 'ok', 'canceled' (nobody waits any more) or 'stale' (the claim is lost).
-- Touches P:work:<key>, P:changes.

if not holds(a.key, a.token) then return 'stale' end
local name = work_name(a.key)
if get(name, 'canceled_at') ~= '' then return 'canceled' end
redis.call('HSET', name, 'stage', a.stage, 'progress', a.progress)
announce_work(a.key)
return 'ok'
