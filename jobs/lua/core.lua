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
--   P:owns:<worker>      set     works that this worker has claimed
--   P:workers            zset    worker processes by their last heartbeat in ms
--   P:worker:<worker>    hash    what the process said of itself
--   P:slot:<slot>        string  the process now in this place of the fleet
--   P:jobs[:<owner>]     zset    job ids; they sort by age
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

-- Everybody who should see a change of this work: the work itself and the jobs behind it. Thousands may have joined one
-- generation; telling each of every step would push all else out of the stream, so they look by themselves instead.
local MANY = 200
local function announce_work(key)
  redis.call('HINCRBY', work_name(key), 'rev', 1)
  announce(key)
  local works = redis.call('SMEMBERS', work_name(key) .. ':parts')
  works[#works + 1] = key
  if #works > MANY then return end
  for _, part in ipairs(works) do
    if redis.call('SCARD', work_name(part) .. ':jobs') <= MANY then
      for _, id in ipairs(redis.call('SMEMBERS', work_name(part) .. ':jobs')) do announce(id) end
    end
  end
end

local function enqueue(key, queue, priority, since, due_in_ms)
  local score = string.format('%.0f', tonumber(priority) * 1e14 + since)
  redis.call('ZADD', P .. ':queued:' .. queue, score, key)
  redis.call('ZREM', P .. ':sent:' .. queue, key)
  redis.call('ZADD', P .. ':due', string.format('%.0f', NOW + due_in_ms), key)
end

local function leave_queue(key, queue)
  redis.call('ZREM', P .. ':queued:' .. queue, key)
  redis.call('ZREM', P .. ':sent:' .. queue, key)
  redis.call('ZREM', P .. ':due', key)
end

local function drop_work(key)
  local name = work_name(key)
  local owner = get(name, 'owner')
  leave_queue(key, get(name, 'queue'))
  if owner ~= '' then redis.call('SREM', P .. ':owns:' .. owner, key) end
  redis.call('DEL', name, name .. ':jobs', name .. ':parts')
  announce(key)
end

-- How a succeeded job was served, why a failed one failed: words of `jobs/`, so few of them.
local function count_end(name, status, more)
  local what = status == 'succeeded' and 'served:' .. (more.cache or get(name, 'cache'))
    or status == 'failed' and 'failed:' .. tostring(cjson.decode(more.error).code)
  if what then redis.call('HINCRBY', P .. ':counters', what, 1) end
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

-- Ends one job unless it has ended before. `more` overrides nothing that was said at submit.
local function finish_job(id, status, more, retention_s)
  local name = P .. ':job:' .. id
  if get(name, 'status') ~= 'queued' then return false end
  more.status = status
  more.finished_at = NOW_S
  put_fields(name, more)
  redis.call('HINCRBY', name, 'rev', 1)
  redis.call('EXPIRE', name, retention_s)
  redis.call('HINCRBY', P .. ':counters', status, 1)
  count_end(name, status, more)
  if get(name, 'webhook_url') ~= '' then
    redis.call('ZADD', P .. ':webhooks:' .. get(name, 'owner'), NOW_S, id)
  end
  announce(id)
  return true
end

local function fail_rendition(key, error, retention_s)
  local name = work_name(key)
  local started = get(name, 'started_at')
  local attempts = get(name, 'attempts')
  for _, id in ipairs(redis.call('SMEMBERS', name .. ':jobs')) do
    local more = {error = error, started_at = started, attempts = attempts, task_id = get(name, 'task_id')}
    finish_job(id, 'failed', more, retention_s)
  end
  redis.call('SET', P .. ':error:' .. key, error, 'EX', 60)
  drop_work(key)
end

local function fail_work(key, error, retention_s)
  local name = work_name(key)
  for _, part in ipairs(redis.call('SMEMBERS', name .. ':parts')) do
    redis.call('HSET', work_name(part), 'started_at', get(name, 'started_at'), 'attempts', get(name, 'attempts'),
      'task_id', get(name, 'task_id'))
    fail_rendition(part, error, retention_s)
  end
  fail_rendition(key, error, retention_s)
end

-- Puts a running work back at the head of its queue: it has waited already.
local function requeue(key, delay_ms)
  local name = work_name(key)
  local owner = get(name, 'owner')
  if owner ~= '' then redis.call('SREM', P .. ':owns:' .. owner, key) end
  redis.call('HDEL', name, 'owner', 'token', 'canceled_at')
  redis.call('HSET', name, 'status', 'queued', 'stage', '', 'progress', '0', 'priority', URGENT)
  enqueue(key, get(name, 'queue'), URGENT, tonumber(get(name, 'created_at')), delay_ms)
  announce_work(key)
end

-- Claims of this work itself: a rendition shows its generation's attempts too, but is not to blame for them.
local function tries(name)
  return tonumber(get(name, 'attempts')) - (tonumber(get(name, 'inherited')) or 0)
end

local function has_waiters(key)
  return redis.call('SCARD', work_name(key) .. ':jobs') > 0 or redis.call('SCARD', work_name(key) .. ':parts') > 0
    or get(work_name(key), 'ordered') == '1'
end

-- A token that no other claim ever had: a Redis that lost its last second would give the same number out again.
local function new_token(worker)
  return string.format('%.0f@%s', redis.call('INCR', P .. ':token'), worker)
end

-- A claimed work whose worker is gone: another try, or the end when it has had its share.
local function take_back(key, max_attempts, poison, retention_s)
  local name = work_name(key)
  if get(name, 'status') ~= 'running' then return end
  if get(name, 'canceled_at') ~= '' and not has_waiters(key) then
    drop_work(key)
  elseif tries(name) >= max_attempts then
    fail_work(key, poison, retention_s)
  else
    requeue(key, 0)
  end
end

local function forget_worker(worker, max_attempts, poison, retention_s)
  local taken = redis.call('SMEMBERS', P .. ':owns:' .. worker)
  for _, key in ipairs(taken) do take_back(key, max_attempts, poison, retention_s) end
  redis.call('DEL', P .. ':owns:' .. worker, P .. ':worker:' .. worker)
  redis.call('ZREM', P .. ':workers', worker)
  return #taken
end

-- Whether this claim still holds: the fence. Stale tokens change nothing.
local function holds(key, token)
  local name = work_name(key)
  return get(name, 'status') == 'running' and get(name, 'token') == token
end
