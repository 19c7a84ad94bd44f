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
-- Answers {'unseeded'} | {'miss', version, epoch} | {'hit', version, epoch, record}
-- A server that refuses writes (full, read-only) is answered from all the same; recency and counters stay as they are.
local key, saves = ARGV[2], ARGV[3]
local state = redis.call('HMGET', STATE, 'epoch', 'version', 'policy', 'floor')
local epoch, version = state[1], state[2]
if not epoch then return { 'unseeded' } end

local record = redis.call('HGET', ENTRIES, key)
local entry = record and parse(record)
local now = now_us()
local expired = entry and entry.expires > 0 and entry.expires <= now
local broken = entry and not whole(name(entry.parts == 0 and 'blob' or 'parts', epoch, key), entry)
local hit = entry and not expired and not broken

local counted = redis.pcall('HINCRBY', STATE, hit and 'hits' or 'misses', 1)
if type(counted) == 'table' then -- an error: nothing may be written
  if hit then return { 'hit', version, epoch, record } end
  return { 'miss', version, epoch }
end
if not hit then
  if entry then
    drop(epoch, key, entry)
    count(expired and 'expirations' or 'corruptions')
  end
  return { 'miss', version, epoch }
end
local hits = redis.call('HINCRBY', HITS, key, 1)
redis.call('ZADD', ORDER, score(state[3], state[4], now, hits + 1, entry), key)
if saves == '1' then count('saved_ms', entry.cost) end
return { 'hit', version, epoch, record }
