-- A page of entries, most recently used (lru) or most worth keeping (gdsf) first; nothing is counted or moved.
--
--   state    HASH  read
--   order    ZSET  read by rank
--   entries, hits  HASH  read
--
-- ARGV: tag, number of entries, cursor: '' or '<score> <key>' of the last one seen. It holds while entries come and go.
-- Answers {'unseeded'} | {'page', version, epoch, key, score, record, hits, key, …}
local limit, cursor = tonumber(ARGV[2]), ARGV[3]
local state = redis.call('HMGET', STATE, 'epoch', 'version')
if not state[1] then return { 'unseeded' } end
local from = 0
if cursor ~= '' then
  local last_score, last_key = string.match(cursor, '^(%S+) (%S+)$')
  local rank = redis.call('ZSCORE', ORDER, last_key) == last_score and redis.call('ZREVRANK', ORDER, last_key)
  from = rank and rank + 1 or redis.call('ZCOUNT', ORDER, '(' .. last_score, '+inf')
end
local reply = { 'page', state[2], state[1] }
local page = redis.call('ZREVRANGE', ORDER, from, from + limit - 1, 'WITHSCORES')
for i = 1, #page, 2 do
  table.insert(reply, page[i])
  table.insert(reply, page[i + 1])
  table.insert(reply, redis.call('HGET', ENTRIES, page[i]))
  table.insert(reply, redis.call('HGET', HITS, page[i]) or '0')
end
return reply
