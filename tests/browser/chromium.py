"""Finds a Chromium that is installed here, and starts it so that it draws in 3D without a graphics card."""

from __future__ import annotations

import os

from playwright.sync_api import Browser, Playwright

from tests.tools import tool

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # containers have no user namespaces; only our own pages are opened
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str:
    """The browser's path. A missing browser is a skip on a laptop and an error in CI."""
    return os.environ.get("ORFEAS_TEST_BROWSER") or tool(
        *NAMES, how="apt-get install chromium, or name one in ORFEAS_TEST_BROWSER"
    )


def start(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
