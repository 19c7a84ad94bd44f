-- Lends the webhook that has been due longest to one deliverer, for a.lease_ms: whoever dies with it holds nobody up.
-- Owners in a.busy have their share of this deliverer's threads and are passed over, however much of theirs is due.
-- What was put here in the future, or is due far ahead, shows a clock that jumped back: due as well. Answers {job id,
-- number of the try, token, owner}, or nothing.
-- Touches P:owners, P:webhooks:<owner>, P:webhook:<id>, P:job:<id>, P:counters, P:token.

local far = string.format('(%.0f', NOW + a.far_ms)
local busy = {}
for _, owner in ipairs(a.busy) do busy[owner] = true end

local function put_at(id)
  return tonumber(get(P .. ':webhook:' .. id, 'put_at')) or tonumber(get(P .. ':job:' .. id, 'finished_at')) or 0
end

local function first(owner)
  local queue = P .. ':webhooks:' .. owner
  local found = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if not found[1] then return nil end
  local at = tonumber(found[2])
  if at <= NOW or put_at(found[1]) > NOW then return found[1], at end
  found = redis.call('ZRANGEBYSCORE', queue, far, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return found[1], tonumber(found[2])
end

local function next_due()
  local id, owner, since
  for _, one in ipairs(redis.call('SMEMBERS', P .. ':owners')) do
    if not busy[one] then
      local candidate, at = first(one)
      if candidate and (not since or at < since) then id, owner, since = candidate, one, at end
    end
  end
  return id, owner
end

for _ = 1, 100 do
  local id, owner = next_due()
  if not id then return {} end
  local name = P .. ':webhook:' .. id
  local left_ms = redis.call('PTTL', P .. ':job:' .. id)
  local tries = tonumber(get(name, 'attempts')) or 0
  if left_ms == -2 or tries >= a.max_attempts then
    -- The job is forgotten, or whoever had the last try died with it.
    redis.call('ZREM', P .. ':webhooks:' .. owner, id)
    if left_ms ~= -2 then redis.call('HSET', name, 'status', 'failed') end
    redis.call('HINCRBY', P .. ':counters', 'webhook:failed', 1)
  else
    local token = string.format('%.0f', redis.call('INCR', P .. ':token'))
    redis.call('ZADD', P .. ':webhooks:' .. owner, string.format('%.0f', NOW + a.lease_ms), id)
    redis.call('HSET', name, 'attempts', tostring(tries + 1), 'token', token, 'status', 'sending', 'put_at', NOW_S)
    if left_ms > 0 then redis.call('PEXPIRE', name, left_ms) end
    return {id, tries + 1, token, owner}
  end
end
return {}
