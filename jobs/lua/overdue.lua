-- Works of one queue whose message went out longer than a.after_ms ago and that still wait, longest first, at most
-- a.limit; a time in the future is a clock that jumped back. Answers {how many messages went out and still wait, how
-- many workers of the queue have been ready and idle for a.after_ms, lists of {key, fields…}}.
-- Touches P:sent:<queue>, P:work:<key>, P:workers, P:worker:<worker>; writes nothing.

local name = P .. ':sent:' .. a.queue
local keys = redis.call('ZRANGEBYSCORE', name, '-inf', string.format('%.0f', NOW - a.after_ms), 'LIMIT', 0, a.limit)
for _, key in ipairs(redis.call('ZRANGEBYSCORE', name, '(' .. NOW_S, '+inf', 'LIMIT', 0, a.limit)) do
  keys[#keys + 1] = key
end
local works = {}
for i, key in ipairs(keys) do
  works[i] = redis.call('HGETALL', work_name(key))
  table.insert(works[i], 1, key)
end
local idle, alive_since = 0, string.format('%.0f', NOW - a.alive_ms)
if #keys > 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':workers', alive_since, '+inf')) do
    local worker = P .. ':worker:' .. id
    local since = tonumber(get(worker, 'idle_since'))
    if get(worker, 'queue') == a.queue and get(worker, 'consuming') ~= '0' and since and NOW - since >= a.after_ms then
      idle = idle + 1
    end
  end
end
return {redis.call('ZCARD', name), idle, works}
