-- One step of looking through all that is indexed as waiting, behind the member a.after: what a worker of the version
-- before ended, or what Redis lost, finds its right place in the index. Answers the last member looked at, '' at the
-- end.
-- Touches P:list, P:job:<id>.

local from = a.after ~= '' and '(' .. a.after or '[g/'
local found = redis.call('ZRANGEBYLEX', LIST, from, '(g0', 'LIMIT', 0, a.at_once)
for _, member in ipairs(found) do
  local id = string.sub(member, -32)
  local job = job_fields(id, 'owner', 'status', 'generator', 'generation', 'label')
  if job.status ~= 'queued' then
    redis.call('ZREM', LIST, member)
    if job.status then
      unindex_job(id, job, 'queued')
      index_job(id, job, job.status)
    end
  end
end
return #found == a.at_once and found[#found] or ''
