-- Asks for a rendition of a finished mesh without a job behind it: a download in another form. Answers 1 when it is new.
-- Somebody holds a connection open for it, so it goes first.
-- Touches P:work:<key>, P:queued:<queue>, P:sent:<queue>, P:due, P:error:<key>.

if redis.call('EXISTS', work_name(a.key)) == 1 then return 0 end
redis.call('DEL', P .. ':error:' .. a.key)
local fields = a.fields
fields.status, fields.queue, fields.priority = 'queued', a.queue, URGENT
fields.created_at, fields.attempts, fields.progress, fields.ordered = NOW_S, '0', '0', '1'
put_fields(work_name(a.key), fields)
enqueue(a.key, a.queue, URGENT, NOW, a.send_after_ms)
return 1
