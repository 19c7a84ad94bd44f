-- Works whose message should be sent now, at most a.limit of them. Each is due again after a.again_ms unless `sent`
-- says that it went out, so that two who keep watch do not both send. A due time far ahead is a clock that jumped
-- back: due as well. With a.only, just that one work, if it waits. Answers lists of {key, fields…}.
-- Touches P:due, P:work:<key>.

local keys = {}
if a.only then
  if redis.call('ZSCORE', P .. ':due', a.only) then keys = {a.only} end
else
  keys = redis.call('ZRANGEBYSCORE', P .. ':due', '-inf', NOW_S, 'LIMIT', 0, a.limit)
  local far = string.format('(%.0f', NOW + a.far_ms)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', P .. ':due', far, '+inf', 'LIMIT', 0, a.limit)) do
    keys[#keys + 1] = key
  end
end
local answer = {}
for _, key in ipairs(keys) do
  if redis.call('EXISTS', work_name(key)) == 1 then
    redis.call('ZADD', P .. ':due', string.format('%.0f', NOW + a.again_ms), key)
    answer[#answer + 1] = redis.call('HGETALL', work_name(key))
    table.insert(answer[#answer], 1, key)
  else
    redis.call('ZREM', P .. ':due', key)
  end
end
return answer
