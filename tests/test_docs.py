"""What the documents say is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from settings import as_table

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)|!\[[^\]]*\]\(([^)\s]+)\)")


def test_the_settings_page_lists_every_setting_as_it_is() -> None:
    assert as_table() in (ROOT / "docs/operate/settings.md").read_text(), "paste `python settings.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [first or second for first, second in _LINK.findall(page.read_text())]
    dead = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not dead
