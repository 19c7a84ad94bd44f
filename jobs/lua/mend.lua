-- Looks at works (a.keys) whose place was lost, as to an eviction policy or a key that somebody deleted, and puts each
-- back where it belongs: a waiting one into its queue and the outbox; a running one to its worker, or to the next when
-- that worker is gone; one with a verdict to those whose jobs are being ended; a rendition whose generation is not there
-- any more is tried by itself. Answers the keys of those that it has put back.
-- Touches P:work:<key>*, P:queued:<queue>, P:sent:<queue>, P:due, P:ending, P:workers, P:owns:<worker>, and all that
-- take_back touches.

local mended = {}
for _, key in ipairs(a.keys) do
  local work = fields_of(work_name(key))
  local lost = true
  if work.status == 'queued' and not redis.call('ZSCORE', P .. ':queued:' .. work.queue, key) then
    enqueue(key, work.queue, work.priority, tonumber(work.created_at), 0)
  elseif work.status == 'queued' and not redis.call('ZSCORE', P .. ':due', key)
    and not redis.call('ZSCORE', P .. ':sent:' .. work.queue, key) then
    redis.call('ZADD', P .. ':due', NOW_S, key)
  elseif work.status == 'running' and not redis.call('ZSCORE', P .. ':workers', work.owner) then
    take_back(key, a.max_attempts, a.poison)
  elseif work.status == 'running' and redis.call('SISMEMBER', P .. ':owns:' .. work.owner, key) == 0 then
    redis.call('SADD', P .. ':owns:' .. work.owner, key)
  elseif work.status == 'ending' and not redis.call('ZSCORE', P .. ':ending', key) then
    step_again(key, 0)
  elseif work.status == 'blocked' and redis.call('EXISTS', work_name(work.generation)) == 0 then
    redis.call('HSET', work_name(key), 'status', 'queued')
    enqueue(key, work.queue, work.priority, tonumber(work.created_at), 0)
  elseif work.status == 'blocked'
    and redis.call('SISMEMBER', work_name(work.generation) .. ':parts', key) == 0 then
    redis.call('SADD', work_name(work.generation) .. ':parts', key)
  else
    lost = false
  end
  if lost then mended[#mended + 1] = key end
end
return mended
