-- Works: how they wait, end and go, and what that does to the jobs that wait for them.
--
-- Any number of jobs may wait for one work, so no script walks all of them. A work with a verdict has the status
-- `ending` and stands in P:ending; `end_some` ends so many jobs at a time and takes them out of the work's set in the
-- same step, until the work itself goes. Whoever joins meanwhile is ended by a later step. A process that dies between
-- two steps leaves the rest to the watch.

-- Everybody who should see a change of this work: the work itself and the jobs behind it. Thousands may have joined one
-- generation; telling each of every step would push all else out of the stream, so they look by themselves instead.
local MANY = 200
local announced = 0  -- by this script
local function announce_work(key)
  redis.call('HINCRBY', work_name(key), 'rev', 1)
  announce(key)
  local parts = work_name(key) .. ':parts'
  if redis.call('SCARD', parts) > MANY then return end
  local works = redis.call('SMEMBERS', parts)
  works[#works + 1] = key
  for _, part in ipairs(works) do
    local jobs = work_name(part) .. ':jobs'
    local count = redis.call('SCARD', jobs)
    if count <= MANY and announced + count <= 10 * MANY then
      for _, id in ipairs(redis.call('SMEMBERS', jobs)) do announce(id) end
      announced = announced + count
    end
  end
end

local function enqueue(key, queue, priority, since, due_in_ms)
  local score = string.format('%.0f', tonumber(priority) * 1e14 + since)
  redis.call('ZADD', P .. ':queued:' .. queue, score, key)
  redis.call('ZREM', P .. ':sent:' .. queue, key)
  redis.call('ZADD', P .. ':due', string.format('%.0f', NOW + due_in_ms), key)
end

-- Somebody more important waits for this work now: it moves up, and its message is sent again, to the faster queue.
-- Whoever gave it up is overruled. Answers the key if a message is to be sent, else ''.
local function raise(key, priority, send_after_ms)
  local name = work_name(key)
  redis.call('HDEL', name, 'canceled_at')
  if get(name, 'status') == 'queued' and tonumber(get(name, 'priority')) > tonumber(priority) then
    redis.call('HSET', name, 'priority', tostring(priority))
    enqueue(key, get(name, 'queue'), priority, tonumber(get(name, 'created_at')), send_after_ms)
    return key
  end
  return ''
end

local function leave_queue(key, queue)
  redis.call('ZREM', P .. ':queued:' .. queue, key)
  redis.call('ZREM', P .. ':sent:' .. queue, key)
  redis.call('ZREM', P .. ':due', key)
end

-- A work leaves its place: the queue, or the hands of the worker that had claimed it.
local function leave_place(key)
  local name = work_name(key)
  local owner = get(name, 'owner')
  leave_queue(key, get(name, 'queue'))
  if owner ~= '' then redis.call('SREM', P .. ':owns:' .. owner, key) end
end

local function drop_work(key)
  local name = work_name(key)
  leave_place(key)
  redis.call('ZREM', P .. ':ending', key)
  redis.call('DEL', name, name .. ':jobs', name .. ':parts')
  announce(key)
end

local counts = {}
local function count(what) counts[what] = (counts[what] or 0) + 1 end

-- Every script that ends jobs writes what it counted at its end.
local function write_counts()
  for what, number in pairs(counts) do redis.call('HINCRBY', P .. ':counters', what, number) end
end

-- Ends one job unless it has ended before. `said_of(job)` overrides nothing that was said at submit. `code` is why it
-- failed: one of the words of `jobs/`, so few of them are counted.
local function finish_job(id, status, said_of, code, retention_s)
  local name = P .. ':job:' .. id
  local job = job_fields(id, 'status', 'rev', 'owner', 'generator', 'generation', 'label', 'cache', 'webhook_url')
  if job.status ~= 'queued' then return false end
  local said = said_of(job)
  said.status, said.finished_at, said.rev = status, NOW_S, string.format('%.0f', tonumber(job.rev) + 1)
  put_fields(name, said)
  expire_job(name, retention_s)
  unindex_job(id, job, 'queued')
  index_job(id, job, status)
  count(status)
  if status == 'succeeded' then count('served:' .. (said.cache or job.cache or '')) end
  if status == 'failed' then count('failed:' .. code) end
  if (job.webhook_url or '') ~= '' then redis.call('ZADD', P .. ':webhooks:' .. job.owner, NOW_S, id) end
  announce(id)
  return true
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

-- Jobs, renditions, and for a while after each request also downloads wait for a work. Of a download that a process of
-- the version before asked for, nobody knows for how long.
local function has_waiters(key)
  local name = work_name(key)
  if redis.call('SCARD', name .. ':jobs') > 0 or redis.call('SCARD', name .. ':parts') > 0 then return true end
  local asked = redis.call('HMGET', name, 'awaited_until', 'ordered')
  if asked[1] then return tonumber(asked[1]) > NOW end
  return asked[2] == '1'
end

-- A token that no other claim ever had: a Redis that lost its last second would give the same number out again.
local function new_token(worker)
  return string.format('%.0f@%s', redis.call('INCR', P .. ':token'), worker)
end

-- Whether this claim still holds: the fence. Stale tokens change nothing.
local function holds(key, token)
  local name = work_name(key)
  return get(name, 'status') == 'running' and get(name, 'token') == token
end
