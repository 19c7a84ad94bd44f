-- Lends the webhook that has been due longest to one deliverer, for a.lease_ms: whoever dies with it holds nobody up.
-- A due time far ahead is a clock that jumped back: due as well. Answers {job id, number of the try, token}, or nothing.
-- Touches P:webhooks, P:webhook:<id>, P:job:<id>, P:counters, P:token.

local function next_due()
  local due = redis.call('ZRANGEBYSCORE', P .. ':webhooks', '-inf', NOW_S, 'LIMIT', 0, 1)[1]
  if due then return due end
  return redis.call('ZRANGEBYSCORE', P .. ':webhooks', string.format('(%.0f', NOW + a.far_ms), '+inf', 'LIMIT', 0, 1)[1]
end

for _ = 1, 100 do
  local id = next_due()
  if not id then return {} end
  local name = P .. ':webhook:' .. id
  local left_ms = redis.call('PTTL', P .. ':job:' .. id)
  local tries = tonumber(get(name, 'attempts')) or 0
  if left_ms == -2 or tries >= a.max_attempts then
    -- The job is forgotten, or whoever had the last try died with it.
    redis.call('ZREM', P .. ':webhooks', id)
    if left_ms ~= -2 then redis.call('HSET', name, 'status', 'failed') end
    redis.call('HINCRBY', P .. ':counters', 'webhook:failed', 1)
  else
    local token = string.format('%.0f', redis.call('INCR', P .. ':token'))
    redis.call('ZADD', P .. ':webhooks', string.format('%.0f', NOW + a.lease_ms), id)
    redis.call('HSET', name, 'attempts', tostring(tries + 1), 'token', token, 'status', 'sending')
    if left_ms > 0 then redis.call('PEXPIRE', name, left_ms) end
    return {id, tries + 1, token}
  end
end
return {}
