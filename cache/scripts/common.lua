-- Put in front of every other script when it is loaded: names, and the moves that more than one of them makes.
--
-- Values never pass through here; a script sees lengths and metadata only, and does a bounded amount of work.
-- Every script gets the same KEYS, all of one hash tag, and the tag as ARGV[1] (blobs are found by it):
--
--   KEYS[1] state    HASH    epoch, version, deleted, stale: see below; bytes, limits, policy, floor, counters
--   KEYS[2] order    ZSET    key -> when last used, microseconds (lru), or worth (gdsf); the lowest leaves first
--   KEYS[3] expiry   ZSET    key -> when it expires, microseconds; keys without a life span are not in it
--   KEYS[4] entries  HASH    key -> record: stored_us length parts charge cost_ms expires_us epoch checksum encoding meta
--   KEYS[5] hits     HASH    key -> lookups answered since it was stored
--   KEYS[6] events   STREAM  what local tiers must hear of; ids are versions
--   <tag>:blob:<key>   STRING  a value of up to 1 MiB
--   <tag>:parts:<key>  LIST    a larger one; both are made under <tag>:stage:<token>, and renamed when whole
--   <tag>:old_order, old_entries, old_hits   what was found of a damaged index, until rebuild.lua has read it
--
-- version grows by one with every delete, clear and change of limits or configuration; it starts at the server's
-- clock, so that it never comes back after a FLUSHALL. epoch is the version of the last clear, deleted the version
-- of the last delete. All three are microseconds of about 2^51 and stay exact in Lua's doubles until the year 2255.
--
-- A clear only begins a new epoch. Entries of another epoch are stale: nobody sees them any more. They stand below all
-- others in the order, so they are the next to leave, in bounded steps; stale and stale_bytes say how many there are.
--
-- Any of these keys can vanish by itself: deleted by hand, or evicted by a maxmemory-policy that must not be set here.
-- Every change of the tier first compares what the others say (mend). If a key is missing, an empty index begins in the
-- same moment, and rebuild.lua takes over in bounded steps what is still complete: state.rebuild is its phase.
local STATE, ORDER, EXPIRY, ENTRIES, HITS, EVENTS = unpack(KEYS)
local TAG = ARGV[1]
local STEP_ENTRIES, STEP_BYTES = 128, 32 * 1024 * 1024 -- freeing 1 MB blocks the server for about 32 microseconds
local EVENTS_KEPT = 1000

local state, changed = nil, nil -- the fields that scripts need, as found and set by this one; those it has set

-- tostring(1795248838000001) would be 1.795248838e+15, and -1 * 0 would be written -0
local function text(number) return string.format('%.0f', number + 0) end

local function set(field, value)
  state[field] = value
  changed = changed or {}
  changed[field] = value
end

local function add(field, by) set(field, text(state[field] + by)) end

local function count(field, by) redis.call('HINCRBY', STATE, field, text(by or 1)) end

-- Whether there is a state with all its fields.
local function read_state()
  local found = redis.call('HMGET', STATE, 'epoch', 'version', 'policy', 'floor', 'deleted', 'bytes', 'max_size',
                           'max_bytes', 'ttl_ms', 'stale', 'stale_bytes', 'rebuild')
  for i = 1, 11 do
    if not found[i] then return false end
  end
  state = { epoch = found[1], version = found[2], policy = found[3], floor = found[4], deleted = found[5],
            bytes = found[6], max_size = found[7], max_bytes = found[8], ttl_ms = found[9], stale = found[10],
            stale_bytes = found[11], rebuild = found[12] or '' }
  return true
end

-- Every script ends with this: {status, version, …} of what the body answers, {'unseeded'} on an empty server.
-- The body hears whether the server refuses all writes (a replica, a failing disk). A full Redis allows the first
-- command and then all that follows, so that no script stops half-way.
local function answer(body)
  local refused = type(redis.pcall('ZREM', EXPIRY, '')) == 'table'
  if not read_state() then return { 'unseeded' } end
  local status, more = body(refused)
  if changed then
    local fields = {}
    for field, value in pairs(changed) do
      fields[#fields + 1] = field
      fields[#fields + 1] = value
    end
    redis.call('HSET', STATE, unpack(fields))
  end
  local reply = { status, state.version }
  for i = 1, more and #more or 0 do reply[i + 2] = more[i] end
  return reply
end

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function name(kind, key) return TAG .. ':' .. kind .. ':' .. key end

local function place(key, parts) return name(parts == 0 and 'blob' or 'parts', key) end

-- Whether what lies under the name is as long as it should be.
local function whole(name, length, parts)
  if parts == 0 then return redis.call('STRLEN', name) == length end
  return redis.call('LLEN', name) == parts
end

local function parsed(record)
  local stored, length, parts, charge, cost, expires, epoch =
    string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ')
  return { record = record, stored = stored, length = tonumber(length), parts = tonumber(parts),
           charge = tonumber(charge), cost = tonumber(cost), expires = tonumber(expires), stale = epoch ~= state.epoch }
end

-- The record of a key, or nil.
local function find(key)
  local record = redis.call('HGET', ENTRIES, key)
  return record and parsed(record)
end

local function old(kind) return TAG .. ':old_' .. kind end

local function remove(key)
  redis.call('ZREM', ORDER, key)
  redis.call('ZREM', EXPIRY, key)
  redis.call('HDEL', ENTRIES, key)
  redis.call('HDEL', HITS, key)
end

-- Deletes an entry. Without a record, which only a damaged index has, its value is left to rebuild.lua.
local function drop(key, entry)
  remove(key)
  if not entry then return end
  redis.call('UNLINK', place(key, entry.parts))
  add('bytes', -entry.charge)
  if entry.stale then
    add('stale', -1)
    add('stale_bytes', -entry.charge)
  end
end

-- One step of version, and the event that tells the local tiers why.
local function announce(kind, subject)
  add('version', 1)
  redis.call('XADD', EVENTS, 'MAXLEN', EVENTS_KEPT, state.version .. '-0', kind, subject)
end

local function highest() return tonumber(redis.call('ZREVRANGE', ORDER, 0, 0, 'WITHSCORES')[2]) or 0 end

local function clear_all()
  announce('clear', 'shared')
  set('epoch', state.version)
  set('stale', text(redis.call('ZCARD', ORDER)))
  set('stale_bytes', state.bytes)
  set('floor', string.format('%.17g', highest() + 1))
end

-- Whether some entry has a life span that the expiry index does not know: among a few, chosen at random.
local function expiry_is_lost()
  local sample = redis.call('HRANDFIELD', ENTRIES, 8, 'WITHVALUES')
  for i = 1, #sample, 2 do
    local expires = string.match(sample[i + 1], '^%d+ %d+ %d+ %d+ %d+ (%d+) ')
    if expires ~= '0' and not redis.call('ZSCORE', EXPIRY, sample[i]) then return true end
  end
  return false
end

-- The keys of the index that are gone, or lack entries that the others have; '' when all agree.
local function lost_keys(thorough)
  local sizes = { order = redis.call('ZCARD', ORDER), entries = redis.call('HLEN', ENTRIES),
                  hits = redis.call('HLEN', HITS) }
  local most = math.max(sizes.order, sizes.entries, sizes.hits)
  local lost = {}
  for _, kind in ipairs({ 'order', 'entries', 'hits' }) do
    if sizes[kind] < most then lost[#lost + 1] = kind end
  end
  if #lost == 0 and most == 0 and tonumber(state.bytes) ~= 0 then lost = { 'order', 'entries', 'hits' } end
  if #lost == 0 and most > 0 and tonumber(state.bytes) == 0 then lost = { 'state' } end
  if #lost == 0 and thorough and expiry_is_lost() then lost = { 'expiry' } end
  return table.concat(lost, ', ')
end

-- Puts a damaged index aside and begins an empty one, in constant time. Each change calls it first; thorough is dearer.
local function mend(thorough)
  local lost = lost_keys(thorough)
  if lost == '' then return end
  for kind, key in pairs({ order = ORDER, entries = ENTRIES, hits = HITS }) do
    redis.call('UNLINK', old(kind))
    if redis.call('EXISTS', key) == 1 then redis.call('RENAME', key, old(kind)) end
  end
  redis.call('UNLINK', EXPIRY)
  for _, field in ipairs({ 'bytes', 'stale', 'stale_bytes', 'kept', 'swept', 'rebuild_cursor' }) do set(field, '0') end
  set('rebuild', 'begun')
  set('lost', lost)
  set('lost_at', redis.call('TIME')[1])
  count('rebuilds')
end

local function spend(budget, bytes)
  budget.entries = budget.entries - 1
  budget.bytes = budget.bytes - bytes
end

local function left(budget) return budget.entries > 0 and budget.bytes > 0 end

local function drop_expired(budget, now)
  while left(budget) do
    local due = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', text(now), 'LIMIT', 0, 1)[1]
    if not due then return end
    local entry = find(due)
    drop(due, entry)
    if entry and not entry.stale then count('expirations') end
    spend(budget, entry and entry.charge or 0)
  end
end

-- Deletes what has expired, is stale or over the limits, until the budget of one call is spent. new_entries and
-- new_bytes are to fit in afterwards; room is what the server may still grow by, '' when unlimited.
-- Answers 'fits'; 'again' when it may after another call; 'full' when nothing is left that could give way. And whether
-- there is nothing else to do.
local function tidy(now, new_entries, new_bytes, room)
  local budget = { entries = STEP_ENTRIES, bytes = STEP_BYTES }
  drop_expired(budget, now)
  local max_size, max_bytes = tonumber(state.max_size), tonumber(state.max_bytes)
  if room ~= '' then max_bytes = math.min(max_bytes, state.bytes + room) end
  local size = redis.call('ZCARD', ORDER)
  while true do
    local too_many = size + new_entries > max_size
    local over = too_many or state.bytes + new_bytes > max_bytes
    if not over and (state.stale == '0' or not left(budget)) then return 'fits', left(budget) end
    if size == 0 then return 'full', true end
    if not left(budget) then return 'again', false end
    local lowest = redis.call('ZRANGE', ORDER, 0, 0, 'WITHSCORES')
    local entry = find(lowest[1])
    drop(lowest[1], entry)
    if entry and not entry.stale then
      count(too_many and 'evictions_by_count' or 'evictions_by_size')
      if state.policy == 'gdsf' then set('floor', lowest[2]) end
    end
    size = size - 1
    spend(budget, entry and entry.charge or 0)
  end
end

-- lru: the server's clock, pushed on where it stands still or steps back, so that no two entries are equal.
-- gdsf: what the last evicted was worth, plus nanoseconds of work saved per byte (Cherkasova 1998, HPL-98-69R1); so
-- small a unit that differences stay exact above a floor that was a time.
local function score(now, hits, entry)
  if state.policy == 'gdsf' then
    return string.format('%.17g', state.floor + hits * 1e6 * math.max(entry.cost, 1) / entry.charge)
  end
  return text(math.max(now, highest() + 1))
end
