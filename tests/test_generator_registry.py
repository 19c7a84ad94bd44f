"""Generators are found, strangers included, and a broken one takes nobody down."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from jobs.errors import GeneratorUnavailable
from worker.generators.base import Generator
from worker.generators.registry import BUILT_IN, DEFAULT_GENERATOR, discover
from worker.workshop import Workshop

GOOD = """
from worker.generators.base import GeneratorParams
class Good:
    name, title, revision, needs, Params = "good", "Good", "1", (), GeneratorParams
    loads = 0
    def unavailable_because(self): return None
    def load(self, device): self.loads += 1
    def generate(self, image, params, *, seed, progress): ...
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a module with one entry point, as pip would leave it."""

    def install(name: str, source: str, target: str) -> None:
        module = f"plug_{name}_{secrets.token_hex(4)}"  # a module once imported is not read again
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"plug_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plug-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[orfeas.generators]\n{name} = {module}:{target}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def test_the_built_in_ones_are_there_and_available() -> None:
    found = discover()
    assert list(found)[:3] == list(BUILT_IN) and DEFAULT_GENERATOR in found
    for generator in found.values():
        assert isinstance(generator, Generator)
        assert generator.unavailable_because() is None


def test_an_installed_package_adds_its_generator(plug_in) -> None:
    plug_in("good", GOOD, "Good")
    assert discover()["good"].title == "Good"


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("import no_such_module", "X", "no_such_module"),
        ("1/0", "X", "division by zero"),
        ("class X: name = 'bad'", "X", "lacks"),
        (GOOD.replace('"good"', '"other"'), "Good", "other"),
        (GOOD.replace('"good"', '"bad"').replace('"1"', '""'), "Good", "revision"),
    ],
    ids=["import fails", "raises", "is no generator", "is called otherwise", "has no revision"],
)
def test_a_broken_package_is_listed_with_its_reason_and_harms_no_other(
    plug_in, source: str, target: str, words: str
) -> None:
    plug_in("bad", source, target)
    found = discover()
    assert words in found["bad"].unavailable_because()
    assert found[DEFAULT_GENERATOR].unavailable_because() is None
    with pytest.raises(GeneratorUnavailable):
        found["bad"].load(None)


def test_a_package_cannot_take_a_built_in_name(plug_in) -> None:
    plug_in("inflate", GOOD.replace('"good"', '"inflate"'), "Good")
    found = discover()
    assert type(found["inflate"]).__module__ == "worker.generators.inflate"
    assert "taken" in found["inflate@plug-inflate"].unavailable_because()


def test_a_generator_is_loaded_once_and_only_in_the_revision_asked_for(plug_in) -> None:
    plug_in("good", GOOD, "Good")
    workshop = Workshop("cpu")
    assert workshop.ready("good", "1") is workshop.ready("good", "1")
    assert workshop.ready("good", "1").loads == 1
    with pytest.raises(GeneratorUnavailable, match="asks for 2"):
        workshop.ready("good", "2")


def test_cards_tell_what_the_api_needs() -> None:
    cards = {card.name: card for card in Workshop("cpu").cards()}
    assert [name for name, card in cards.items() if card.default] == [DEFAULT_GENERATOR]
    assert cards["inflate"].schema["properties"]["thickness"]["default"] == 0.8
