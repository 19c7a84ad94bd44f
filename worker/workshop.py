"""The generators of one process: found once, loaded at their first use, then kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.fleet import GeneratorCard
from worker.attending import NotHere
from worker.generators.registry import DEFAULT_GENERATOR, choose_device, device_memory_mb, discover

if TYPE_CHECKING:
    from worker.generators.base import Generator


class Workshop:
    """What this process can make, and on which device."""

    def __init__(self, device: str = "auto") -> None:
        self._generators = discover()
        self._device = choose_device(device)
        self._loaded: set[str] = set()

    @property
    def device(self) -> str:
        return str(self._device)

    def memory_mb(self) -> tuple[float, float]:
        """What of the device's memory is used, by whomever, and how much there is; zeros for the CPU."""
        return device_memory_mb(self._device)

    def cards(self) -> list[GeneratorCard]:
        """What the fleet is told of each generator."""
        return [
            GeneratorCard(
                name=one.name,
                title=one.title,
                revision=one.revision,
                schema=one.Params.model_json_schema(),
                needs=one.needs,
                default=one.name == DEFAULT_GENERATOR,
                unavailable_because=one.unavailable_because(),
            )
            for one in self._generators.values()
        ]

    def ready(self, name: str, revision: str) -> Generator:
        """The named generator, loaded.

        Raises:
            NotHere: this process does not have it, cannot run it, or only in another revision than the one asked for.
        """
        generator = self._generators.get(name)
        if generator is None:
            raise NotHere(f"this worker has no generator {name!r}; it has: {', '.join(self._generators)}")
        if generator.revision != revision:
            raise NotHere(f"this worker has {name} {generator.revision}; the job asks for {revision}")
        if because := generator.unavailable_because():
            raise NotHere(f"this worker cannot run {name}: {because}")
        if name not in self._loaded:
            generator.load(self._device)
            self._loaded.add(name)
        return generator
