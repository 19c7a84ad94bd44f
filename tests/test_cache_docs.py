from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

PAGE = Path(__file__).parent.parent / "docs" / "cache.md"


def test_every_example_of_the_page_on_the_cache_runs(
    real_redis: redis.Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 6
    names: dict[str, object] = {"__name__": "docs"}
    for number, example in enumerate(examples):
        source = example.replace("redis://127.0.0.1:6379/0", redis_url)
        exec(compile(source, f"example {number} of {PAGE.name}", "exec"), names)
