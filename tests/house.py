"""The whole house in one process, for tests of routes and of the runner: real Redis, real archive, no Celery.

Messages wait in a list until the test lets the worker run them.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from flask import Flask
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from redis import Redis
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from api import create_app
from api.services import Services
from cache.agent import CacheAgent
from cache.archive import Archive
from cache.fleet import FleetCache
from cache.lru import LRUCache
from cache.redis import RedisCache
from cache.tiered import TieredCache
from jobs.errors import NoSurface
from jobs.feed import ChangeFeed
from jobs.fleet import Fleet, GeneratorCard, WorkerInfo
from jobs.intake import Intake, UploadLimits
from jobs.records import Work
from jobs.store import PREFIX, JobStore, StoreLimits
from settings import Settings
from worker.attending import Attending
from worker.runner import Runner


class BoxParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    depth: float = Field(0.5, gt=0, le=2)
    fail: bool = False


class Box:
    """A generator of a box: fast, deterministic, counts its runs."""

    name, title, revision, needs, Params = "box", "Box", "1", (), BoxParams

    def __init__(self) -> None:
        self.runs = 0
        self.takes_s = 0.0

    def generate(self, image: Image.Image, params: BoxParams, *, seed: int, progress: Callable[..., None]) -> object:
        self.runs += 1
        time.sleep(self.takes_s)
        progress(0.5, "solve")
        if params.fail:
            raise NoSurface("the picture holds no shape to build")
        return painted(trimesh.creation.box((image.width, image.height, params.depth * image.width)))


def painted(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with a texture of noise, as it comes from a generator: not compressed yet, every pixel another colour.

    What is made of it then differs from what is made of its compressed form.
    """
    noise = np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    low, high = mesh.bounds
    uv = ((mesh.vertices - low) / (high - low))[:, :2]
    material = PBRMaterial(baseColorTexture=Image.fromarray(noise))
    return trimesh.Trimesh(mesh.vertices, mesh.faces, visual=TextureVisuals(uv=uv, material=material), process=False)


class OneBox:
    """A workshop with one generator in it."""

    def __init__(self) -> None:
        self.box = Box()

    def ready(self, name: str, revision: str) -> Box:
        return self.box


class Inbox:
    """Messages as the broker would hold them."""

    def __init__(self) -> None:
        self.messages: list[Work] = []

    def send(self, work: Work) -> None:
        self.messages.append(work)

    def backlog(self, queue: str) -> int:
        return len([work for work in self.messages if work.queue == queue])


class House:
    """One API process and one worker process without the processes."""

    def __init__(self, redis: Redis, redis_url: str, folder: Path, **settings: object) -> None:
        self.settings = Settings(data_dir=folder, redis_url=redis_url, **settings)
        self.store = JobStore(redis, StoreLimits(queue_limit=self.settings.queue_limit))
        self.fleet = Fleet(self.store)
        self.inbox = Inbox()
        self.workshop = OneBox()
        self.local = LRUCache()
        self.shared = RedisCache(redis_url)
        self.archive = Archive.open(str(folder / "archive"))
        inputs = Archive.open(str(folder / "archive"), prefix="inputs")
        enabled = not self.settings.disable_result_cache
        self.worker_cache = TieredCache(self.local, self.shared, self.archive, enabled=enabled)
        api_cache = TieredCache(None, self.shared, self.archive, enabled=enabled)
        limits = UploadLimits(int(self.settings.max_upload_mb * 2**20), self.settings.max_image_mp)
        self.attending = Attending(self.store)
        self.runner = Runner(
            "w1", self.store, self.worker_cache, inputs, self.attending, self.workshop, max_megapixels=64
        )
        intake = Intake(
            self.store, self.fleet.cards, api_cache, inputs, self.inbox, limits, lookup=self.settings.submit_lookup
        )
        feed = ChangeFeed(lambda: Redis.from_url(redis_url, decode_responses=True), prefix=PREFIX)
        fleet_cache = FleetCache(TieredCache(LRUCache(), self.shared, self.archive, enabled=enabled), self.shared)
        self.agent = CacheAgent(self.worker_cache, self.shared, "w1", queue="generate")
        self.services = Services(
            self.settings, self.store, self.fleet, api_cache, fleet_cache, intake, feed, self.inbox
        )
        self.app: Flask = create_app(self.services)
        self.http = self.app.test_client()

    def open(self) -> House:
        """A worker says hello."""
        card = GeneratorCard("box", "Box", "1", BoxParams.model_json_schema(), default=True)
        worker = WorkerInfo(id="w1", slot="w1", host="here", pid=1, queue="generate", offers=("box",))
        self.fleet.register(worker, [card])
        return self

    def work(self) -> int:
        """Lets the worker run what waits, and what that brings; answers how many messages there were."""
        done = 0
        while self.inbox.messages:
            message = self.inbox.messages.pop(0)
            run = self.runner.run_generation if message.kind == "generation" else self.runner.run_rendition
            run(message.key)
            done += 1
        return done

    def close(self) -> None:
        self.services.feed.close()


def picture(colour: str = "red", size: tuple[int, int] = (8, 6), kind: str = "PNG") -> bytes:
    """A real picture, a few bytes long."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()
