-- One bounded step of putting the index in order after some of its keys have vanished; mend() has begun it.
--
--   state    HASH    rebuild (begun, adopt, sweep, '' at the end), rebuild_cursor, kept, swept; bytes
--   old_entries HASH, old_order ZSET, old_hits HASH   what was found, read and in the end deleted
--   order, expiry, entries, hits   gain the entries whose record and value are still complete
--   blob, parts      deleted when no record names them
--
-- Of an entry without a record nothing can be served: its checksum and metadata are gone, so its value is deleted.
-- Values of another epoch than the present one are deleted too: after a loss of the state nobody knows any more which
-- of them had been cleared.
--
-- ARGV: tag
-- Answers 'again', 'done' with the step that ended it, or 'idle'; the lost keys ('' when nothing was), entries kept,
-- values deleted

local function adopt(now, key, record)
  local entry = parsed(record)
  local expired = entry.expires > 0 and entry.expires <= now
  if entry.stale or expired or redis.call('HEXISTS', ENTRIES, key) == 1 then return end
  if not whole(place(key, entry.parts), entry.length, entry.parts) then return end
  local hits = redis.call('HGET', old('hits'), key) or '0'
  local last_used = redis.call('ZSCORE', old('order'), key)
  if not last_used then last_used = state.policy == 'gdsf' and score(now, hits + 1, entry) or entry.stored end
  redis.call('HSET', ENTRIES, key, record)
  redis.call('HSET', HITS, key, hits)
  redis.call('ZADD', ORDER, last_used, key)
  if entry.expires > 0 then redis.call('ZADD', EXPIRY, text(entry.expires), key) end
  add('bytes', entry.charge)
  add('kept', 1)
end

local function adopt_some(cursor)
  local now = now_us()
  local found = redis.call('HSCAN', old('entries'), cursor, 'COUNT', STEP_ENTRIES)
  for i = 1, #found[2], 2 do adopt(now, found[2][i], found[2][i + 1]) end
  if found[1] == '0' then
    redis.call('UNLINK', old('entries'), old('order'), old('hits'))
    set('rebuild', 'sweep')
  end
  tidy(now, 0, 0, '')
  return found[1]
end

local function sweep_some(cursor)
  local prefix = TAG .. ':'
  local found = redis.call('SCAN', cursor, 'MATCH', string.gsub(prefix, '[%[%]*?\\]', '\\%0') .. '*',
                           'COUNT', STEP_ENTRIES)
  for _, value in ipairs(found[2]) do
    local kind, key = string.match(string.sub(value, #prefix + 1), '^(%a+):(.*)$')
    local entry = (kind == 'blob' or kind == 'parts') and find(key)
    if (kind == 'blob' or kind == 'parts') and not (entry and place(key, entry.parts) == value) then
      redis.call('UNLINK', value)
      add('swept', 1)
    end
  end
  return found[1]
end

local function finish(lost)
  set('rebuild', '')
  if lost == '' and state.swept ~= '0' then -- a new state found values of one that is gone, and nothing else of it
    set('lost', 'all')
    set('lost_at', redis.call('TIME')[1])
    count('rebuilds')
  end
end

return answer(function()
  local known = redis.call('HMGET', STATE, 'rebuild_cursor', 'lost', 'kept', 'swept')
  if state.rebuild == '' then return 'idle' end
  state.lost, state.kept, state.swept = known[2] or '', known[3], known[4]
  if state.rebuild == 'begun' then set('rebuild', 'adopt') end
  if state.rebuild == 'adopt' then
    set('rebuild_cursor', adopt_some(known[1]))
  else
    set('rebuild_cursor', sweep_some(known[1]))
    if state.rebuild_cursor == '0' then finish(state.lost) end
  end
  return state.rebuild == '' and 'done' or 'again', { state.lost, state.kept, state.swept }
end)
