-- Ids of the newest jobs older than a.before ('' for all) that match: a.owner, a.status, a.generator, a.label, each
-- optional. Answers {ids from the newest to the oldest, the last id that was looked at, 1 when none is older}, or
-- 'unbuilt' when the index does not reach back to the oldest job yet. One call looks at a.most jobs at most, so it may
-- find nothing and still not be at the end: what waits or runs is decided by looking at each job's work.
-- Touches P:list*, P:job:<id>, P:work:<key>, P:workers, P:owns:<worker>, P:ending; writes nothing.

if redis.call('GET', INDEXED) ~= 'all' then return 'unbuilt' end

local AT_MOST = 20000  -- members read in one call, over all prefixes

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

local function ids_of(prefix, count)
  local most = a.before ~= '' and '(' .. prefix .. a.before or '(' .. behind(prefix)
  local found = redis.call('ZREVRANGEBYLEX', LIST, most, '[' .. prefix, 'LIMIT', 0, count)
  for i, member in ipairs(found) do found[i] = string.sub(member, #prefix + 1) end
  return found
end

local function newest_first(one, other) return one > other end

-- The newest ids of all prefixes; of many prefixes only those are read whose newest id can be among them.
local function candidates()
  local sources = {}
  for _, prefix in ipairs(prefixes()) do
    local newest = ids_of(prefix, 1)[1]
    if newest then sources[#sources + 1] = {id = newest, prefix = prefix} end
  end
  table.sort(sources, function(one, other) return one.id > other.id end)
  local count = math.min(a.most, math.max(1, math.floor(AT_MOST / math.max(1, #sources))))
  local found = {}
  for i = 1, math.min(count, #sources) do
    for _, id in ipairs(ids_of(sources[i].prefix, count)) do found[#found + 1] = id end
  end
  table.sort(found, newest_first)
  return found, count
end

local states = {}
local function state_of(job)
  local key = job.rendition
  if states[key] == nil then
    local status = get(work_name(key), 'status')
    if status == 'blocked' then status = get(work_name(job.generation), 'status') end
    states[key] = (status == 'running' or status == 'ending') and 'running' or 'queued'
  end
  return states[key]
end

local function matches(id)
  local job = job_fields(id, 'owner', 'status', 'generator', 'label', 'rendition', 'generation')
  if not job.status then return false end
  if job.status == 'queued' and (a.status == 'queued' or a.status == 'running') then job.status = state_of(job) end
  for _, field in ipairs({'owner', 'status', 'generator', 'label'}) do
    if a[field] and job[field] ~= a[field] then return false end
  end
  return true
end

local found, count = candidates()
local ids, last = {}, ''
for i = 1, math.min(count, #found) do
  if found[i] ~= last and matches(found[i]) then ids[#ids + 1] = found[i] end
  last = found[i]
  if #ids == a.want then return {ids, last, 0} end
end
return {ids, last, #found < count and 1 or 0}
