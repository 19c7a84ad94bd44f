-- Looks at jobs (a.ids) that are said to wait: one whose work does not know it is put back among those that wait for it;
-- one that was seen without any work for a.after_ms ends with a.error. Answers the ids of both.
-- Touches P:job:<id>, P:work:<rendition>:jobs, and all that finish_job touches.

local mended, code = {}, tostring(cjson.decode(a.error).code)
local function said() return {error = a.error} end
for _, id in ipairs(a.ids) do
  local job = fields_of(P .. ':job:' .. id)
  if job.status == 'queued' then
    local work = work_name(job.rendition)
    if redis.call('EXISTS', work) == 0 then
      redis.call('HSETNX', P .. ':job:' .. id, 'lost_at', NOW_S)
      if NOW - tonumber(job.lost_at or NOW_S) >= a.after_ms then
        finish_job(id, 'failed', said, code, a.retention_s)
        mended[#mended + 1] = id
      end
    elseif redis.call('SADD', work .. ':jobs', id) == 1 then
      mended[#mended + 1] = id
    end
  end
end
write_counts()
return mended
