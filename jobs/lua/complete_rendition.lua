-- The rendition is in the archive: every job that waits for it has succeeded. Answers how many, or 'stale'.
-- Who did not have the mesh made has saved what that cost: `cost_s`, '' when nobody noted it.
-- Touches P:work:<key>*, P:job:<id>, P:owns:<worker>, P:counters, P:changes.

if not holds(a.key, a.token) then return 'stale' end
local name = work_name(a.key)
local work = fields_of(name)
local ended = 0
for _, id in ipairs(redis.call('SMEMBERS', name .. ':jobs')) do
  local more = {result = a.result, started_at = work.started_at, attempts = work.attempts, timings = a.timings,
    task_id = work.task_id}
  local served = get(P .. ':job:' .. id, 'cache')
  if served == '' then served, more.cache = a.cache, a.cache end
  more.saved_s = served == 'MISS' and '0' or a.cost_s
  if finish_job(id, 'succeeded', more, a.retention_s) then ended = ended + 1 end
end
drop_work(a.key)
return ended
