-- Make a staged value visible, whole, and evict what it takes to stay under the limits.
--
--   state    HASH    read; bytes, stores and evictions counted
--   order    ZSET    gains the key; loses the evicted
--   expiry   ZSET    gains the key when it has a life span; loses the evicted and the expired
--   entries  HASH    gains the record; loses the evicted
--   hits     HASH    starts at 0 for the key
--   stage    STRING or LIST  measured, then renamed
--   blob, parts      one of them is the value, from now on
--
-- ARGV: tag, key, fence (the version when it was begun, '' when that is now), 1 for a copy from another tier, stage,
--       length, parts, checksum, encoding, cost in ms, life span in ms ('' for the default, 0 for none),
--       room in bytes ('' when unlimited), meta
-- Answers {'unseeded'} | {status, version, epoch}: stored; again (room was made, not yet enough: call once more);
--         stale (cleared since the fence; a copy also: something was deleted since); lost (the stage is not whole);
--         too_large (over max_bytes by itself)
local key, fence, copied, stage, length = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])
local parts, checksum, encoding, cost = tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10]
local ttl, room, meta = ARGV[11], ARGV[12], ARGV[13]
local ENTRY_OVERHEAD = 600 -- bytes: two sorted sets, two hashes and the names beside the value, measured
local STAGE_TTL_S = 60

local state = redis.call('HMGET', STATE, 'epoch', 'version', 'policy', 'floor', 'deleted', 'max_bytes', 'ttl_ms')
local epoch, version = state[1], state[2]
if not epoch then return { 'unseeded' } end
if fence and (fence < tonumber(epoch) or (copied == '1' and fence < tonumber(state[5]))) then
  redis.call('UNLINK', stage)
  return { 'stale', version, epoch }
end
if not whole(stage, { length = length, parts = parts }) then
  redis.call('UNLINK', stage)
  return { 'lost', version, epoch }
end
-- What the allocator really gave: the length leaves out its size classes, up to a quarter.
local charge = redis.call('MEMORY', 'USAGE', stage, 'SAMPLES', 0) + #meta + ENTRY_OVERHEAD
if charge > tonumber(state[6]) then
  redis.call('UNLINK', stage)
  count('refused')
  return { 'too_large', version, epoch }
end

local now = now_us()
local old = redis.call('HGET', ENTRIES, key)
if old then drop(epoch, key, parse(old)) end
if not tidy(epoch, now, 1, charge, room) then
  redis.call('EXPIRE', stage, STAGE_TTL_S)
  return { redis.call('ZCARD', ORDER) > 0 and 'again' or 'too_large', version, epoch }
end

local expires = 0
if ttl == '' then ttl = state[7] end
if tonumber(ttl) > 0 then expires = now + tonumber(ttl) * 1000 end
local entry = { cost = tonumber(cost), charge = charge }
local place = name(parts == 0 and 'blob' or 'parts', epoch, key)
redis.call('RENAME', stage, place)
redis.call('PERSIST', place)
redis.call('ZADD', ORDER, score(state[3], redis.call('HGET', STATE, 'floor'), now, 1, entry), key)
if expires > 0 then redis.call('ZADD', EXPIRY, text(expires), key) end
redis.call('HSET', ENTRIES, key, table.concat({ text(now), text(length), text(parts), text(charge), cost,
                                                text(expires), checksum, encoding, meta }, ' '))
redis.call('HSET', HITS, key, 0)
count('bytes', charge)
count('stores')
return { 'stored', version, epoch }
