-- A heartbeat. Answers 'unknown' when the fleet has forgotten this worker (it was taken for dead, or Redis was emptied):
-- it must register again. Else a list of {key, token, canceled_at} for the works it owns.
-- It also notes since when the worker has owned nothing.
-- Touches P:workers, P:worker:<worker>, P:owns:<worker>, P:work:<key>, P:slot:<slot>.

if not redis.call('ZSCORE', P .. ':workers', a.worker) then return 'unknown' end
redis.call('ZADD', P .. ':workers', NOW_S, a.worker)
redis.call('HINCRBY', P .. ':worker:' .. a.worker, 'beats', 1)
redis.call('EXPIRE', P .. ':slot:' .. a.slot, 86400)
put_fields(P .. ':worker:' .. a.worker, a.fields)
if redis.call('EXISTS', P .. ':owns:' .. a.worker) == 1 then
  redis.call('HDEL', P .. ':worker:' .. a.worker, 'idle_since')
elseif (tonumber(get(P .. ':worker:' .. a.worker, 'idle_since')) or math.huge) > NOW then
  redis.call('HSET', P .. ':worker:' .. a.worker, 'idle_since', NOW_S)
end
local owned = {}
for _, key in ipairs(redis.call('SMEMBERS', P .. ':owns:' .. a.worker)) do
  local work = work_name(key)
  owned[#owned + 1] = {key, get(work, 'token'), get(work, 'canceled_at')}
end
return owned
