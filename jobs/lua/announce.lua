-- A worker says which generators it has: a.cards, a list of {name, revision, runs, text}. P:cards holds one card for
-- each name, and this decides whose: that of the worker that registered last (a.fresh), unless it cannot run what another
-- can. A card that nobody has offered for a.kept_ms gives way; measured from the newest offer of the whole fleet, so that
-- a fleet that is down as a whole loses nothing.
-- Touches P:cards, P:announced, P:offered.

local function offer(name, revision) return name .. ' ' .. revision end

local function is_offered(card)
  local at = redis.call('ZSCORE', P .. ':offered', offer(card.name, card.revision))
  return at and NOW - tonumber(at) < a.kept_ms
end

local function wins(card, text)
  if not text then return true end
  if text == card.text then return false end
  local known = cjson.decode(text)
  if not is_offered(known) then return true end
  return card.runs and (a.fresh or type(known.unavailable_because) == 'string')
end

for _, card in ipairs(a.cards) do
  if wins(card, redis.call('HGET', P .. ':cards', card.name)) then
    redis.call('HSET', P .. ':cards', card.name, card.text)
  end
end
for _, card in ipairs(a.cards) do
  redis.call('ZADD', P .. ':announced', NOW_S, card.name)
  if card.runs then redis.call('ZADD', P .. ':offered', NOW_S, offer(card.name, card.revision)) end
end
-- A fleet that is down for longer than this counts as one whose workers were here just now.
redis.call('EXPIRE', P .. ':announced', 30 * 86400)
redis.call('EXPIRE', P .. ':offered', 30 * 86400)
return 'ok'
