-- Forget everything, in the shared tier, in the local tiers, or in both.
--
-- In the shared tier a new epoch begins: all is gone for readers at once, and commits begun before are refused.
--
--   state    HASH    version, epoch, stale and floor move on
--   events   STREAM  gains "clear shared", "clear local" or both
--
-- ARGV: tag, 1 for the shared tier, 1 for the local tiers
-- Answers 'cleared' and the number of entries that were in the shared tier

return answer(function()
  mend(false)
  local size = 0
  if ARGV[2] == '1' then
    size = redis.call('ZCARD', ORDER) - state.stale
    clear_all()
  end
  if ARGV[3] == '1' then announce('clear', 'local') end
  return 'cleared', { text(size) }
end)
