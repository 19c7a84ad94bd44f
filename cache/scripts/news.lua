-- What has changed since a version, and the state as of the same moment.
--
--   state   HASH    read
--   events  STREAM  read
--
-- ARGV: tag, version · Answers {'unseeded'} | {'news', version, epoch, fields of the state, events}
-- A script, because Redis 6.2 refuses every transaction while it is full.
local state = redis.call('HMGET', STATE, 'version', 'epoch')
if not state[1] then return { 'unseeded' } end
local fields = redis.call('HGETALL', STATE)
return { 'news', state[1], state[2], fields, redis.call('XRANGE', EVENTS, '(' .. ARGV[2] .. '-0', '+') }
