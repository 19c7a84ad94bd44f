-- Set limits, and everything else that all processes share; the first call on an empty server begins the state.
--
--   state    HASH    the fields; version moves on
--   events   STREAM  gains "config limits"
--   all others when the policy changes: its scores mean something else, so the tier starts empty
--
-- ARGV: tag, seed, then field, value pairs. With a seed (the settings a process was started with) the fields are
-- set only if it is not the seed of last time: a restart with the same settings keeps what an operator changed since,
-- a restart with other settings applies them.
-- Answers 'configured' or 'kept'

local seed = ARGV[2]
redis.call('ZREM', EXPIRY, '') -- a full Redis allows this and then all that follows
if redis.call('EXISTS', STATE) == 0 then
  local now = text(now_us())
  redis.call('HSET', STATE, 'epoch', now, 'version', now, 'deleted', now, 'bytes', 0, 'floor', 0, 'stale', 0,
             'stale_bytes', 0)
end

return answer(function()
  if seed ~= '' then
    if redis.call('HGET', STATE, 'seed') == seed then return 'kept' end
    redis.call('HSET', STATE, 'seed', seed)
  end
  local policy = state.policy
  for i = 3, #ARGV, 2 do set(ARGV[i], ARGV[i + 1]) end
  if policy and state.policy ~= policy then clear_all() end
  announce('config', 'limits')
  return 'configured'
end)
