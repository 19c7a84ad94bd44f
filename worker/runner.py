"""The story of one job, without Celery: look in every tier, make what is missing, keep it, tell everybody.

Order of writes: the archive first, then `succeeded`; the caches are accelerators and may fail.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import asdict
from functools import cached_property
from typing import Any

import trimesh

from cache import MISSING
from cache.archive import Archive
from cache.tiered import Found, TieredCache
from jobs.errors import GenerationFailed, ResultGone, Superseded
from jobs.records import Work
from jobs.requests import GenerationRequest, PreviewOptions
from jobs.states import Served, served_from
from jobs.store import JobStore
from worker.attending import Attending, NotHere, Reporter
from worker.images import decode, notices_of
from worker.keeping import keep_patiently
from worker.mesh import canonical
from worker.mesh.gate import accept, report
from worker.mesh.notices import notices, with_notices
from worker.mesh.preview import preview_png
from worker.mesh.renditions import make_rendition
from worker.workshop import Workshop

log = logging.getLogger(__name__)

_GENERATED = 90  # percent of a job's progress that belongs to its generation


class Canonical:
    """A stored mesh, and the seconds that making it took: what a hit on anything made of it saves.

    `cost_s` is None when nobody noted it. The mesh is always decoded from the stored bytes, also right after it was
    generated: encoding compresses the texture and rounds its coordinates, so a rendition of the mesh as generated
    would differ from the same rendition made later from the archive.
    """

    def __init__(self, data: bytes, cost_s: float | None, sha256: str | None = None) -> None:
        self.data = data
        self.cost_s = cost_s
        self.sha256 = sha256 or hashlib.sha256(data).hexdigest()

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        return canonical.read(self.data)


class Runner:
    """Runs generations and renditions for one worker process."""

    def __init__(
        self,
        worker_id: str,
        store: JobStore,
        cache: TieredCache,
        inputs: Archive,
        attending: Attending,
        workshop: Workshop | None,
        *,
        max_megapixels: float,
    ) -> None:
        self._worker_id = worker_id
        self._store = store
        self._cache = cache
        self._inputs = inputs
        self._attending = attending
        self._workshop = workshop
        self._max_megapixels = max_megapixels

    def run_generation(self, key: str, *, task_id: str = "") -> None:
        """Claims and runs one generation, then the renditions that wait for it, while the mesh is hot."""
        work = self._store.claim(key, self._worker_id, task_id=task_id)
        if work is None:
            return
        due: list[Work] = []
        made: Canonical | None = None
        with self._attending.to(work) as tell:
            made, due = self._generate(work, tell)
        for part in due:
            with self._attending.to(part) as tell:
                self._render(part, made, tell)

    def run_rendition(self, key: str, *, task_id: str = "") -> None:
        """Claims and makes one rendition of a mesh that exists."""
        work = self._store.claim(key, self._worker_id, task_id=task_id)
        if work is None:
            return
        with self._attending.to(work) as tell:
            self._render(work, None, tell)

    def _generate(self, work: Work, tell: Reporter) -> tuple[Canonical, list[Work]]:
        found = MISSING if work.anew else self._cache.lookup(work.key)
        timings: dict[str, float] = {}
        served: Served = "MISS"
        if isinstance(found, Found):
            served, made = served_from(found.tier), _stored(found)
        else:
            made, timings = self._make(work, tell)
        due = self._store.complete_generation(work, served, generate_s=made.cost_s or 0.0, timings=timings)
        if due is None:
            raise Superseded("another worker owns this generation now")
        for part in due:
            self._attending.reserve(part)
        log.info("generation %s with %d renditions due", served, len(due))
        return made, due

    def _make(self, work: Work, tell: Reporter) -> tuple[Canonical, dict[str, float]]:
        """Inference, then the archive: what is said to be made is kept."""
        request, workshop = _asked(work), self._workshop
        if workshop is None:
            raise NotHere("this worker makes renditions only")
        started = time.perf_counter()
        tell(0, "load")
        generator = workshop.ready(request.generator, request.revision)
        upload = self._input(request)
        image = decode(upload, max_megapixels=self._max_megapixels)
        params = generator.Params.model_validate(request.params)
        begun = time.perf_counter()
        mesh = accept(generator.generate(
            image, params, seed=request.seed, progress=lambda part, stage: tell(_GENERATED * part, stage)
        ))  # fmt: skip
        mesh = with_notices(mesh, (*notices_of(upload), *notices(mesh)))
        generate_s = time.perf_counter() - begun
        made = Canonical(canonical.encode(mesh), generate_s)
        tell(_GENERATED, "store")
        meta = {"kind": "generation", "sha256": made.sha256, "report": asdict(report(made.mesh))}
        self._keep(work, made.data, meta, tell, cost_s=generate_s)
        timings = {"prepare_s": begun - started, "generate_s": generate_s}
        timings["store_s"] = time.perf_counter() - started - sum(timings.values())
        return made, {name: round(seconds, 4) for name, seconds in timings.items()}

    def _render(self, work: Work, made: Canonical | None, tell: Reporter) -> None:
        started = time.perf_counter()
        tell(_GENERATED, "render")
        # What a hit saves was counted when the mesh was found.
        found = MISSING if work.anew else self._cache.lookup(work.key, saves_work=False)
        if isinstance(found, Found):
            result, cost_s = found.meta["result"], found.meta.get("cost_s")
        else:
            made = made or self._canonical(work.generation_key)
            data, result = self._rendition(work, made.mesh)
            source = {"key": work.generation_key, "sha256": made.sha256}
            meta = {"kind": "rendition", "generation": work.generation_key, "made_of": source, "result": result}
            cost_s = made.cost_s
            self._keep(work, data, meta, tell, cost_s=cost_s)  # a hit on it saves the GPU's time
        timings = {"render_s": round(time.perf_counter() - started, 4)}
        ended = self._store.complete_rendition(work, result, work.cache or "MISS", timings=timings, cost_s=cost_s)
        if ended is None:
            raise Superseded("another worker owns this rendition now")
        log.info("rendition %s ended %d jobs", result["format"], ended)

    def _rendition(self, work: Work, mesh: trimesh.Trimesh) -> tuple[bytes, dict[str, Any]]:
        if isinstance(work.options, PreviewOptions):
            data = preview_png(mesh, size_px=work.options.size_px)
            return data, {"format": "png", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if work.options is None:
            raise GenerationFailed("the rendition names no options")
        data, result = make_rendition(mesh, work.options)
        return data, result.model_dump(mode="json")

    def _canonical(self, generation_key: str) -> Canonical:
        found = self._cache.fetch(generation_key)
        if not isinstance(found, Found):
            raise ResultGone("the mesh behind this rendition is kept no longer; submit the picture again")
        return _stored(found)

    def _input(self, request: GenerationRequest) -> bytes:
        found = self._inputs.get(request.image_sha256)
        if found is MISSING:
            raise ResultGone("the uploaded picture is kept no longer; submit it again")
        return found.data

    def _keep(self, work: Work, data: bytes, meta: dict[str, Any], tell: Reporter, *, cost_s: float | None) -> None:
        told = {"generator": work.generator, **({} if cost_s is None else {"cost_s": round(cost_s, 4)}), **meta}
        keep_patiently(
            lambda: self._cache.store(work.key, data, told, cost_s=cost_s or 0.0, replace=work.anew),
            lambda: tell(_GENERATED, "store"),
        )


def _asked(work: Work) -> GenerationRequest:
    if work.request is None:
        raise GenerationFailed("the generation carries no request")
    return work.request


def _stored(found: Found) -> Canonical:
    return Canonical(found.data, found.meta.get("cost_s"), found.meta.get("sha256"))
