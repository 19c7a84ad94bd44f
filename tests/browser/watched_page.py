"""A page whose faults are noted: errors in its console, and requests to anywhere but the service."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import ConsoleMessage, Page, Request

MESH_LIMIT_MS = 60_000


class WatchedPage:
    """`expected` are words of console errors that the journey itself provokes, such as a refused key."""

    def __init__(self, page: Page, url: str, expected: tuple[str, ...] = ()) -> None:
        self.page = page
        self.url = url
        self.expected = expected
        self.faults: list[str] = []
        page.set_default_timeout(20_000)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", self._note_request)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in self.expected):
            self.faults.append(f"console: {message.text}")

    def _note_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https") and address.netloc != urlsplit(self.url).netloc:
            self.faults.append(f"elsewhere: {request.url}")

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        return self.page

    def choose(self, *files: Path) -> None:
        self.page.set_input_files("#chooser", [str(file) for file in files])

    def make(self, *files: Path) -> None:
        """Chooses pictures and submits them."""
        self.choose(*files)
        self.page.locator("#make").click()

    def wait_mesh(self) -> None:
        """Until the viewer shows a mesh."""
        self.page.wait_for_selector(".viewer[data-state=shown]", timeout=MESH_LIMIT_MS)


def star(folder: Path, colour: str, name: str = "") -> Path:
    """A picture with a clear shape on white, another one for each colour."""
    image = Image.new("RGB", (160, 160), "white")
    ImageDraw.Draw(image).regular_polygon((80, 80, 60), 5, fill=colour)
    path = folder / (name or f"{colour}.png")
    image.save(path)
    return path


def distinct_colours(page: Page) -> int:
    """How many colours the 3D view shows: a blank one has the few of its background."""
    shot = page.locator(".viewer canvas").screenshot()
    with Image.open(io.BytesIO(shot)) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return len(np.unique(pixels // 8, axis=0))


def redness(page: Page) -> float:
    """Share of clearly red pixels in the 3D view."""
    shot = page.locator(".viewer canvas").screenshot()
    with Image.open(io.BytesIO(shot)) as image:
        red, green, blue = np.asarray(image.convert("RGB"), dtype=int).reshape(-1, 3).T
    return float(((red > green + 60) & (red > blue + 60)).mean())
