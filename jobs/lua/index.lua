-- One step of building the index that `find` reads, from the newest job to the oldest; a.fresh begins anew. Jobs of a
-- version that kept no index come into it this way, and what was lost of it. Jobs that begin or end meanwhile index
-- themselves. Answers 1 when older jobs are left.
-- Touches P:list*, P:jobs, P:job:<id>.

if a.fresh then redis.call('UNLINK', LIST, INDEXED) end
local from = redis.call('GET', INDEXED)
if from == 'all' then return 0 end
local ids = redis.call('ZREVRANGEBYLEX', P .. ':jobs', from and '(' .. from or '+', '-', 'LIMIT', 0, a.at_once)
for _, id in ipairs(ids) do
  local job = job_fields(id, 'owner', 'status', 'generator', 'generation', 'label')
  if job.status then
    index_job(id, job, job.status)
    if job.status ~= 'queued' then expire_job(P .. ':job:' .. id, a.retention_s) end
  end
end
local left = #ids == a.at_once
redis.call('SET', INDEXED, left and ids[#ids] or 'all')
return left and 1 or 0
