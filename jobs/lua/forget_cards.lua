-- Forgets generators that no worker has announced for a.kept_ms, measured from the newest announcement: a fleet that is
-- down keeps all of them. Answers their names.
-- Touches P:cards, P:announced, P:offered.

local newest = redis.call('ZRANGE', P .. ':announced', 0, 0, 'REV', 'WITHSCORES')[2]
if not newest then return {} end
for _, name in ipairs(redis.call('HKEYS', P .. ':cards')) do
  redis.call('ZADD', P .. ':announced', 'NX', newest, name)  -- of a version that did not note the time
end
local before = string.format('(%.0f', tonumber(newest) - a.kept_ms)
local gone = redis.call('ZRANGEBYSCORE', P .. ':announced', '-inf', before)
for _, name in ipairs(gone) do redis.call('HDEL', P .. ':cards', name) end
redis.call('ZREMRANGEBYSCORE', P .. ':announced', '-inf', before)
redis.call('ZREMRANGEBYSCORE', P .. ':offered', '-inf', before)
return gone
