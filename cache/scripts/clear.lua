-- Begin a new epoch: everything is gone for readers at once, and commits begun before are refused.
--
--   state    HASH    version, epoch and garbage move on; bytes start at 0
--   order    ZSET    renamed to garbage, which `tidy` deletes step by step
--   expiry, entries, hits   unlinked
--   events   STREAM  gains "clear shared"
--
-- ARGV: tag · Answers {'unseeded'} | {'cleared', version, epoch, number of entries}
if not redis.call('HGET', STATE, 'epoch') then return { 'unseeded' } end
local size = redis.call('ZCARD', ORDER)
local version = clear_all()
return { 'cleared', version, version, text(size) }
