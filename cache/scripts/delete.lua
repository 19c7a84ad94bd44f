-- Forget one key, and tell every local tier to forget it too (they may hold it when this tier does not).
--
--   state    HASH    version and deleted move on; bytes lose the charge
--   order, expiry, entries, hits   lose the key
--   events   STREAM  gains "delete <key>"
--   blob, parts      deleted
--
-- ARGV: tag, key · Answers 'deleted' or 'absent'

return answer(function()
  local key = ARGV[2]
  local entry = find(key)
  if entry then drop(key, entry) end
  local waiting = state.rebuild ~= '' and redis.call('HDEL', old('entries'), key) == 1
  announce('delete', key)
  set('deleted', state.version)
  return (waiting or entry and not entry.stale) and 'deleted' or 'absent'
end)
