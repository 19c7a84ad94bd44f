-- Keep or give back a lease, if it is still the caller's.
--
--   lease  STRING  the token of its holder, with a life span
--
-- ARGV: tag, lease, token, milliseconds to keep it for (0: give it back)
-- Answers {'unseeded'} | {'kept' | 'given' | 'lost', version, epoch}
local lease, token, milliseconds = ARGV[2], ARGV[3], tonumber(ARGV[4])
local state = redis.call('HMGET', STATE, 'version', 'epoch')
if not state[1] then return { 'unseeded' } end
if redis.call('GET', lease) ~= token then return { 'lost', state[1], state[2] } end
if milliseconds > 0 then
  redis.call('PEXPIRE', lease, milliseconds)
  return { 'kept', state[1], state[2] }
end
redis.call('UNLINK', lease)
return { 'given', state[1], state[2] }
