-- One bounded step of housekeeping: what was cleared, what has expired, what is over the limits.
--
--   state    HASH  bytes, garbage and counters
--   order, expiry, entries, hits   lose the evicted and the expired
--   garbage  ZSET  loses what was deleted
--   blob, parts      deleted
--
-- ARGV: tag, room in bytes ('' when unlimited) · Answers {'unseeded'} | {'again' | 'clean', version, epoch}
local state = redis.call('HMGET', STATE, 'epoch', 'version')
if not state[1] then return { 'unseeded' } end
local fits, clean = tidy(state[1], now_us(), 0, 0, ARGV[2])
return { (fits and clean) and 'clean' or 'again', state[2], state[1] }
