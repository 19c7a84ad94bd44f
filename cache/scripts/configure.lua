-- Set limits, and everything else that all processes share; the first call on an empty server begins the state.
--
--   state    HASH    the fields; version moves on
--   events   STREAM  gains "config limits"
--   all others when the policy changes: its scores mean something else, so the tier starts empty
--
-- ARGV: tag, seed, then field, value pairs. With a seed (the settings a process was started with) the fields are
-- set only if it is not the seed of last time: a restart with the same settings keeps what an operator changed since,
-- a restart with other settings applies them.
-- Without a seed there must be a state: 'unseeded' when there is none.
-- A state that begins has values looked for that an earlier one left behind: nothing is known of them any more.
-- Answers 'configured' or 'kept'

local seed = ARGV[2]
redis.call('ZREM', EXPIRY, '') -- a full Redis allows this and then all that follows
if not read_state() then
  if seed == '' then return { 'unseeded' } end
  local now = text(now_us())
  -- Events are there from the first change on: it was this key alone that was lost, not all of the server
  local lost = redis.call('EXISTS', EVENTS) == 1 and redis.call('EXISTS', ORDER, ENTRIES, HITS) == 0
  redis.call('DEL', STATE)
  if lost then redis.call('HSET', STATE, 'lost', 'state', 'lost_at', redis.call('TIME')[1], 'rebuilds', 1) end
  redis.call('HSET', STATE, 'epoch', now, 'version', now, 'deleted', now, 'bytes', 0, 'floor', 0, 'stale', 0,
             'stale_bytes', 0, 'rebuild', 'sweep', 'rebuild_cursor', 0, 'kept', 0, 'swept', 0,
             unpack(ARGV, 3))
end

return answer(function()
  if seed ~= '' then
    if redis.call('HGET', STATE, 'seed') == seed then return 'kept' end
    redis.call('HSET', STATE, 'seed', seed)
  end
  mend(false) -- also when the state was lost and the rest is still there
  local policy = state.policy
  for i = 3, #ARGV, 2 do set(ARGV[i], ARGV[i + 1]) end
  if state.policy ~= policy then clear_all() end
  announce('config', 'limits')
  return 'configured'
end)
