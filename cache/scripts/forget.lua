-- Take back a hit whose bytes turned out to be wrong, and forget the entry if it is still the one that was read.
--
--   state    HASH  hits, misses, saved_ms and corruptions corrected
--   order, expiry, entries, hits   lose the key
--   blob, parts      deleted
--
-- ARGV: tag, key, stored_us of the record that was read, 1 when the hit counted as saved work
-- Answers 'forgotten' or 'replaced'

local key, stored, saves = ARGV[2], ARGV[3], ARGV[4]

return answer(function()
  local entry = find(key)
  count('hits', -1)
  count('misses')
  if not entry or entry.stored ~= stored then return 'replaced' end
  drop(key, entry)
  count('corruptions')
  if saves == '1' then count('saved_ms', -entry.cost) end
  return 'forgotten'
end)
