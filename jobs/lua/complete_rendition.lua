-- The rendition is in the archive: every job that waits for it has succeeded, the first a.at_once of them now. Answers
-- {how many, 1 when more are left}, or 'stale'.
-- Touches P:work:<key>*, P:job:<id>, P:list, P:owns:<worker>, P:ending, P:webhooks:<owner>, P:counters, P:changes.

if not holds(a.key, a.token) then return 'stale' end
begin_ending(a.key, 'succeeded', {result = a.result, served = a.cache, timings = a.timings, cost_s = a.cost_s})
local ended, left = end_some(a.key, a.at_once, a.retention_s)
return {ended, left and 1 or 0}
