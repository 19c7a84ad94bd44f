"""Which generators this fleet has, what they take, and whether they can run now."""

from __future__ import annotations

from typing import Any

from flask_openapi import APIBlueprint, Tag

from api.problems import problems
from api.schemas import GeneratorBody, GeneratorList
from api.services import services

catalogue = APIBlueprint("catalogue", __name__, abp_tags=[Tag(name="generators")], abp_responses=problems(503))


@catalogue.get("/api/generators", responses={200: GeneratorList})
def list_generators() -> dict[str, Any]:
    """Names, needs, and the JSON schema of each generator's parameters."""
    house = services()
    bodies = [
        GeneratorBody(
            name=card.name, title=card.title, revision=card.revision, default=card.default, needs=list(card.needs),
            available=card.unavailable_because is None, unavailable_because=card.unavailable_because,
            parameters=card.schema,
        )
        for card in sorted(house.fleet.cards().values(), key=lambda card: (not card.default, card.name))
    ]  # fmt: skip
    return GeneratorList(generators=bodies).model_dump(mode="json")
