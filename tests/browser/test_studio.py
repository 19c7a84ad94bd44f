"""Whole journeys through the real service: from a picture to a file, and everything a person does on the way."""

from __future__ import annotations

import re
from pathlib import Path

import trimesh
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.watched_page import distinct_colours, redness, star


def test_a_picture_becomes_a_mesh_to_look_at_and_to_take_home(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url, viewport={"width": 1280, "height": 900})
    page = watched.open()
    expect(page.locator("#link")).to_have_text("Live")
    watched.make(star(tmp_path, "crimson"))
    watched.wait_mesh()
    assert distinct_colours(page) > 60 and redness(page) > 0.03
    facts = page.locator(".facts")
    expect(facts).to_contain_text("50 ×")
    expect(facts).to_contain_text("ready to print")
    expect(page.locator(".origin")).to_contain_text("from scratch")
    with page.expect_download() as download:
        page.get_by_role("button", name="STL", exact=True).click()
    assert download.value.suggested_filename == "crimson.stl"
    mesh = trimesh.load_mesh(download.value.path(), file_type="stl")
    assert mesh.is_watertight and abs(max(mesh.extents) - 50) < 0.01


def test_a_download_has_the_size_that_was_asked_for(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url)
    page = watched.open()
    watched.make(star(tmp_path, "red"))
    watched.wait_mesh()
    page.get_by_label("Longest side, mm").fill("80")
    page.get_by_label("Most faces").last.fill("500")
    with page.expect_download() as download:
        page.get_by_role("button", name="PLY", exact=True).click()
    mesh = trimesh.load_mesh(download.value.path(), file_type="ply")
    assert abs(max(mesh.extents) - 80) < 0.01 and len(mesh.faces) <= 500


def test_a_repeat_says_where_it_was_served_from_and_what_that_saved(
    visit: Visit, service_url: str, tmp_path: Path
) -> None:
    watched = visit(service_url)
    page = watched.open()
    picture = star(tmp_path, "maroon")
    watched.make(picture)
    watched.wait_mesh()
    first = page.url
    watched.make(picture)
    page.wait_for_url(lambda url: url != first)
    expect(page.locator(".origin")).to_contain_text("Served from the shared cache")
    expect(page.locator(".origin")).to_contain_text("Saved")
    expect(page.locator(".job").first.locator(".badge")).to_have_text("Cached")


def test_many_pictures_go_in_at_once(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url)
    page = watched.open()
    colours = ("navy", "teal", "olive", "purple")
    watched.choose(*(star(tmp_path, colour) for colour in colours))
    expect(page.locator("#tray li")).to_have_count(4)
    page.get_by_role("button", name="Take olive.png out").click()
    calls: list[str] = []
    page.on("request", lambda sent: calls.append(sent.url) if sent.method == "POST" else None)
    page.get_by_role("button", name="Make 3 meshes").click()
    for colour in ("navy", "teal", "purple"):
        job = page.locator(".job", has_text=f"{colour}.png").first
        expect(job).to_have_attribute("data-status", "succeeded", timeout=60_000)
    expect(page.locator("#tray li")).to_have_count(0)
    assert calls == [f"{service_url}/api/jobs/batch"], "one call takes all of them"


def test_history_survives_a_reload_with_its_pictures(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url)
    page = watched.open()
    watched.make(star(tmp_path, "green"))
    watched.wait_mesh()
    page.reload()
    watched.wait_mesh()
    job = page.locator(".job", has_text="green.png").first
    expect(job).to_have_attribute("data-status", "succeeded")
    expect(job.locator("img")).to_have_attribute("src", re.compile("^(blob|data):"))


def test_an_example_needs_no_picture_of_ones_own(visit: Visit, service_url: str) -> None:
    watched = visit(service_url)
    page = watched.open()
    page.get_by_role("button", name="Ring", exact=True).click()
    page.get_by_label("Size, mm").fill("30")
    page.locator("#make").click()
    watched.wait_mesh()
    expect(page.locator(".facts")).to_contain_text("30 × 30")


def test_a_pasted_picture_and_a_dropped_one_are_taken(visit: Visit, service_url: str) -> None:
    page = visit(service_url).open()
    for event, carrier in (("paste", "clipboardData"), ("drop", "dataTransfer")):
        page.evaluate(
            """async ([event, carrier]) => {
                const canvas = document.createElement("canvas");
                canvas.width = canvas.height = 40;
                const blob = await new Promise((done) => canvas.toBlob(done));
                const data = new DataTransfer();
                data.items.add(new File([blob], `${event}ed.png`, { type: "image/png" }));
                const kind = event === "paste" ? ClipboardEvent : DragEvent;
                document.body.dispatchEvent(new kind(event, { [carrier]: data, bubbles: true, cancelable: true }));
            }""",
            [event, carrier],
        )
        expect(page.locator("#tray")).to_contain_text(f"{event}ed.png")


def test_the_view_turns_changes_its_look_and_shows_measures(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url)
    page = watched.open()
    watched.make(star(tmp_path, "red"))
    watched.wait_mesh()
    canvas = page.locator(".viewer canvas")
    looks = [canvas.screenshot()]
    for change in ("Texture", "Wireframe", "ArrowLeft", "+"):
        if len(change) > 5 and change != "ArrowLeft":
            page.get_by_role("button", name=change).click()
        else:
            canvas.focus()
            page.keyboard.press(change)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        looks.append(canvas.screenshot())
    assert len(set(looks)) == 5
    page.get_by_role("button", name="Measures").click()
    expect(page.locator(".measures text").first).to_have_text("50 mm")


def test_the_3d_page_shows_one_job_alone(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url)
    page = watched.open()
    watched.make(star(tmp_path, "red"))
    watched.wait_mesh()
    view = visit(service_url)
    view.open(page.get_by_role("link", name="3D page").get_attribute("href") or "")
    view.wait_mesh()
    assert redness(view.page) > 0.03
    expect(view.page.locator("h1")).to_have_text("red.png")
