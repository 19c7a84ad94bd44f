-- Make a staged value visible, whole, and evict what it takes to stay under the limits.
--
--   state    HASH    read; bytes, stores and evictions counted
--   order    ZSET    gains the key; loses the evicted
--   expiry   ZSET    gains the key when it has a life span; loses the evicted and the expired
--   entries  HASH    gains the record; loses the evicted
--   hits     HASH    starts at 0 for the key
--   events   STREAM  gains "delete <key>" when other bytes are replaced; version and deleted move on
--   stage    STRING or LIST  measured, then renamed
--   blob, parts      one of them is the value, from now on
--
-- ARGV: tag, key, fence (the version when it was begun, '' when that is now), 1 for a copy from another tier, stage,
--       length, parts, checksum, encoding, cost in ms, life span in ms ('' for the default, 0 for none),
--       room in bytes ('' when unlimited), meta, 1 when other bytes may be known under this key
-- Answers stored; again (room was made, not yet enough: call once more);
--         stale (cleared since the fence; a copy also: something was deleted since); lost (the stage is not whole);
--         too_large (over max_bytes by itself)
-- And the phase of a rebuild that is under way, '' when there is none

local key, fence, copied, stage, length = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])
local parts, checksum, encoding, cost = tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10]
local ttl_ms, room, meta, replaces = ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local ENTRY_OVERHEAD = 600 -- bytes: two sorted sets, two hashes and the names beside the value, measured
local STAGE_TTL_S = 60

local function refuse(status)
  redis.call('UNLINK', stage)
  return status
end

local function write(now, charge)
  local expires = 0
  if ttl_ms == '' then ttl_ms = state.ttl_ms end
  if tonumber(ttl_ms) > 0 then expires = now + ttl_ms * 1000 end
  redis.call('RENAME', stage, place(key, parts))
  redis.call('PERSIST', place(key, parts))
  redis.call('ZADD', ORDER, score(now, 1, { cost = tonumber(cost), charge = charge }), key)
  if expires > 0 then redis.call('ZADD', EXPIRY, text(expires), key) end
  redis.call('HSET', ENTRIES, key, table.concat({ text(now), text(length), text(parts), text(charge), cost,
                                                  text(expires), state.epoch, checksum, encoding, meta }, ' '))
  redis.call('HSET', HITS, key, 0)
  if state.rebuild ~= '' then redis.call('HDEL', old('entries'), key) end -- so that an older record never comes back
  add('bytes', charge)
  count('stores')
  if replaces == '1' then
    announce('delete', key)
    set('deleted', state.version)
  end
end

local function commit()
  mend(false)
  if fence and (fence < tonumber(state.epoch) or (copied == '1' and fence < tonumber(state.deleted))) then
    return refuse('stale')
  end
  if not whole(stage, length, parts) then return refuse('lost') end
  -- What the allocator really gave: the length leaves out its size classes, up to a quarter.
  local charge = redis.call('MEMORY', 'USAGE', stage, 'SAMPLES', 0) + #meta + ENTRY_OVERHEAD
  if charge > tonumber(state.max_bytes) then
    count('refused')
    return refuse('too_large')
  end
  local now, replaced = now_us(), find(key)
  if replaced then drop(key, replaced) end
  local fits = tidy(now, 1, charge, room)
  if fits == 'full' then return refuse('too_large') end
  if fits == 'again' then
    redis.call('EXPIRE', stage, STAGE_TTL_S)
    return 'again'
  end
  write(now, charge)
  return 'stored'
end

return answer(function() return commit(), { state.rebuild } end)
