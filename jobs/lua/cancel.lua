-- Cancels one job; its work only when nobody else waits for it. Answers 'missing', 'ended' or 'canceled'.
-- Touches P:job:<id>, P:work:<rendition>*, P:work:<generation>*, P:queued:<queue>, P:due, P:counters, P:changes.

local name = P .. ':job:' .. a.id
local job = fields_of(name)
if not job.status then return 'missing' end
local work = work_name(job.rendition)
local leader = get(work, 'status') == 'blocked' and work_name(job.generation) or work
local more = {error = a.error, started_at = get(leader, 'started_at')}
more.task_id = redis.call('HGET', leader, 'task_id') or job.task_id
if not finish_job(a.id, 'canceled', more, a.retention_s) then return 'ended' end

-- Running work is marked, for its worker to see; waiting work simply goes.
local function abandon(key)
  if has_waiters(key) then return false end
  if get(work_name(key), 'status') == 'running' then
    redis.call('HSET', work_name(key), 'canceled_at', NOW_S)
    return false
  end
  drop_work(key)
  return true
end

redis.call('SREM', work .. ':jobs', a.id)
if abandon(job.rendition) then
  redis.call('SREM', work_name(job.generation) .. ':parts', job.rendition)
  if redis.call('EXISTS', work_name(job.generation)) == 1 then abandon(job.generation) end
end
return 'canceled'
