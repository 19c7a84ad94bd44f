-- Answer a lookup without its value: count it, make the entry the most recently used, hand out its record.
--
--   state    HASH  read; hits, misses, saved_ms, expirations, corruptions counted
--   order    ZSET  the key moves to its new place
--   expiry   ZSET  loses the key when it has expired
--   entries  HASH  the record is read
--   hits     HASH  one more for the key
--   blob, parts     their length is compared with the record
--
-- ARGV: tag, key, 1 when a hit saves the work that the value cost
-- Answers 'miss', or 'hit' and the record
-- A server that refuses all writes is answered from all the same; recency and counters stay as they are.

local key, saves = ARGV[2], ARGV[3]

return answer(function(refused)
  local entry, now = find(key), now_us()
  local expired = entry and entry.expires > 0 and entry.expires <= now
  local broken = entry and not whole(place(key, entry.parts), entry.length, entry.parts)
  local hit = entry and not (entry.stale or expired or broken)
  if refused then return hit and 'hit' or 'miss', hit and { entry.record } end
  count(hit and 'hits' or 'misses')
  if hit then
    local hits = redis.call('HINCRBY', HITS, key, 1)
    redis.call('ZADD', ORDER, score(now, hits + 1, entry), key)
    if saves == '1' then count('saved_ms', entry.cost) end
    return 'hit', { entry.record }
  end
  if entry then
    drop(key, entry)
    if not entry.stale then count(expired and 'expirations' or 'corruptions') end
  end
  return 'miss'
end)
