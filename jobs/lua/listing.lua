-- The index behind the filters of the job list, shared by every script that begins or ends a job.
--
-- P:list is one sorted set whose members all have score 0, so they sort as texts; each ends with the id of a job:
--   c/<owner>/<status>/<generator>/<id>            every job
--   l/<label>/<owner>/<status>/<generator>/<id>    every job with a label; 16 digits of its SHA-1
--   g/<generation>/<id>                            every job that has not ended
-- Ids sort by age, so the members of one prefix are a list from the oldest to the newest. A job that waits or runs
-- has the status q: which of the two is decided by the work it waits for, and may change for thousands at once.

local LIST = P .. ':list'
local INDEXED = P .. ':list:built'  -- string: 'all', or the oldest job so far when the index is still being built
local LETTERS = {queued = 'q', succeeded = 's', failed = 'f', canceled = 'c'}

-- One part of a member. Nothing but the separator may be a slash; whoever reads checks the job itself.
local function segment(text) return (string.gsub(text, '/', '_')) end

local digests = {}
local function label_digest(label)
  digests[label] = digests[label] or string.sub(redis.sha1hex(label), 1, 16)
  return digests[label]
end

local function members(id, job, status)
  local tail = segment(job.owner) .. '/' .. LETTERS[status] .. '/' .. segment(job.generator) .. '/' .. id
  local found = {'c/' .. tail}
  if (job.label or '') ~= '' then found[#found + 1] = 'l/' .. label_digest(job.label) .. '/' .. tail end
  if status == 'queued' then found[#found + 1] = 'g/' .. job.generation .. '/' .. id end
  return found
end

local function index_job(id, job, status)
  local flat = {}
  for _, member in ipairs(members(id, job, status)) do
    flat[#flat + 1] = '0'
    flat[#flat + 1] = member
  end
  redis.call('ZADD', LIST, unpack(flat))
end

local function unindex_job(id, job, status)
  redis.call('ZREM', LIST, unpack(members(id, job, status)))
end

-- Redis forgets an ended job by itself only if no janitor has come for as long again: the janitor also takes it out of
-- the lists, which its expiry alone would not.
local function expire_job(name, retention_s)
  redis.call('EXPIRE', name, 2 * retention_s + 3600)
end

local function job_fields(id, ...)
  local values, job = redis.call('HMGET', P .. ':job:' .. id, ...), {}
  for i, field in ipairs({...}) do job[field] = values[i] or nil end
  return job
end
