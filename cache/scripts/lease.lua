-- Keep or give back a lease, if it is still the caller's.
--
--   lease  STRING  the token of its holder, with a life span
--
-- ARGV: tag, lease, token, milliseconds to keep it for (0: give it back)
-- Answers 'kept', 'given' or 'lost'

local lease, token, milliseconds = ARGV[2], ARGV[3], tonumber(ARGV[4])

return answer(function()
  if redis.call('GET', lease) ~= token then return 'lost' end
  if milliseconds == 0 then
    redis.call('UNLINK', lease)
    return 'given'
  end
  redis.call('PEXPIRE', lease, milliseconds)
  return 'kept'
end)
