"""What must hold in the shared tier's Redis at every moment between two commands."""

from __future__ import annotations

import redis

from cache.record import Record


def check_invariants(
    client: redis.Redis, tag: str = "{orfeas:cache:2}", stages: int = 0, *, damaged: bool = False
) -> None:
    """Indexes agree, bytes add up and are under the limit, every indexed blob is whole, and nothing else lies about.

    Runs in one transaction, so that it may be called while others work; `stages` are writers that may be under way.
    Nobody rebuilt the index unless the test `damaged` it.
    """
    with client.pipeline(transaction=True) as pipe:
        pipe.hgetall(f"{tag}:state").zrange(f"{tag}:order", 0, -1, withscores=True)
        pipe.zrange(f"{tag}:expiry", 0, -1, withscores=True).hgetall(f"{tag}:entries").hgetall(f"{tag}:hits")
        pipe.eval(_BLOBS, 0, tag)
        state, order, expiry, entries, hits, blobs = pipe.execute()
    if not state:
        assert [*order, *expiry, *entries, *hits] == []
        return
    assert damaged or b"rebuilds" not in state, f"it was rebuilt; lost: {state[b'lost']!r}"
    records = {key: Record.parse(text) for key, text in entries.items()}
    assert {key for key, _ in order} == set(records) == set(hits)
    if state[b"policy"] == b"lru":
        assert len({score for _, score in order}) == len(order), "two entries are equally old"
    assert {(key, score) for key, score in expiry} == {(k, r.expires_us) for k, r in records.items() if r.expires_us}
    assert int(state[b"bytes"]) == sum(record.charge_bytes for record in records.values())
    assert int(state[b"bytes"]) <= int(state[b"max_bytes"])
    assert len(order) <= int(state[b"max_size"])
    lengths = {name: (number, ttl) for name, number, ttl in zip(blobs[::3], blobs[1::3], blobs[2::3], strict=True)}
    for key, record in records.items():
        kind = "parts" if record.parts else "blob"
        name = f"{tag}:{kind}:{key.decode()}".encode()
        assert lengths.pop(name) == (record.parts or record.length_bytes, -1)
    assert all(b":stage:" in name and ttl > 0 for name, (_, ttl) in lengths.items()), "these belong to no entry"
    assert len(lengths) <= stages
    stale = [key for key, record in records.items() if record.epoch != int(state[b"epoch"])]
    assert {key for key, _ in order[: len(stale)]} == set(stale), "what was cleared is not the next to leave"
    assert int(state[b"stale"]) == len(stale)
    assert int(state[b"stale_bytes"]) == sum(records[key].charge_bytes for key in stale)


_BLOBS = """
local found = {}
for _, kind in ipairs({':blob:', ':parts:', ':stage:', ':old_'}) do
  local pattern = string.gsub(ARGV[1], '[%[%]*?\\\\]', '\\\\%0') .. kind .. '*'
  for _, name in ipairs(redis.call('KEYS', pattern)) do
    table.insert(found, name)
    local type = redis.call('TYPE', name).ok
    table.insert(found, type == 'string' and redis.call('STRLEN', name) or type == 'list' and redis.call('LLEN', name))
    table.insert(found, redis.call('TTL', name))
  end
end
return found
"""
