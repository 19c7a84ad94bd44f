"""The house stands as drawn: imports point one way, and the API stays thin."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("cache", "jobs", "worker", "api", "client", "deploy", "bench")

# Which of our own modules a room may import, beside itself.
MAY_IMPORT = {
    "cache": set(),
    "jobs": {"cache"},
    "worker": {"jobs", "cache", "settings", "version", "logs"},
    "api": {"jobs", "cache", "settings", "version", "logs"},
    "client": {"settings", "deploy", "version"},
}
OURS = {*ROOMS, "settings", "version", "logs", "patience", "tests"}


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def test_gunicorns_first_process_loads_nothing_of_the_api() -> None:
    """What it has loaded all others share, also after SIGHUP; and metrics must not begin before their folder is set."""
    code = "import patience, sys; print({'api', 'jobs', 'flask', 'prometheus_client'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_drawing_allows(room: str) -> None:
    strangers = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(room)
        for name in imported(path)
        if (top := name.split(".")[0]) in OURS and top != room and top not in MAY_IMPORT[room]
    }
    assert not strangers


def test_torch_is_imported_only_below_the_generators() -> None:
    outside = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        if room != "bench"
        for path in sources(room)
        if any(name.split(".")[0] == "torch" for name in imported(path))
    }
    assert all(path.startswith("worker/generators/") for path in outside), outside


def test_jobs_and_cache_know_neither_celery_nor_flask_nor_meshes() -> None:
    forbidden = {"celery", "kombu", "flask", "torch", "trimesh"}
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for room in ("jobs", "cache")
        for path in sources(room)
        for name in imported(path)
        if name.split(".")[0] in forbidden and not (room == "cache" and _only_for_types(path, name))
    }
    assert not found


def _only_for_types(path: Path, name: str) -> bool:
    """Whether the import stands below `if TYPE_CHECKING` or inside a function, so that `cache` works without it."""
    tree = ast.parse(path.read_text())
    top_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return not any(name in (getattr(node, "module", None), *(alias.name for alias in node.names)) for node in top_level)


def test_celery_enters_the_api_through_one_file() -> None:
    files = [path.name for path in sources("api") if any(name.split(".")[0] == "celery" for name in imported(path))]
    assert files == ["queue.py"]


def test_threads_are_started_in_one_file() -> None:
    """`Loop` keeps them going, counts what fails and knows which are gone."""
    starters = {
        str(path.relative_to(ROOT))
        for room in ("cache", "jobs", "worker", "api")
        for path in sources(room)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
        and getattr(node, "attr", getattr(node, "id", "")) in ("Thread", "Timer", "start_new_thread")
    }
    assert starters == {"cache/loops.py"}


def test_the_environment_is_read_in_one_file() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for room in ("cache", "jobs", "worker", "api")
        for path in sources(room)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    }
    assert not readers


def test_the_api_loads_neither_torch_nor_trimesh_nor_the_worker() -> None:
    code = (
        "import sys, api; print(*sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'trimesh', 'worker'}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
