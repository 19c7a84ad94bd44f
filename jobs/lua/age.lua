-- Who has waited for long moves up: from low after one a.step_ms, from normal after two. Its message is sent again,
-- with the new priority; the old one finds nothing to claim. Answers how many moved; at most a.limit per queue.
-- Touches P:queued:<queue>, P:sent:<queue>, P:due, P:work:<key>.

local moved = 0
for _, queue in ipairs(a.queues) do
  for _, step in ipairs({{from = 3, after = 1}, {from = 2, after = 2}}) do
    local least = string.format('%.0f', step.from * 1e14)
    local most = string.format('%.0f', step.from * 1e14 + NOW - step.after * a.step_ms)
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', P .. ':queued:' .. queue, least, most, 'LIMIT', 0, a.limit)) do
      redis.call('HSET', work_name(key), 'priority', step.from - 1)
      enqueue(key, queue, step.from - 1, tonumber(get(work_name(key), 'created_at')), 0)
      moved = moved + 1
    end
  end
end
return moved
