-- Asks for a rendition of a finished mesh without a job behind it: a download in another form, for which somebody holds
-- a connection open for a while. It waits for the work as jobs do, but only for a.wait_ms from now: nobody says when a
-- download has gone away. Answers 1 when a message is to be sent: the work is new, or has moved up to go first.
-- Touches P:work:<key>, P:queued:<queue>, P:sent:<queue>, P:due, P:error:<key>.

local name = work_name(a.key)
local until_ms = string.format('%.0f', NOW + a.wait_ms)
if redis.call('EXISTS', name) == 1 then
  -- `ordered` is for a worker of the version before: it knows no other mark.
  redis.call('HSET', name, 'awaited_until', until_ms, 'ordered', '1')
  return raise(a.key, URGENT, a.send_after_ms) ~= '' and 1 or 0
end
redis.call('DEL', P .. ':error:' .. a.key)
local fields = a.fields
fields.status, fields.queue, fields.priority = 'queued', a.queue, URGENT
fields.created_at, fields.attempts, fields.progress = NOW_S, '0', '0'
fields.awaited_until, fields.ordered = until_ms, '1'
put_fields(name, fields)
enqueue(a.key, a.queue, URGENT, NOW, a.send_after_ms)
return 1
