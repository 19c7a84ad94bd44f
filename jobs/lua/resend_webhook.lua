-- Puts an ended job's webhook into the outbox anew, with all its tries. Answers 'pending', 'none' (the job names no
-- URL), or 'early' (the job has not ended: it will be sent anyway).
-- Touches P:job:<id>, P:webhooks:<owner>, P:webhook:<id>.

local job = P .. ':job:' .. a.id
if get(job, 'webhook_url') == '' then return 'none' end
if get(job, 'finished_at') == '' then return 'early' end
redis.call('DEL', P .. ':webhook:' .. a.id)
redis.call('ZADD', P .. ':webhooks:' .. get(job, 'owner'), NOW_S, a.id)
return 'pending'
