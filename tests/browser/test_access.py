"""For everybody: no serious fault by axe-core, the keyboard alone suffices, a phone is enough, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.watched_page import star

PHONE = {"viewport": {"width": 375, "height": 740}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {fault['help']}: {[node['target'] for node in fault['nodes']][:3]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [{"viewport": {"width": 1280, "height": 900}}, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_serious_fault(
    visit: Visit, service_url: str, tmp_path: Path, scheme: str, options: dict[str, Any]
) -> None:
    watched = visit(service_url, color_scheme=scheme, **options)
    page = watched.open()
    for summary in page.locator("summary").all():
        summary.click()
    watched.choose(star(tmp_path, "red"))
    faults = serious(page)
    page.locator("#make").click()
    watched.wait_mesh()
    page.get_by_role("button", name="Measures").click()
    faults += serious(page)
    page.get_by_role("tab", name="Fleet").click()
    expect(page.locator(".worker")).to_have_count(2)
    expect(page.locator(".entry").first).to_be_visible()
    faults += serious(page)
    page.get_by_role("button", name="API key").click()
    faults += serious(page)
    assert not faults


def test_the_keyboard_alone_leads_from_a_picture_to_a_file(visit: Visit, service_url: str) -> None:
    watched = visit(service_url)
    page = watched.open()
    expect(page.locator("#generator option")).not_to_have_count(0)
    press_until(page, lambda: focused(page) == "Star")
    page.keyboard.press("Enter")
    expect(page.locator("#make")).to_be_focused()
    page.keyboard.press("Enter")
    watched.wait_mesh()
    press_until(page, lambda: focused(page) == "canvas")
    before = page.locator(".viewer canvas").screenshot()
    page.keyboard.press("ArrowRight")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator(".viewer canvas").screenshot() != before
    press_until(page, lambda: focused(page) == "OBJ")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "star.obj"


def test_tabs_move_with_the_arrow_keys(visit: Visit, service_url: str) -> None:
    page = visit(service_url).open()
    page.get_by_role("tab", name="Studio").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Fleet")).to_be_focused()
    expect(page.locator("#fleet")).to_be_visible()
    expect(page.locator("#studio")).to_be_hidden()


def test_nothing_sticks_out_on_a_phone(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url, **PHONE)
    page = watched.open()
    watched.make(star(tmp_path, "red", name="a-file-with-quite-a-long-name-as-cameras-give-them-20260101.png"))
    watched.wait_mesh()
    expect(page.locator(".viewer canvas")).to_be_in_viewport()
    for tab in ("Studio", "Fleet"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_button_under_the_mouse_can_still_be_read(
    visit: Visit, service_url: str, tmp_path: Path, scheme: str
) -> None:
    watched = visit(service_url, color_scheme=scheme)
    page = watched.open()
    watched.choose(star(tmp_path, "red"))
    for button in (page.locator("#make"), page.get_by_role("button", name="Star", exact=True)):
        button.hover()
        page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
        assert not serious(page)
        text, ground = button.evaluate("(one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]")
        assert text != ground


def test_what_was_refused_can_be_taken_out_on_a_phone(visit: Visit, service_url: str, tmp_path: Path) -> None:
    broken = tmp_path / "a-file-with-quite-a-long-name-as-cameras-give-them-20260101.png"
    broken.write_bytes(b"not a picture")
    watched = visit(service_url, expected=("400 (",), **PHONE)
    page = watched.open()
    watched.make(broken)
    expect(page.locator("#tray .refused")).to_contain_text("Not a picture that can be read")
    page.locator("#tray .quiet").click()
    expect(page.locator("#tray li")).to_have_count(0)


def test_nothing_of_the_mesh_stands_behind_the_buttons(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url, **PHONE)
    page = watched.open()
    watched.make(star(tmp_path, "red"))
    watched.wait_mesh()
    page.get_by_role("button", name="Measures").click()
    top = page.locator(".viewer-bar").bounding_box()["y"]
    for label in page.locator(".measures text:visible").all():
        box = label.bounding_box()
        assert box["y"] + box["height"] <= top


def test_dark_is_dark_and_can_be_switched(visit: Visit, service_url: str, tmp_path: Path) -> None:
    page = visit(service_url, color_scheme="dark").open()
    assert brightness(page, tmp_path) < 70
    page.get_by_role("button", name="Light or dark").click()
    assert brightness(page, tmp_path) > 180
    page.reload()
    assert brightness(page, tmp_path) > 180


def brightness(page: Page, folder: Path) -> float:
    page.screenshot(path=str(folder / "page.png"))
    with Image.open(folder / "page.png") as image:
        return float(np.asarray(image.convert("L")).mean())


def focused(page: Page) -> str:
    """Text of what has the focus, or its tag when it has none."""
    return page.evaluate("document.activeElement.innerText?.trim() || document.activeElement.localName")


def press_until(page: Page, reached: Any, most: int = 60) -> None:
    for _ in range(most):
        if reached():
            return
        page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not lead there")
