"""The story of one job, without Celery: look in every tier, make what is missing, keep it, tell everybody.

Order of writes: the archive first, then `succeeded`; the caches are accelerators and may fail.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from typing import Any

import trimesh

from cache import MISSING
from cache.archive import Archive
from cache.tiered import Found, TieredCache
from jobs.errors import GenerationFailed, ResultGone, Superseded
from jobs.records import Work
from jobs.requests import GenerationRequest, PreviewOptions
from jobs.store import JobStore
from worker.attending import Attending, Reporter
from worker.images import decode
from worker.mesh import canonical
from worker.mesh.gate import accept, report
from worker.mesh.preview import preview_png
from worker.mesh.renditions import make_rendition
from worker.workshop import Workshop

_GENERATED = 90  # percent of a job's progress that belongs to its generation


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

    def run_generation(self, key: str) -> None:
        """Claims and runs one generation, then the renditions that wait for it, while the mesh is hot."""
        work = self._store.claim(key, self._worker_id)
        if work is None:
            return
        due: list[Work] = []
        mesh: trimesh.Trimesh | None = None
        with self._attending.to(work) as tell:
            mesh, due = self._generate(work, tell)
        for part in due:
            with self._attending.to(part) as tell:
                self._render(part, mesh, tell)

    def run_rendition(self, key: str) -> None:
        """Claims and makes one rendition of a mesh that exists."""
        work = self._store.claim(key, self._worker_id)
        if work is None:
            return
        with self._attending.to(work) as tell:
            self._render(work, None, tell)

    def _generate(self, work: Work, tell: Reporter) -> tuple[trimesh.Trimesh | None, list[Work]]:
        found = MISSING if work.anew else self._cache.lookup(work.key)
        timings: dict[str, float] = {}
        mesh: trimesh.Trimesh | None = None
        if isinstance(found, Found):
            served = f"HIT-{found.tier}"
            mesh = canonical.read(found.data)
        else:
            served = "MISS"
            mesh, timings = self._make(work, tell)
        due = self._store.complete_generation(
            work, served, generate_s=timings.get("generate_s", 0.0), timings=timings
        )
        if due is None:
            raise Superseded("another worker owns this generation now")
        for part in due:
            self._attending.hold(part)
        return mesh, due

    def _make(self, work: Work, tell: Reporter) -> tuple[trimesh.Trimesh, dict[str, float]]:
        """Inference, then the archive: what is said to be made is kept."""
        request, workshop = _asked(work), self._workshop
        if workshop is None:
            raise GenerationFailed("this worker serves no generators")
        started = time.perf_counter()
        tell(0, "load")
        generator = workshop.ready(request.generator, request.revision)
        image = decode(self._input(request), max_megapixels=self._max_megapixels)
        params = generator.Params.model_validate(request.params)
        begun = time.perf_counter()
        mesh = accept(generator.generate(
            image, params, seed=request.seed, progress=lambda part, stage: tell(_GENERATED * part, stage)
        ))  # fmt: skip
        generate_s = time.perf_counter() - begun
        data = canonical.encode(mesh)
        tell(_GENERATED, "store")
        self._keep(work, data, {"kind": "generation", "report": asdict(report(mesh))}, cost_s=generate_s)
        timings = {"prepare_s": begun - started, "generate_s": generate_s}
        timings["store_s"] = time.perf_counter() - started - sum(timings.values())
        return mesh, {name: round(seconds, 4) for name, seconds in timings.items()}

    def _render(self, work: Work, mesh: trimesh.Trimesh | None, tell: Reporter) -> None:
        started = time.perf_counter()
        tell(_GENERATED, "render")
        found = MISSING if work.anew else self._cache.lookup(work.key)
        if isinstance(found, Found):
            result = found.meta["result"]
        else:
            data, result = self._rendition(work, mesh or self._canonical(work.generation_key))
            meta = {"kind": "rendition", "generation": work.generation_key, "result": result}
            self._keep(work, data, meta, cost_s=time.perf_counter() - started)
        timings = {"render_s": round(time.perf_counter() - started, 4)}
        if self._store.complete_rendition(work, result, work.cache or "MISS", timings=timings) is None:
            raise Superseded("another worker owns this rendition now")

    def _rendition(self, work: Work, mesh: trimesh.Trimesh) -> tuple[bytes, dict[str, Any]]:
        if isinstance(work.options, PreviewOptions):
            data = preview_png(mesh, size_px=work.options.size_px)
            return data, {"format": "png", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if work.options is None:
            raise GenerationFailed("the rendition names no options")
        data, result = make_rendition(mesh, work.options)
        return data, result.model_dump(mode="json")

    def _canonical(self, generation_key: str) -> trimesh.Trimesh:
        found = self._cache.fetch(generation_key)
        if not isinstance(found, Found):
            raise ResultGone("the mesh behind this rendition is kept no longer; submit the picture again")
        return canonical.read(found.data)

    def _input(self, request: GenerationRequest) -> bytes:
        found = self._inputs.get(request.image_sha256)
        if found is MISSING:
            raise ResultGone("the uploaded picture is kept no longer; submit it again")
        return found.data

    def _keep(self, work: Work, data: bytes, meta: dict[str, Any], *, cost_s: float) -> None:
        told = {"generator": work.generator, "cost_s": round(cost_s, 4), **meta}
        self._cache.store(work.key, data, told, cost_s=cost_s, replace=work.anew)


def _asked(work: Work) -> GenerationRequest:
    if work.request is None:
        raise GenerationFailed("the generation carries no request")
    return work.request
