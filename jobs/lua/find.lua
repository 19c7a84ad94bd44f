-- Ids of the newest jobs older than a.before ('' for all) that match: a.owner, a.status, a.generator, a.label, each
-- optional. Answers {ids from the newest to the oldest, the last id that was looked at, 1 when none is older}, or
-- 'unbuilt' when the index does not reach back to the oldest job yet. One call looks at a.most jobs at most, so it may
-- find nothing and still not be at the end: what waits or runs is decided by looking at each job's work.
-- Touches P:list*, P:job:<id>, P:work:<key>, P:workers, P:owns:<worker>, P:ending; writes nothing.

if redis.call('GET', INDEXED) ~= 'all' then return 'unbuilt' end

local COMPARED = 20000  -- heads of lists, in one call
local BATCH = 50  -- members read at a time from one prefix

-- The text just behind all that begin with this prefix, which ends with a slash.
local function behind(prefix) return string.sub(prefix, 1, -2) .. '0' end

-- The different next parts of the members below this prefix, one look for each.
local function parts_below(prefix)
  local found, from = {}, '[' .. prefix
  while true do
    local member = redis.call('ZRANGEBYLEX', LIST, from, '(' .. behind(prefix), 'LIMIT', 0, 1)[1]
    if not member then return found end
    local part = string.match(member, '^([^/]*)/', #prefix + 1)
    found[#found + 1] = part
    from = '[' .. behind(prefix .. part .. '/')
  end
end

-- Generations that are made now, or whose renditions are.
local function running_generations()
  local keys = redis.call('ZRANGE', P .. ':ending', 0, -1)
  for _, worker in ipairs(redis.call('ZRANGE', P .. ':workers', 0, -1)) do
    for _, key in ipairs(redis.call('SMEMBERS', P .. ':owns:' .. worker)) do keys[#keys + 1] = key end
  end
  local found, seen = {}, {}
  for _, key in ipairs(keys) do
    local generation = get(work_name(key), 'generation')
    if not seen[generation] then found[#found + 1] = generation end
    seen[generation] = true
  end
  return found
end

-- Prefixes whose ids together are all candidates.
local function prefixes()
  local found = {}
  if a.status == 'running' then
    for _, generation in ipairs(running_generations()) do found[#found + 1] = 'g/' .. generation .. '/' end
    return found
  end
  local base = a.label and 'l/' .. label_digest(a.label) .. '/' or 'c/'
  local letters = a.status and {LETTERS[a.status]} or {'q', 's', 'f', 'c'}
  for _, owner in ipairs(a.owner and {segment(a.owner)} or parts_below(base)) do
    for _, letter in ipairs(letters) do
      local class = base .. owner .. '/' .. letter .. '/'
      for _, generator in ipairs(a.generator and {segment(a.generator)} or parts_below(class)) do
        found[#found + 1] = class .. generator .. '/'
      end
    end
  end
  return found
end

-- A list of ids below one prefix, older than `before`, of which a batch is read at a time; nothing when it is empty.
local function open_list(prefix, before, count)
  local most = before ~= '' and '(' .. prefix .. before or '(' .. behind(prefix)
  local members = redis.call('ZREVRANGEBYLEX', LIST, most, '[' .. prefix, 'LIMIT', 0, count)
  if not members[1] then return nil end
  return {prefix = prefix, members = members, count = count, at = 1, head = string.sub(members[1], #prefix + 1)}
end

local function advance(list)
  if list.at < #list.members then
    list.at = list.at + 1
    list.head = string.sub(list.members[list.at], #list.prefix + 1)
    return list
  end
  if #list.members < list.count then return nil end
  return open_list(list.prefix, list.head, BATCH)
end

local lists = {}
for _, prefix in ipairs(prefixes()) do lists[#lists + 1] = open_list(prefix, a.before, 1) end

-- The newest id of all lists, each once; nothing when all are at their end.
local function next_id()
  local newest
  for i, list in ipairs(lists) do
    if not newest or list.head > lists[newest].head then newest = i end
  end
  if not newest then return nil end
  local id = lists[newest].head
  local list = advance(lists[newest])
  if list then lists[newest] = list else table.remove(lists, newest) end
  return id
end

local states = {}
local function state_of(rendition, generation)
  if states[rendition] == nil then
    local status = get(work_name(rendition), 'status')
    if status == 'blocked' then status = get(work_name(generation), 'status') end
    states[rendition] = (status == 'running' or status == 'ending') and 'running' or 'queued'
  end
  return states[rendition]
end

local wanted = {}
for _, field in ipairs({'owner', 'generator', 'label'}) do
  if a[field] then wanted[#wanted + 1] = field end
end
local by_work = a.status == 'queued' or a.status == 'running'

-- Only what is asked for is read: thousands may have to be looked at.
local function matches(id)
  local values = redis.call('HMGET', P .. ':job:' .. id, 'status', 'rendition', 'generation', unpack(wanted))
  local status = values[1]
  if not status then return false end
  if by_work and status == 'queued' then status = state_of(values[2], values[3]) end
  if a.status and status ~= a.status then return false end
  for i, field in ipairs(wanted) do
    if values[i + 3] ~= a[field] then return false end
  end
  return true
end

local ids, last = {}, ''
local most = math.min(a.most, math.max(a.want, math.floor(COMPARED / math.max(1, #lists))))
for _ = 1, most do
  local id = next_id()
  if not id then return {ids, last, 1} end
  if id ~= last and matches(id) then ids[#ids + 1] = id end
  last = id
  if #ids == a.want then break end
end
return {ids, last, 0}
