-- One step of forgetting ended jobs, from the oldest on, behind the job a.after: those that ended longer ago than
-- a.retention_s, and those older than the newest a.kept. What waits or runs stays. a.passed is how many older jobs
-- stayed in the steps before, a.young an id as a job would have that began a.retention_s ago.
-- Answers {how many were forgotten, the last job looked at or '' at the end, a.passed for the next step}.
-- Touches P:jobs*, P:list, P:owners, P:job:<id>, P:webhook:<id>.

local all = P .. ':jobs'
local surplus = redis.call('ZCARD', all) - a.kept
local ids = redis.call('ZRANGEBYLEX', all, a.after ~= '' and '(' .. a.after or '-', '+', 'LIMIT', 0, a.at_once)
local gone, lost, passed, last = 0, {}, a.passed, ''

local function forget(id, job)
  redis.call('DEL', P .. ':job:' .. id, P .. ':webhook:' .. id)
  redis.call('ZREM', all, id)
  redis.call('ZREM', all .. ':' .. job.owner, id)
  unindex_job(id, job, job.status)
  gone = gone + 1
end

for i, id in ipairs(ids) do
  local beyond = a.passed + i - 1 < surplus
  if not beyond and id >= a.young then break end
  last = id
  local job = job_fields(id, 'owner', 'status', 'generator', 'generation', 'label', 'finished_at')
  local over = job.finished_at and tonumber(job.finished_at) + a.retention_s * 1000 <= NOW
  if not job.status then
    lost[#lost + 1] = id
  elseif job.status ~= 'queued' and (beyond or over) then
    forget(id, job)
  else
    passed = passed + 1
  end
end
if #lost > 0 then
  redis.call('ZREM', all, unpack(lost))
  for _, owner in ipairs(redis.call('SMEMBERS', P .. ':owners')) do redis.call('ZREM', all .. ':' .. owner, unpack(lost)) end
end
return {gone + #lost, (last ~= '' and last == ids[a.at_once]) and last or '', passed}
