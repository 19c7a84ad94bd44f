"""Parameters as people send them, against a generator's schema."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from jobs.errors import BadParameters
from jobs.parameters import fill


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    depth: float = Field(0.5, ge=0, le=1)
    grid: int = Field(256, ge=16, le=1024)
    smooth: bool = True
    style: Literal["flat", "round"] = "round"
    plateau: float | None = None


SCHEMA = Params.model_json_schema()


def test_defaults_are_filled_in() -> None:
    assert fill(SCHEMA, {}) == Params().model_dump()


def test_texts_of_a_form_are_understood() -> None:
    asked = {"depth": "1", "grid": "64", "smooth": "false", "style": "flat", "plateau": "null"}
    assert fill(SCHEMA, asked) == {"depth": 1.0, "grid": 64, "smooth": False, "style": "flat", "plateau": None}


def test_one_and_one_point_zero_are_the_same_number() -> None:
    assert repr(fill(SCHEMA, {"depth": 1})) == repr(fill(SCHEMA, {"depth": 1.0}))
    assert repr(fill(SCHEMA, {"plateau": 1})) == repr(fill(SCHEMA, {"plateau": "1.0"}))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"depth": 2}, "depth"),
        ({"depth": "deep"}, "depth"),
        ({"grid": 20.5}, "grid"),
        ({"smooth": "perhaps"}, "smooth"),
        ({"style": "cubist"}, "style"),
        ({"depht": 0.5}, "depht"),
        ({"depth": float("nan")}, "depth"),
        ({"depth": True}, "depth"),
    ],
)
def test_what_does_not_fit_names_its_field(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(BadParameters) as caught:
        fill(SCHEMA, asked)
    assert [error.field for error in caught.value.errors] == [field]


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(BadParameters) as caught:
        fill(SCHEMA, {"depth": 2, "grid": 0})
    assert [error.field for error in caught.value.errors] == ["depth", "grid"]
