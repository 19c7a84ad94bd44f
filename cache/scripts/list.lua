-- A page of entries, most recently used (lru) or most worth keeping (gdsf) first; nothing is counted or moved.
--
--   state    HASH  read
--   order    ZSET  read by rank
--   entries, hits  HASH  read
--
-- ARGV: tag, number of entries, cursor: '' or '<score> <key>' of the last one seen. It holds while entries come and go.
-- Answers 'page' and key, score, record, hits, key, …

local limit, cursor = tonumber(ARGV[2]), ARGV[3]

-- How many entries stand before the first one behind the cursor.
local function skipped()
  if cursor == '' then return 0 end
  local last_score, last_key = string.match(cursor, '^(%S+) (%S+)$')
  local rank = redis.call('ZSCORE', ORDER, last_key) == last_score and redis.call('ZREVRANK', ORDER, last_key)
  return rank and rank + 1 or redis.call('ZCOUNT', ORDER, '(' .. last_score, '+inf')
end

return answer(function()
  local page, from = {}, skipped()
  local found = redis.call('ZREVRANGE', ORDER, from, from + limit - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    local entry = find(found[i])
    if entry and entry.stale then break end
    if entry then
      for _, item in ipairs({ found[i], found[i + 1], entry.record, redis.call('HGET', HITS, found[i]) or '0' }) do
        page[#page + 1] = item
      end
    end
  end
  return 'page', page
end)
