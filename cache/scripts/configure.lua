-- Set limits, and everything else that all processes share; the first call on an empty server begins the state.
--
--   state    HASH    the fields; version moves on
--   events   STREAM  gains "config limits"
--   all others when the policy changes: its scores mean something else, so the tier starts empty
--
-- ARGV: tag, seed, then field, value pairs. With a seed (the settings a process was started with) the fields are
-- set only if it is not the seed of last time: a restart with the same settings keeps what an operator changed since,
-- a restart with other settings applies them.
-- Answers {'configured' | 'kept', version, epoch}
local seed = ARGV[2]
redis.call('ZREM', EXPIRY, '') -- a full Redis allows this and then all that follows
if not redis.call('HGET', STATE, 'epoch') then
  local now = text(now_us())
  redis.call('HSET', STATE, 'epoch', now, 'version', now, 'deleted', now, 'bytes', 0, 'floor', 0, 'garbage', '')
end
if seed ~= '' then
  if redis.call('HGET', STATE, 'seed') == seed then
    local state = redis.call('HMGET', STATE, 'version', 'epoch')
    return { 'kept', state[1], state[2] }
  end
  redis.call('HSET', STATE, 'seed', seed)
end
local policy = redis.call('HGET', STATE, 'policy')
for i = 3, #ARGV, 2 do
  redis.call('HSET', STATE, ARGV[i], ARGV[i + 1])
end
if policy and redis.call('HGET', STATE, 'policy') ~= policy then clear_all() end
local version = announce('config', 'limits')
return { 'configured', version, redis.call('HGET', STATE, 'epoch') }
