"""Prints constraints.txt: the exact version of every package that the requirement files lead to, as installed here.

    make pins

Does not choose versions: upgrade with pip, run the tests, then write down what passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from deploy.bootstrap.environment import with_included
from deploy.bootstrap.launch import TEST

HEADER = "# Every version that ./orfeas, the images and the tests install. `make pins` writes it anew."


def requirements_in(names: Iterable[str]) -> Iterator[Requirement]:
    """The packages that requirement files name, with the files that they include."""
    for path in with_included(names):
        for line in path.read_text().splitlines():
            if line and not line.startswith(("#", "-")):
                yield Requirement(line)


def pins(roots: Iterable[Requirement]) -> dict[str, str]:
    """Name → version of the roots and of everything that they need on this platform, in order of names."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [*roots, Requirement("pip")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        # `+cpu` and its like name a build of one machine.
        found[name] = Version(distribution(name).version).public
        waiting += _needed(requirement)
    return dict(sorted(found.items()))


def _needed(requirement: Requirement) -> Iterator[Requirement]:
    extras = {"", *requirement.extras}
    for text in distribution(requirement.name).requires or []:
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            yield needed


if __name__ == "__main__":
    try:
        print(HEADER, *(f"{name}=={version}" for name, version in pins(requirements_in(TEST)).items()), sep="\n")
    except PackageNotFoundError as missing:
        raise SystemExit(f"{missing}; run ./orfeas test first") from None
