-- What has changed since a version, and the state as of the same moment.
--
--   state   HASH    read
--   events  STREAM  read
--
-- ARGV: tag, version · Answers 'news', the fields of the state, and the events
-- A script, because Redis 6.2 refuses every transaction while it is full.

return answer(function()
  return 'news', { redis.call('HGETALL', STATE), redis.call('XRANGE', EVENTS, '(' .. ARGV[2] .. '-0', '+') }
end)
