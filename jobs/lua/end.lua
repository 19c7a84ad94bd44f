-- One step of an ending: of the work a.key, or of one whose next step is due because nobody takes it. Due times far
-- ahead are a clock that jumped back. Answers {key, how many jobs ended, 1 when more are left}, or nothing.
-- Touches P:ending, P:work:<key>*, P:work:<part>*, P:job:<id>, P:list, P:queued:<queue>, P:due, P:error:<key>,
-- P:webhooks:<owner>, P:counters, P:changes.

local key = a.key
if not key then
  key = redis.call('ZRANGEBYSCORE', P .. ':ending', '-inf', NOW_S, 'LIMIT', 0, 1)[1]
    or redis.call('ZRANGEBYSCORE', P .. ':ending', string.format('(%.0f', NOW + a.far_ms), '+inf', 'LIMIT', 0, 1)[1]
  if not key then return {} end
end
local ended, left = end_some(key, a.at_once, a.retention_s)
return {key, ended, left and 1 or 0}
