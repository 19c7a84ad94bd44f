-- Works of one queue whose message went out longer than a.after_ms ago and that still wait, longest first, at most
-- a.limit; a time in the future is a clock that jumped back. Answers {how many messages went out and still wait,
-- lists of {key, fields…}}.
-- Touches P:sent:<queue>, P:work:<key>; writes nothing.

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
return {redis.call('ZCARD', name), works}
