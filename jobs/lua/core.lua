-- Shared by every script of the job store and put before each of them.
--
-- KEYS[1] is the prefix P. It carries the hash tag, so all names below live in one slot.
--   P:job:<id>           hash    one submission
--   P:work:<key>         hash    one generation or rendition in flight; gone when it ended
--   P:work:<key>:jobs    set     jobs that wait for this rendition
--   P:work:<key>:parts   set     renditions that wait for this generation
--   P:error:<key>        string  why the last try of this work failed, for a minute
--   P:queued:<queue>     zset    works that wait for a worker, by priority, then age
--   P:due                zset    works whose message is to be sent, by time in ms: the outbox
--   P:sent:<queue>       zset    waiting works whose message was sent, by time in ms
--   P:ending             zset    works with a verdict whose jobs are being ended, by when the next step is due in ms
--   P:owns:<worker>      set     works that this worker has claimed
--   P:workers            zset    worker processes by their last heartbeat in ms
--   P:worker:<worker>    hash    what the process said of itself
--   P:slot:<slot>        string  the process now in this place of the fleet
--   P:jobs[:<owner>]     zset    job ids; they sort by age
--   P:list               zset    the same ids behind what the list filters by (listing.lua)
--   P:list:built         string  how far back that index reaches: 'all', or the oldest job in it
--   P:owners             set     owners that have an index of jobs
--   P:idem:<name>        hash    an idempotency key's body and job
--   P:changes            stream  ids of jobs and keys of works that changed
--   P:webhooks:<owner>   zset    ended jobs whose webhook is to be delivered, by due time in ms; apart, so that none waits
--                                behind another's
--   P:webhook:<id>       hash    what became of a job's webhook so far
--   P:seconds:<what>     hash    histogram: durations per upper bound, and their sum
--   P:counters, P:pace   hash    totals; smoothed seconds per generator
--   P:pace:<what>        string  smoothed seconds of a queue's works, or of generations with the same parameters
--   P:token              string  last fencing token given out
--   P:cards              hash    generators by name, as a worker announced them last
--   P:announced          zset    names of generators by the last time in ms at which a worker announced them
--   P:offered            zset    "<name> <revision>" by the last time in ms at which a worker offered to run it
--   P:stalled:<queue>    string  how many works wait beside an idle worker; gone soon after that is over
-- ARGV[1] is one JSON document of arguments, called `a`. Times are ms since the epoch, by the server's clock.

local P = KEYS[1]
local a = cjson.decode(ARGV[1])

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local NOW = now_ms()
local NOW_S = string.format('%.0f', NOW)
local URGENT = '0'

local function work_name(key) return P .. ':work:' .. key end

local function get(name, field) return redis.call('HGET', name, field) or '' end

local function announce(id)
  redis.call('XADD', P .. ':changes', 'MAXLEN', '~', 10000, '*', 'id', id)
end

local function fields_of(name)
  local flat, map = redis.call('HGETALL', name), {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

local function put_fields(name, map)
  local flat = {}
  for field, value in pairs(map) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  redis.call('HSET', name, unpack(flat))
end

-- Counts one duration into the histogram P:seconds:<what>; `le` are upper bounds, each counted by itself.
local BOUNDS_S = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}
local function observe(what, seconds)
  local name, le = P .. ':seconds:' .. what, '+Inf'
  for _, bound in ipairs(BOUNDS_S) do
    if seconds <= bound then le = tostring(bound) break end
  end
  redis.call('HINCRBY', name, le, 1)
  redis.call('HINCRBYFLOAT', name, 'sum', string.format('%.4f', seconds))
end

-- What works of this name take lately; forgotten when there was none for a week.
local PACE_KEPT_S = 7 * 86400
local function note_pace(what, seconds)
  local before = tonumber(redis.call('GET', P .. ':pace:' .. what))
  local pace = before and (0.7 * before + 0.3 * seconds) or seconds
  redis.call('SET', P .. ':pace:' .. what, string.format('%.4f', pace), 'EX', PACE_KEPT_S)
end
