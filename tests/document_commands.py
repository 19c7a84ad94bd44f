"""Finds what the documents tell people to type: blocks of shell, and commands that stand within a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHELLS = ("sh", "bash", "shell", "console", "zsh")
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMENT = re.compile(r"(^|\s+)#.*")
# What begins like this within a sentence is meant to be typed; a name alone, such as `orfeas`, is not.
_PROGRAMS = (
    r"(?:\S*/)?(?:orfeas|python3?|pytest|pip|celery|gunicorn|flower)|make|npm|curl|wget|docker|kubectl|helm|systemctl|"
    r"systemd-\w+|journalctl|apt-get|apt|brew|sudo|redis-cli|valkey-cli|promtool|df|kill|git|ssh|openssl|export"
)
_TYPED = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{_PROGRAMS}) \S.*|(?:\S+=\S+ )*\./orfeas .*|nvidia-smi")


@dataclass(frozen=True)
class Command:
    """One command, or a block of shell, as it stands on a page."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text.strip().splitlines()[0]}"


def commands(listed: frozenset[str]) -> list[Command]:
    """Every command of every page once. A block with a line that is `listed` falls into its lines."""
    found = {text: page for page in reversed(PAGES) for text in _typed(page.read_text(), listed)}
    return [Command(str(page.relative_to(ROOT)), text) for text, page in sorted(found.items())]


def python_blocks(page: str) -> list[str]:
    return [body for language, body in _FENCE.findall((ROOT / page).read_text()) if language == "python"]


def _typed(page: str, listed: frozenset[str]) -> Iterator[str]:
    for language, body in _FENCE.findall(page):
        if language in _SHELLS:
            lines = [bare for line in body.splitlines() if (bare := _COMMENT.sub("", line).strip())]
            yield from lines if listed.intersection(lines) or len(lines) == 1 else [body]
    yield from (span for span in _SPAN.findall(_FENCE.sub("", page)) if _TYPED.fullmatch(span))
