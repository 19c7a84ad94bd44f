-- Accepts a job in one step. Answers {outcome, job id, key of the work whose message is to be sent now, or ''}:
--   repeat / conflict   the idempotency key was seen, with the same / another body
--   full                the queue is at its limit; nothing was written
--   done                the result exists: the job is born succeeded
--   joined              the same work is in flight: the job waits with the others
--   new                 the job leads; the work `a.leads` is queued and its message due
-- Touches P:idem, P:job, P:jobs*, P:list, P:owners, P:work*, P:queued:*, P:sent:*, P:due, P:counters, P:changes.

if a.idem then
  local seen = redis.call('HMGET', P .. ':idem:' .. a.idem, 'body', 'job')
  if seen[1] and seen[1] ~= a.idem_body then return {'conflict', seen[2], ''} end
  if seen[1] then return {'repeat', seen[2], ''} end
end

local rendition, generation = a.rendition, a.generation
local in_flight = redis.call('EXISTS', work_name(rendition.key)) == 1
local generating = redis.call('EXISTS', work_name(generation.key)) == 1
local leads = nil
if a.found ~= 'rendition' and not in_flight then
  if a.found == 'mesh' then leads = rendition elseif not generating then leads = generation end
end
if leads and redis.call('ZCARD', P .. ':queued:' .. leads.queue) >= a.queue_limit then
  return {'full', '', ''}
end

local job = a.job
job.created_at = NOW_S
job.rev = '1'
job.status = 'queued'
local outcome = leads and 'new' or 'joined'
if a.found == 'rendition' then outcome = 'done' end
if outcome == 'joined' then job.cache = 'COALESCED' end
put_fields(P .. ':job:' .. job.id, job)
redis.call('ZADD', P .. ':jobs', 0, job.id)
redis.call('ZADD', P .. ':jobs:' .. job.owner, 0, job.id)
redis.call('SADD', P .. ':owners', job.owner)
index_job(job.id, job, 'queued')
if a.idem then
  put_fields(P .. ':idem:' .. a.idem, {body = a.idem_body, job = job.id})
  redis.call('EXPIRE', P .. ':idem:' .. a.idem, a.idem_ttl_s)
end
redis.call('HINCRBY', P .. ':counters', 'submitted', 1)
redis.call('HINCRBY', P .. ':counters', 'outcome:' .. outcome, 1)

if outcome == 'done' then
  local said = {cache = job.cache, result = a.result, started_at = NOW_S}
  finish_job(job.id, 'succeeded', function() return said end, nil, a.retention_s)
  write_counts()
  return {outcome, job.id, ''}
end

local function create(work, status)
  local fields = work.fields
  fields.status = status
  fields.queue = work.queue
  fields.priority = tostring(a.priority)
  fields.created_at = NOW_S
  fields.attempts = '0'
  fields.progress = '0'
  put_fields(work_name(work.key), fields)
  if status == 'queued' then enqueue(work.key, work.queue, a.priority, NOW, a.send_after_ms) end
end

if not in_flight then
  if leads == rendition then
    create(rendition, 'queued')
  else
    create(rendition, 'blocked')
    if leads == generation then create(generation, 'queued') end
    redis.call('SADD', work_name(generation.key) .. ':parts', rendition.key)
  end
end
redis.call('SADD', work_name(rendition.key) .. ':jobs', job.id)
local leader = rendition.key
if get(work_name(rendition.key), 'status') == 'blocked' then leader = generation.key end
local to_send = leads and leader or raise(leader, a.priority, a.send_after_ms)
redis.call('HSET', P .. ':job:' .. job.id, 'task_id', get(work_name(leader), 'task_id'))
announce(job.id)
return {outcome, job.id, to_send}
