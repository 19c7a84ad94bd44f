-- Forget one key, and tell every local tier to forget it too (they may hold it when this tier does not).
--
--   state    HASH    version and deleted move on; bytes lose the charge
--   order, expiry, entries, hits   lose the key
--   events   STREAM  gains "delete <key>"
--   blob, parts      deleted
--
-- ARGV: tag, key · Answers {'unseeded'} | {'deleted' | 'absent', version, epoch}
local key = ARGV[2]
local epoch = redis.call('HGET', STATE, 'epoch')
if not epoch then return { 'unseeded' } end
redis.call('ZREM', EXPIRY, key) -- first, because a full Redis allows it and then all that follows
local record = redis.call('HGET', ENTRIES, key)
if record then drop(epoch, key, parse(record)) end
local version = announce('delete', key)
redis.call('HSET', STATE, 'deleted', version)
return { record and 'deleted' or 'absent', version, epoch }
