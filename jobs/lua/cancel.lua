-- Cancels one job; its work only when nobody else waits for it. Answers 'missing', 'ended' or 'canceled'.
-- Touches P:job:<id>, P:list, P:work:<rendition>*, P:work:<generation>*, P:queued:<queue>, P:sent:<queue>, P:due,
-- P:ending, P:webhooks:<owner>, P:counters, P:changes.

local name = P .. ':job:' .. a.id
local job = fields_of(name)
if not job.status then return 'missing' end
local work = work_name(job.rendition)
local leader = get(work, 'status') == 'blocked' and work_name(job.generation) or work
local said = {error = a.error, started_at = get(leader, 'started_at')}
said.task_id = redis.call('HGET', leader, 'task_id') or job.task_id
if not finish_job(a.id, 'canceled', function() return said end, nil, a.retention_s) then return 'ended' end
write_counts()

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

-- A download waits, so the mesh exists: its rendition does not need the generation that the job had asked for anew.
local function unblock(key)
  redis.call('HSET', work_name(key), 'status', 'queued', 'priority', URGENT)
  enqueue(key, get(work_name(key), 'queue'), URGENT, NOW, 0)
  return true
end

redis.call('SREM', work .. ':jobs', a.id)
local gone = abandon(job.rendition)
if not gone and get(work, 'status') == 'blocked' and redis.call('SCARD', work .. ':jobs') == 0 then
  gone = unblock(job.rendition)
end
if gone then
  redis.call('SREM', work_name(job.generation) .. ':parts', job.rendition)
  if redis.call('EXISTS', work_name(job.generation)) == 1 then abandon(job.generation) end
end
return 'canceled'
