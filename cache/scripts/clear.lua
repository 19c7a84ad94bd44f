-- Forget everything, in the shared tier, in the local tiers, or in both.
--
-- In the shared tier a new epoch begins: all is gone for readers at once, and commits begun before are refused.
--
--   state    HASH    version, epoch and garbage move on; bytes start at 0
--   order    ZSET    renamed to garbage, which `tidy` deletes step by step
--   expiry, entries, hits   unlinked
--   events   STREAM  gains "clear shared", "clear local" or both
--
-- ARGV: tag, 1 for the shared tier, 1 for the local tiers
-- Answers {'unseeded'} | {'cleared', version, epoch, number of entries that were in the shared tier}
local epoch = redis.call('HGET', STATE, 'epoch')
if not epoch then return { 'unseeded' } end
redis.call('ZREM', EXPIRY, '') -- a full Redis allows this and then all that follows
local size, version = 0, redis.call('HGET', STATE, 'version')
if ARGV[2] == '1' then
  size = redis.call('ZCARD', ORDER)
  epoch = clear_all()
  version = epoch
end
if ARGV[3] == '1' then version = announce('clear', 'local') end
return { 'cleared', version, epoch, text(size) }
