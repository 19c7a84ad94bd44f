"""The Fleet tab over the real service: workers, tiers, limits, entries."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.watched_page import star


def test_the_fleet_tab_shows_workers_tiers_and_entries(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url)
    page = watched.open()
    watched.make(star(tmp_path, "black"))
    watched.wait_mesh()
    page.get_by_role("tab", name="Fleet").click()
    expect(page.locator(".worker")).to_have_count(2)
    expect(page.locator(".tile", has_text="Answered by a tier")).to_contain_text("lookups")
    expect(page.locator(".tier")).to_have_count(3)
    expect(page.locator("#fleet svg[role=img]")).to_have_attribute("aria-label", re.compile("Shared"))
    expect(page.locator(".entry").first).to_contain_text("read")
    page.locator(".entry").first.scroll_into_view_if_needed()  # pictures are made only for those who look at them
    expect(page.locator(".entry .rendered").first).to_be_visible(timeout=60_000)


def test_limits_are_changed_for_all_workers(visit: Visit, service_url: str) -> None:
    page = visit(service_url).open("/#/fleet")
    field = page.get_by_label("Entries of each local tier")
    expect(field).not_to_have_value("")
    field.fill("777")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".limits [role=status]")).to_contain_text("pplied by")
    page.reload()
    expect(page.get_by_label("Entries of each local tier")).to_have_value("777")


def test_limits_are_read_however_late_the_first_figures_come(visit: Visit, service_url: str) -> None:
    watched = visit(service_url)
    watched.page.route(re.compile(r"/api/events"), lambda route: None)  # held
    page = watched.open("/#/fleet")
    expect(page.get_by_role("tab", name="Fleet")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Entries of each local tier")).to_have_value("")
    watched.page.unroute_all()  # lets go on what was held, too
    expect(page.get_by_label("Entries of each local tier")).not_to_have_value("")


def test_emptying_the_caches_asks_first(visit: Visit, service_url: str, tmp_path: Path) -> None:
    watched = visit(service_url)
    page = watched.open()
    watched.make(star(tmp_path, "black"))
    watched.wait_mesh()
    page.get_by_role("tab", name="Fleet").click()
    expect(page.locator(".entry").first).to_be_visible()
    questions: list[str] = []
    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Empty the caches").click()
    expect(page.locator(".entry").first).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Empty the caches").click()
    expect(page.get_by_text("Emptied")).to_be_visible()
    assert questions and "archive" in questions[0]
