-- A process' heartbeat: keep its counters, count those of processes that are gone into the totals, do some housekeeping.
--
--   <tag>:workers  HASH  process -> snapshot, JSON with "counters": absolute since that process' start
--   <tag>:seen     ZSET  process -> when it last beat, microseconds
--   <tag>:applied  ZSET  process -> the version of limits, clears and deletes that it has applied
--   <tag>:totals   HASH  counter -> sum over processes that are gone
--   <tag>:folded   HASH  process -> the snapshot that is in the totals
--   <tag>:folded_at ZSET process -> when that was
--   state, order, expiry, entries, hits, blob, parts   one step of housekeeping, see common
--
-- ARGV: tag, process ('' to only look after the others), snapshot, applied version, microseconds after which a silent
-- process is gone, 1 when this is its last beat
-- Answers 'clean', or 'again' when housekeeping has more to do; the phase of a rebuild ('' when there is none); and
-- whether <tag>:local has the entries that this process sent
-- A process that was stopped, counted as gone and goes on, is taken out of the totals again: nothing counts twice.
local process, snapshot, applied, timeout, last = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local FOLDED_KEPT_US = 7 * 86400 * 1000000
local WORKERS, SEEN, APPLIED = TAG .. ':workers', TAG .. ':seen', TAG .. ':applied'
local TOTALS, FOLDED, FOLDED_AT = TAG .. ':totals', TAG .. ':folded', TAG .. ':folded_at'

local now = now_us()

local function add_to_totals(counted, sign)
  for name, value in pairs(cjson.decode(counted).counters) do
    redis.call('HINCRBY', TOTALS, name, text(sign * value))
  end
end

local function fold(gone)
  local counted = redis.call('HGET', WORKERS, gone)
  add_to_totals(counted, 1)
  redis.call('HSET', FOLDED, gone, counted)
  redis.call('ZADD', FOLDED_AT, text(now), gone)
  redis.call('HDEL', WORKERS, gone)
  redis.call('ZREM', SEEN, gone)
  redis.call('ZREM', APPLIED, gone)
  redis.call('HDEL', TAG .. ':local', gone)
end

-- Each of these keys can vanish by itself. A row without a date would never be looked at again, nor would a date
-- without a row: the first gets a date, the second goes.
local function agree(rows, dates, date)
  if redis.call('HLEN', rows) == redis.call('ZCARD', dates) then return end
  for _, name in ipairs(redis.call('HKEYS', rows)) do redis.call('ZADD', dates, 'NX', date, name) end
  for _, name in ipairs(redis.call('ZRANGE', dates, 0, -1)) do
    if redis.call('HEXISTS', rows, name) == 0 then redis.call('ZREM', dates, name) end
  end
end

local function mend_fleet()
  agree(WORKERS, SEEN, text(now))
  agree(WORKERS, APPLIED, 0)
  agree(FOLDED, FOLDED_AT, text(now))
  if redis.call('EXISTS', TOTALS) == 0 then -- what is still known of those that are gone
    for _, counted in ipairs(redis.call('HVALS', FOLDED)) do add_to_totals(counted, 1) end
  end
end

return answer(function()
  mend(true)
  mend_fleet()
  if process ~= '' then
    local counted = redis.call('HGET', FOLDED, process)
    if counted then
      add_to_totals(counted, -1)
      redis.call('HDEL', FOLDED, process)
      redis.call('ZREM', FOLDED_AT, process)
    end
    redis.call('HSET', WORKERS, process, snapshot)
    redis.call('ZADD', SEEN, text(now), process)
    redis.call('ZADD', APPLIED, applied, process)
    if last == '1' then fold(process) end
  end
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', text(now - timeout), 'LIMIT', 0, 16)) do
    fold(gone)
  end
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', FOLDED_AT, '-inf', text(now - FOLDED_KEPT_US), 'LIMIT', 0, 16)) do
    redis.call('HDEL', FOLDED, old)
    redis.call('ZREM', FOLDED_AT, old)
  end
  local fits, clean = tidy(now, 0, 0, '')
  return (fits ~= 'again' and clean) and 'clean' or 'again',
    { state.rebuild, tostring(redis.call('HEXISTS', TAG .. ':local', process)) }
end)
