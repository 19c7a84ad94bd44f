"""What the page does when things go wrong, wait, or are not allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import ServedHouse, Visit
from tests.browser.watched_page import star
from tests.servers import RedisServer

Serve = Callable[..., ServedHouse]


def test_waiting_jobs_show_their_place_and_can_be_canceled(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    served = serve()
    watched = visit(served.url)
    page = watched.open()
    watched.make(star(tmp_path, "red"))
    expect(page.locator(".job", has_text="red.png")).to_contain_text("Next in line")
    watched.make(star(tmp_path, "blue"))
    expect(page.locator(".job", has_text="blue.png")).to_contain_text("1 ahead in the queue")
    page.get_by_role("button", name="Cancel red.png").click()
    expect(page.locator(".job", has_text="red.png")).to_contain_text("Canceled")
    served.house.work()
    expect(page.locator(".job", has_text="blue.png")).to_have_attribute("data-status", "succeeded")
    assert served.house.workshop.box.runs == 1


def test_a_failed_job_says_why_and_what_to_do(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    served = serve()
    watched = visit(served.url)
    page = watched.open()
    page.get_by_text("Shape", exact=True).click()
    page.get_by_label("Fail").check()
    watched.make(star(tmp_path, "red"))
    expect(page.locator(".working")).to_contain_text("Next in line")
    served.house.work()
    ended = page.locator(".ended.failed")
    expect(ended).to_contain_text("holds no shape")
    expect(ended).to_contain_text("stands out from its background")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".job[data-status=queued]")).to_have_count(1)


def test_a_file_that_is_no_picture_stays_in_the_tray_with_the_reason(
    visit: Visit, serve: Serve, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture at all")
    watched = visit(serve().url, expected=("400 (BAD REQUEST)",))
    page = watched.open()
    watched.make(broken)
    expect(page.get_by_role("alert").filter(has_text="Save it as PNG or JPEG")).to_be_visible()
    expect(page.locator("#tray .refused")).to_contain_text("broken.png")


def test_of_many_pictures_only_the_broken_one_stays_in_the_tray(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture at all")
    watched = visit(serve().url)
    page = watched.open()
    watched.make(star(tmp_path, "red"), broken, star(tmp_path, "blue"))
    expect(page.locator(".job")).to_have_count(2)
    expect(page.locator(".job", has_text="blue.png")).to_have_count(1)
    expect(page.locator("#tray li")).to_have_count(1)
    expect(page.locator("#tray .refused")).to_contain_text("broken.png")
    expect(page.locator("#tray .refused")).to_contain_text("Not a picture that can be read")
    expect(page.locator("#compose-problem")).to_contain_text("1 of 3 pictures was not taken")


def test_what_does_not_fit_into_a_full_queue_goes_in_later_by_itself(
    visit: Visit, serve: Serve, tmp_path: Path
) -> None:
    served = serve(queue_limit=2)
    watched = visit(served.url)
    page = watched.open()
    expect(page.locator("#link")).to_have_text("Live")
    page.clock.install()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture at all")
    watched.make(*(star(tmp_path, colour) for colour in ("red", "blue", "green")), broken)
    expect(page.locator(".job")).to_have_count(2)
    expect(page.locator("#compose-problem")).to_contain_text("Trying again in")
    served.house.work()
    page.clock.fast_forward(40_000)
    expect(page.locator(".job", has_text="green.png")).to_have_count(1)
    expect(page.locator("#tray li")).to_have_count(1)
    expect(page.locator("#tray .refused")).to_contain_text("broken.png")


def test_a_value_that_the_service_refuses_is_marked_in_the_form(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    served = serve()
    watched = visit(served.url, expected=("422 (",))
    page = watched.open()
    page.get_by_text("Shape", exact=True).click()
    page.get_by_label("Depth").fill("1.5")
    page.evaluate("document.querySelector('#field-depth').removeAttribute('max')")
    page.get_by_label("Depth").fill("9")
    watched.make(star(tmp_path, "red"))
    expect(page.locator("#field-depth-complaint")).to_contain_text("2")
    expect(page.get_by_label("Depth")).to_have_attribute("aria-invalid", "true")


def test_the_page_asks_for_a_key_and_goes_on_with_it(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    served = serve(api_keys=("opensesame",), admin_keys=("master",))
    watched = visit(served.url, expected=("401 (UNAUTHORIZED)", "403 (FORBIDDEN)"))
    page = watched.open()
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_contain_text("asks for a key")
    dialog.get_by_label("Key").fill("wrong")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("does not know this key")
    dialog.get_by_label("Key").fill("opensesame")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("#link")).to_have_text("Live")
    watched.make(star(tmp_path, "red"))
    expect(page.locator(".job")).to_contain_text("Next in line")
    served.house.work()
    watched.wait_mesh()
    page.get_by_role("tab", name="Fleet").click()
    expect(page.locator(".locked")).to_contain_text("admin key")
    page.get_by_role("button", name="API key").click()
    dialog.get_by_label("Key").fill("master")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator(".tier")).to_have_count(3)


def test_without_a_stream_the_page_follows_by_asking(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    served = serve(api_threads=1)  # of one thread none is left for streams
    watched = visit(served.url, expected=("503 (SERVICE UNAVAILABLE)",))
    page = watched.open()
    expect(page.locator("#link")).to_have_text("Following by polling")
    watched.make(star(tmp_path, "red"))
    expect(page.locator(".job")).to_contain_text("Next in line")
    served.house.work()
    watched.wait_mesh()


def test_a_full_queue_is_tried_again_by_itself(visit: Visit, serve: Serve, tmp_path: Path) -> None:
    served = serve(queue_limit=1)
    watched = visit(served.url, expected=("503 (SERVICE UNAVAILABLE)",))
    page = watched.open()
    page.route("**/api/jobs", lambda route: route.fallback())
    watched.make(star(tmp_path, "red"))
    expect(page.locator(".job")).to_have_count(1)
    page.clock.install()
    watched.choose(star(tmp_path, "blue"))
    with page.expect_response(lambda answer: answer.status == 503):
        page.locator("#make").click()
    served.house.work()
    page.clock.fast_forward(40_000)
    expect(page.locator(".job", has_text="blue.png")).to_have_count(1)


def test_an_unknown_3d_page_is_said_in_words(visit: Visit, serve: Serve) -> None:
    page = visit(serve().url, expected=("404 (NOT FOUND)",)).open(f"/api/jobs/{'0' * 32}/view")
    expect(page.locator(".ended.failed")).to_contain_text("may have been forgotten")


def test_an_unknown_job_in_the_address_is_said_in_words(visit: Visit, serve: Serve) -> None:
    page = visit(serve().url, expected=("404 (NOT FOUND)",)).open(f"/#/job/{'0' * 32}")
    expect(page.locator("#notice")).to_contain_text("may have been forgotten")


def test_a_fleet_that_is_seen_no_longer_says_from_when_its_figures_are(
    visit: Visit, serve: Serve, own_redis: Callable[..., RedisServer]
) -> None:
    redis = own_redis()
    page = visit(serve(redis).url, expected=("503 (SERVICE UNAVAILABLE)",)).open("/#/fleet")
    expect(page.locator(".worker")).to_have_count(1)
    expect(page.locator("#fleet .problem")).to_be_hidden()
    redis.close()
    expect(page.locator("#link")).to_have_text("No answer from the service", timeout=20_000)
    expect(page.locator("#fleet .problem")).to_contain_text("These figures are from")
