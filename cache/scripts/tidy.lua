-- One bounded step of housekeeping: what has expired, what is stale, what is over the limits.
--
--   state    HASH  bytes, stale and counters
--   order, expiry, entries, hits   lose what goes
--   blob, parts      deleted
--
-- ARGV: tag, room in bytes ('' when unlimited)
-- Answers 'again' or 'clean', and the phase of a rebuild ('' when there is none)

return answer(function()
  mend(true)
  local fits, clean = tidy(now_us(), 0, 0, ARGV[2])
  return (fits ~= 'again' and clean) and 'clean' or 'again', { state.rebuild }
end)
