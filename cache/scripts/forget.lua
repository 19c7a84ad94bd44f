-- Take back a hit whose bytes turned out to be wrong, and forget the entry if it is still the one that was read.
--
--   state    HASH  hits, misses, saved_ms and corruptions corrected
--   order, expiry, entries, hits   lose the key
--   blob, parts      deleted
--
-- ARGV: tag, key, stored_us of the record that was read, 1 when the hit counted as saved work
-- Answers {'unseeded'} | {'forgotten' | 'replaced', version, epoch}
local key, stored, saves = ARGV[2], ARGV[3], ARGV[4]
local state = redis.call('HMGET', STATE, 'epoch', 'version')
local epoch, version = state[1], state[2]
if not epoch then return { 'unseeded' } end
local record = redis.call('HGET', ENTRIES, key)
local entry = record and parse(record)
local same = entry and entry.stored == stored
if same then drop(epoch, key, entry) end
count('hits', -1)
count('misses')
if same then
  count('corruptions')
  if saves == '1' then count('saved_ms', -entry.cost) end
end
return { same and 'forgotten' or 'replaced', version, epoch }
