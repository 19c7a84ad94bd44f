-- How a work with a verdict ends, in steps of bounded length.
--
-- The verdict stands in the work's own fields: `verdict` is `succeeded` (with `result`, `served`, `cost_s`), `failed`
-- (with `error`), or, of a generation whose mesh exists, `made`: its renditions go to the render queue.

local STEP_LEASE_MS = 2000  -- longer than a step and its round trip: then the process that took it has died

local function step_again(key, in_ms)
  redis.call('ZADD', P .. ':ending', string.format('%.0f', NOW + in_ms), key)
end

-- From here on no claim on this work holds.
local function begin_ending(key, verdict, fields)
  local name = work_name(key)
  leave_place(key)
  redis.call('HDEL', name, 'owner', 'token', 'canceled_at')
  redis.call('HINCRBY', name, 'rev', 1)
  fields.verdict, fields.status = verdict, 'ending'
  put_fields(name, fields)
  step_again(key, 0)
  announce(key)
end

-- What the work's verdict says of a job. Who did not have the mesh made has saved what that cost: `cost_s`, '' when
-- nobody noted it.
local function verdict_of(work)
  return function(job)
    local said = {started_at = work.started_at, attempts = work.attempts, task_id = work.task_id}
    if work.verdict == 'failed' then
      said.error = work.error
      return said
    end
    said.result, said.timings = work.result, work.timings
    local served = job.cache
    if served == '' then served, said.cache = work.served, work.served end
    said.saved_s = served == 'MISS' and '0' or work.cost_s
    return said
  end
end

local function end_jobs(rendition, work, limit, retention_s)
  local ended, said_of = 0, verdict_of(work)
  local code = work.verdict == 'failed' and tostring(cjson.decode(work.error).code)
  local ids = redis.call('SPOP', work_name(rendition) .. ':jobs', limit)
  for _, id in ipairs(ids) do
    if finish_job(id, work.verdict, said_of, code, retention_s) then ended = ended + 1 end
  end
  return ended, #ids
end

-- The mesh is there: a rendition that no worker was handed waits for one. It is not to blame for the attempts so far.
local function release_part(part, work)
  local name = work_name(part)
  local before = string.format('%.0f', tonumber(work.attempts) - 1)
  redis.call('HSET', name, 'status', 'queued', 'attempts', before, 'inherited', before, 'cache', work.served,
    'timings', work.timings, 'created_at', NOW_S)
  enqueue(part, get(name, 'queue'), get(name, 'priority'), NOW, 0)
  announce_work(part)
end

local function fail_part(part, work, limit, retention_s)
  local ended, looked = end_jobs(part, work, limit, retention_s)
  if redis.call('SCARD', work_name(part) .. ':jobs') == 0 then
    redis.call('SET', P .. ':error:' .. part, work.error, 'EX', 60)
    drop_work(part)
  end
  return ended, looked
end

local function take_step(key, limit, retention_s)
  local name = work_name(key)
  local work = fields_of(name)
  if work.status ~= 'ending' then
    redis.call('ZREM', P .. ':ending', key)
    return 0, false
  end
  local ended, looked = 0, 0
  for _, part in ipairs(redis.call('SRANDMEMBER', name .. ':parts', limit)) do
    if looked >= limit then break end
    if work.verdict == 'made' then
      redis.call('SREM', name .. ':parts', part)
      release_part(part, work)
    else
      local now_ended, now_looked = fail_part(part, work, limit - looked, retention_s)
      if redis.call('EXISTS', work_name(part)) == 0 then redis.call('SREM', name .. ':parts', part) end
      ended, looked = ended + now_ended, looked + now_looked
    end
    looked = looked + 1
  end
  if looked < limit and work.verdict ~= 'made' then
    local now_ended = end_jobs(key, work, limit - looked, retention_s)
    ended = ended + now_ended
  end
  if redis.call('SCARD', name .. ':jobs') == 0 and redis.call('SCARD', name .. ':parts') == 0 then
    drop_work(key)
    return ended, false
  end
  step_again(key, STEP_LEASE_MS)
  return ended, true
end

-- One step: at most `limit` jobs and renditions. Answers how many jobs ended, and whether more are left.
local function end_some(key, limit, retention_s)
  local ended, left = take_step(key, limit, retention_s)
  write_counts()
  return ended, left
end

local function begin_failing(key, error)
  redis.call('SET', P .. ':error:' .. key, error, 'EX', 60)
  begin_ending(key, 'failed', {error = error})
end

-- Fails the work and the first `limit` jobs that wait for it. Answers 'failing' when more are left, else 'failed'.
local function fail_in_steps(key, error, limit, retention_s)
  begin_failing(key, error)
  local _, left = end_some(key, limit, retention_s)
  return left and 'failing' or 'failed'
end

-- A claimed work whose worker is gone: another try, or the end when it has had its share.
local function take_back(key, max_attempts, poison)
  local name = work_name(key)
  if get(name, 'status') ~= 'running' then return end
  if get(name, 'canceled_at') ~= '' then
    drop_work(key)
  elseif tries(name) >= max_attempts then
    begin_failing(key, poison)
  else
    requeue(key, 0)
  end
end

local function forget_worker(worker, max_attempts, poison)
  local taken = redis.call('SMEMBERS', P .. ':owns:' .. worker)
  for _, key in ipairs(taken) do take_back(key, max_attempts, poison) end
  redis.call('DEL', P .. ':owns:' .. worker, P .. ':worker:' .. worker)
  redis.call('ZREM', P .. ':workers', worker)
  return #taken
end
