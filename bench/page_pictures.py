"""Photographs the page for the documents: `python -m bench.page_pictures` writes `docs/pictures/page*.png`.

A stack of its own, an installed Chromium, the sample picture and the page's own examples.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from deploy.stack import Stack
from settings import Settings

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
DESK = {"viewport": {"width": 1280, "height": 860}}
TALL = {"width": 1280, "height": 1200}  # so that the fleet's entries are seen
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "color_scheme": "dark"}
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def make(page: Page, *examples: str) -> None:
    """Makes the sample picture and these examples; returns when all of them are there."""
    page.set_input_files("#chooser", str(ROOT / "assets" / "rocket.png"))
    for number, name in enumerate(examples, start=2):
        page.get_by_role("button", name=name, exact=True).click()
        page.locator("#tray li").nth(number - 1).wait_for()
    page.locator("#make").click()
    page.locator(".job[data-status=succeeded] img.rendered").nth(len(examples)).wait_for(timeout=180_000)


def show(page: Page, name: str) -> None:
    page.locator(".job-open", has_text=name).first.click()
    page.wait_for_selector(".viewer[data-state=shown]", timeout=120_000)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def photograph(url: str, folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page(**DESK, reduced_motion="reduce")
        page.goto(url)
        make(page, "Star", "Fish", "Ring")
        show(page, "fish.png")
        page.get_by_role("button", name="Measures").click()
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=folder / "page.png")
        page.get_by_role("button", name="Star", exact=True).click()
        page.locator("#tray li").wait_for()
        page.locator("#make").click()
        page.locator(".job .badge.hit").wait_for()
        page.get_by_role("tab", name="Fleet").click()
        page.set_viewport_size(TALL)
        page.locator(".entry").first.scroll_into_view_if_needed()  # pictures are made only for those who look
        page.locator(".entry .rendered").nth(11).wait_for(timeout=120_000)
        page.wait_for_function("() => /GPU time saved[^0]/.test(document.querySelector('.tiles').textContent)")
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=folder / "page-fleet.png")
        phone = browser.new_page(**PHONE, reduced_motion="reduce")
        phone.goto(url)
        show(phone, "star.png")
        phone.screenshot(path=folder / "page-phone.png")
        browser.close()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--into", type=Path, default=PICTURES, help="folder of the pictures")
    into = asked.parse_args().into
    with tempfile.TemporaryDirectory(prefix="page-") as folder:
        ports = {"port": free_port(), "redis_port": free_port(), "flower_port": 0}
        with Stack(Settings(data_dir=Path(folder), **ports)) as stack:
            stack.wait_ready(60)
            photograph(stack.url, into)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
