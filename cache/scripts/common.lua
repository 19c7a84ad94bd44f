-- Put in front of every other script when it is loaded: names, and the moves that more than one of them makes.
--
-- Values never pass through here; a script sees lengths and metadata only, and does a bounded amount of work.
-- Every script gets the same KEYS, all of one hash tag, and the tag as ARGV[1] (blobs and garbage are found by it):
--
--   KEYS[1] state    HASH    epoch, version, deleted: see below; bytes, limits, policy, floor, garbage, counters
--   KEYS[2] order    ZSET    key -> when last used, microseconds (lru), or worth (gdsf); the lowest leaves first
--   KEYS[3] expiry   ZSET    key -> when it expires, microseconds; keys without a life span are not in it
--   KEYS[4] entries  HASH    key -> record: stored_us length parts charge cost_ms expires_us checksum encoding meta
--   KEYS[5] hits     HASH    key -> lookups answered since it was stored
--   KEYS[6] events   STREAM  what local tiers must hear of; ids are versions
--   <tag>:blob:<epoch>:<key>   STRING  a value of up to 1 MiB
--   <tag>:parts:<epoch>:<key>  LIST    a larger one; both are made under <tag>:stage:<token>, and renamed when whole
--   <tag>:garbage:<epoch>     ZSET    the order of an epoch that was cleared; its blobs are deleted step by step
--
-- version grows by one with every delete, clear and change of limits or configuration; it starts at the server's
-- clock, so that it never comes back after a FLUSHALL. epoch is the version of the last clear, deleted the version
-- of the last delete. All three are microseconds of about 2^51 and stay exact in Lua's doubles until the year 2255.
local STATE, ORDER, EXPIRY, ENTRIES, HITS, EVENTS = unpack(KEYS)
local TAG = ARGV[1]
local PART_BYTES = 262144 -- of a value, about
local STEP_ENTRIES, STEP_BYTES = 128, 32 * 1024 * 1024 -- freeing 1 MB blocks the server for about 32 microseconds
local EVENTS_KEPT = 1000

-- tostring(1795248838000001) would be 1.795248838e+15, and -1 * 0 would be written -0
local function text(number) return string.format('%.0f', number + 0) end

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function name(kind, epoch, key) return TAG .. ':' .. kind .. ':' .. epoch .. ':' .. key end

-- Whether what lies under the name is as long as it should be.
local function whole(name, entry)
  if entry.parts == 0 then return redis.call('STRLEN', name) == entry.length end
  return redis.call('LLEN', name) == entry.parts
end

local function count(field, by) redis.call('HINCRBY', STATE, field, text(by or 1)) end

local function parse(record)
  local stored, length, parts, charge, cost, expires =
    string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ')
  return { stored = stored, length = tonumber(length), parts = tonumber(parts), charge = tonumber(charge), cost = tonumber(cost),
           expires = tonumber(expires) }
end

-- The first command is one that a full Redis does not refuse, and what follows it is not refused either; so is it
-- everywhere below: a script is refused before it has changed anything, or it runs to its end.
local function drop(epoch, key, entry)
  redis.call('ZREM', ORDER, key)
  redis.call('ZREM', EXPIRY, key)
  redis.call('HDEL', ENTRIES, key)
  redis.call('HDEL', HITS, key)
  redis.call('UNLINK', name('blob', epoch, key), name('parts', epoch, key))
  count('bytes', -entry.charge)
end

-- One step of version, and the event that tells the local tiers why.
local function announce(kind, subject)
  local version = text(redis.call('HINCRBY', STATE, 'version', 1))
  redis.call('XADD', EVENTS, 'MAXLEN', EVENTS_KEPT, version .. '-0', kind, subject)
  return version
end

-- The order moves aside in one step and a new epoch begins; the blobs go later, in bounded steps.
local function clear_all()
  local epoch = redis.call('HGET', STATE, 'epoch')
  redis.call('UNLINK', EXPIRY, ENTRIES, HITS)
  if redis.call('EXISTS', ORDER) == 1 then
    redis.call('RENAME', ORDER, TAG .. ':garbage:' .. epoch)
    redis.call('HSET', STATE, 'garbage', (redis.call('HGET', STATE, 'garbage') or '') .. ' ' .. epoch)
  end
  redis.call('HSET', STATE, 'bytes', 0, 'floor', 0)
  local version = announce('clear', 'shared')
  redis.call('HSET', STATE, 'epoch', version)
  return version
end

local function spend(budget, bytes)
  budget.entries = budget.entries - 1
  budget.bytes = budget.bytes - bytes
end

local function left(budget) return budget.entries > 0 and budget.bytes > 0 end

local function purge_garbage(budget)
  local garbage = redis.call('HGET', STATE, 'garbage') or ''
  for epoch in string.gmatch(garbage, '%d+') do
    local order = TAG .. ':garbage:' .. epoch
    while left(budget) do
      local popped = redis.call('ZPOPMIN', order)
      if #popped == 0 then
        garbage = string.gsub(garbage, ' ' .. epoch, '', 1)
        redis.call('HSET', STATE, 'garbage', garbage)
        break
      end
      local small, large = name('blob', epoch, popped[1]), name('parts', epoch, popped[1])
      spend(budget, redis.call('STRLEN', small) + redis.call('LLEN', large) * PART_BYTES)
      redis.call('UNLINK', small, large)
    end
  end
  return garbage == ''
end

local function drop_expired(budget, epoch, now)
  while left(budget) do
    local due = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', text(now), 'LIMIT', 0, 1)
    if #due == 0 then return true end
    local entry = parse(redis.call('HGET', ENTRIES, due[1]))
    drop(epoch, due[1], entry)
    count('expirations')
    spend(budget, entry.charge)
  end
  return false
end

-- Deletes what was cleared, what has expired, and what is over the limits, until the budget of one call is spent.
-- new_entries and new_bytes are to fit in afterwards; room is what the server may still grow by, '' when unlimited.
-- Answers whether they fit, and whether nothing at all is left to do.
local function tidy(epoch, now, new_entries, new_bytes, room)
  local budget = { entries = STEP_ENTRIES, bytes = STEP_BYTES }
  local clean = purge_garbage(budget)
  clean = drop_expired(budget, epoch, now) and clean
  local limits = redis.call('HMGET', STATE, 'max_size', 'max_bytes', 'policy')
  local max_size, max_bytes = tonumber(limits[1]), tonumber(limits[2])
  local size, bytes = redis.call('ZCARD', ORDER), tonumber(redis.call('HGET', STATE, 'bytes'))
  if room ~= '' then max_bytes = math.min(max_bytes, bytes + tonumber(room)) end
  while size > 0 and (size + new_entries > max_size or bytes + new_bytes > max_bytes) do
    if not left(budget) then return false, false end
    local victim = redis.call('ZRANGE', ORDER, 0, 0, 'WITHSCORES')
    local entry = parse(redis.call('HGET', ENTRIES, victim[1]))
    drop(epoch, victim[1], entry)
    count(size + new_entries > max_size and 'evictions_by_count' or 'evictions_by_size')
    if limits[3] == 'gdsf' then redis.call('HSET', STATE, 'floor', victim[2]) end
    size, bytes = size - 1, bytes - entry.charge
    spend(budget, entry.charge)
  end
  return size + new_entries <= max_size and bytes + new_bytes <= max_bytes, clean
end

-- lru: the server's clock, pushed on where it stands still or steps back, so that no two entries are equal.
-- gdsf: what the last evicted was worth, plus milliseconds of work saved per byte (Cherkasova 1998, HPL-98-69R1).
local function score(policy, floor, now, hits, entry)
  if policy == 'gdsf' then
    return string.format('%.17g', tonumber(floor) + hits * math.max(entry.cost, 1) / entry.charge)
  end
  local newest = redis.call('ZREVRANGE', ORDER, 0, 0, 'WITHSCORES')
  return text(math.max(now, (tonumber(newest[2]) or 0) + 1))
end
