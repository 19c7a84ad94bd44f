"""Webhooks: the job's body at its end, signed, tried again, at least once, and told of."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from api.deliveries import Deliverer, Post, deliver_webhooks
from api.outbound import Outbound
from api.signatures import Signer
from jobs.webhooks import Outbox
from tests.house import House, picture
from tests.receivers import Receiver, Reply, receiver
from tests.servers import RedisServer, wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "A" * 32
DUE = "{orfeas}:webhooks:local"


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def make_house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(**settings: Any) -> House:
        chosen = {"webhook_secret": (SECRET,), "webhook_allow_private": True} | settings
        houses.append(House(text_redis, redis_url, tmp_path, **chosen).open())
        return houses[-1]

    yield make
    for house in houses:
        house.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()


def deliverer(house: House, **outbox: Any) -> Deliverer:
    settings = house.settings
    post = Post(Outbound.of(settings), Signer(settings.webhook_secret))
    return Deliverer(house.store, Outbox(house.store, max_attempts=settings.webhook_attempts, **outbox), post)


def submit(house: House, url: str, key: str = "", **fields: Any) -> dict[str, Any]:
    data = fields | {"webhook_url": url, "image": (io.BytesIO(picture(fields.pop("colour", "red"))), "a.png")}
    answer = house.http.post("/api/jobs", data=data, headers={"Authorization": f"Bearer {key}"} if key else None)
    assert answer.status_code in (200, 202), answer.json
    return answer.json


def ended(house: House, url: str, **fields: Any) -> dict[str, Any]:
    job = submit(house, url, **fields)
    house.work()
    return job


def log(house: House, job: dict[str, Any]) -> dict[str, Any]:
    return house.http.get(f"/api/jobs/{job['id']}/webhooks").json


def make_due(house: House) -> None:
    """As if the time had come."""
    for job_id in house.store.redis.zrange(DUE, 0, -1):
        house.store.redis.zadd(DUE, {job_id: 1})


def test_the_jobs_body_is_delivered_at_its_end_and_anybodys_library_verifies_it(house: House, hook: Receiver) -> None:
    job = submit(house, hook.url)
    assert not deliverer(house).deliver_next(), "it has not ended"
    house.work()
    assert deliverer(house).deliver_next()
    path, headers, body = hook.got[0]
    assert Webhook(SECRET).verify(body, dict(headers)) == house.http.get(job["urls"]["self"]).json
    assert (path, headers["Content-Type"], headers["Webhook-Id"]) == ("/hook", "application/json", f"msg_{job['id']}")
    assert json.loads(body)["status"] == "succeeded"
    assert not deliverer(house).deliver_next(), "once is enough"


def test_a_changed_body_or_another_secret_does_not_verify(house: House, hook: Receiver) -> None:
    ended(house, hook.url)
    deliverer(house).deliver_next()
    _, headers, body = hook.got[0]
    for secret, told in ((SECRET, body + b" "), (OTHER_SECRET, body)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(told, dict(headers))


def test_while_secrets_change_over_both_verify(make_house: Callable[..., House], hook: Receiver) -> None:
    house = make_house(webhook_secret=(OTHER_SECRET, SECRET))
    ended(house, hook.url)
    deliverer(house).deliver_next()
    _, headers, body = hook.got[0]
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(body, dict(headers))
    assert house.http.get("/api/webhooks/secret").json == {"secrets": [OTHER_SECRET, SECRET]}


def test_every_caller_has_a_secret_of_its_own(make_house: Callable[..., House], hook: Receiver) -> None:
    house = make_house(api_keys=("ada", "bob"))
    job = submit(house, hook.url, key="ada")
    house.work()
    deliverer(house).deliver_next()
    _, headers, body = hook.got[0]
    secrets = {
        name: house.http.get("/api/webhooks/secret", headers={"Authorization": f"Bearer {name}"}).json["secrets"][0]
        for name in ("ada", "bob")
    }
    assert Webhook(secrets["ada"]).verify(body, dict(headers))["id"] == job["id"]
    for secret in (secrets["bob"], SECRET):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, dict(headers))


@pytest.mark.parametrize("end", ["failed", "canceled"])
def test_every_end_is_told(house: House, hook: Receiver, end: str) -> None:
    job = submit(house, hook.url, fail="true")
    if end == "canceled":
        house.http.delete(job["urls"]["self"])
    house.work()
    deliverer(house).deliver_next()
    assert json.loads(hook.got[0][2])["status"] == end


def test_a_job_that_was_there_already_is_told_too(house: House, hook: Receiver) -> None:
    ended(house, hook.url)
    submit(house, hook.url)
    while deliverer(house).deliver_next():
        pass
    assert len(set(hook.ids)) == 2


def test_what_was_not_taken_is_tried_again_later_under_the_same_id(house: House, hook: Receiver) -> None:
    hook.replies = [Reply(500), Reply(302, {"Location": "/elsewhere"})]
    job = ended(house, hook.url)
    one = deliverer(house)
    assert one.deliver_next() and not one.deliver_next(), "not at once"
    told = log(house, job)
    assert (told["status"], told["attempts"], told["tries"][0]["status_code"]) == ("pending", 1, 500)
    assert told["next_attempt_at"] > told["tries"][0]["at"]
    for _ in range(2):
        make_due(house)
        assert one.deliver_next()
    told = log(house, job)
    assert [one["status_code"] for one in told["tries"]] == [500, 302, 204] and told["status"] == "delivered"
    assert told["next_attempt_at"] is None and len(set(hook.ids)) == 1
    assert hook.got[0][1]["Webhook-Signature"] and len(hook.got) == 3


def test_after_the_last_try_it_is_given_up(make_house: Callable[..., House], hook: Receiver) -> None:
    house = make_house(webhook_attempts=2)
    hook.replies = [Reply(503)] * 3
    job = ended(house, hook.url)
    for _ in range(3):
        make_due(house)
        deliverer(house).deliver_next()
    told = log(house, job)
    assert (told["status"], told["attempts"], len(hook.got)) == ("failed", 2, 2)
    assert house.store.redis.zcard(DUE) == 0


@pytest.mark.parametrize(("most", "answer"), [(1, Reply(503)), (2, None), (3, Reply(429, {"Retry-After": "60"}))])
def test_a_webhook_is_failed_at_once_after_its_last_try(
    make_house: Callable[..., House], hook: Receiver, most: int, answer: Reply | None
) -> None:
    """And not only when somebody looks for it once more, hours later."""
    house = make_house(webhook_attempts=most)
    hook.replies = [answer] * most if answer else []
    job = ended(house, hook.url if answer else "http://127.0.0.1:9/hook")
    for number in range(1, most + 1):
        make_due(house)
        assert deliverer(house).deliver_next()
        told = log(house, job)
        last = number == most
        assert (told["status"], told["attempts"]) == ("failed" if last else "pending", number)
        assert (told["next_attempt_at"] is None, house.store.redis.zcard(DUE)) == (last, 0 if last else 1)


def test_gone_means_never_again(house: House, hook: Receiver) -> None:
    hook.replies = [Reply(410)]
    job = ended(house, hook.url)
    deliverer(house).deliver_next()
    assert log(house, job)["status"] == "failed" and house.store.redis.zcard(DUE) == 0


def test_a_receiver_that_names_a_time_is_left_alone_until_then(house: House, hook: Receiver) -> None:
    hook.replies = [Reply(429, {"Retry-After": "3600"})]
    job = ended(house, hook.url)
    deliverer(house).deliver_next()
    (seconds, _), due_ms = house.store.redis.time(), house.store.redis.zscore(DUE, job["id"])
    assert 3500 < due_ms / 1000 - seconds < 3700


def test_a_receiver_that_is_away_is_told_of_in_words(house: House) -> None:
    job = ended(house, "http://127.0.0.1:9/hook")
    deliverer(house).deliver_next()
    (tried,) = log(house, job)["tries"]
    assert tried["status_code"] is None and "no connection" in tried["error"]


def test_a_name_that_leads_inside_is_given_up_at_once(make_house: Callable[..., House], hook: Receiver) -> None:
    house = make_house(webhook_allow_private=False)
    inside = Outbound(timeout_s=2, resolve=lambda host, port: ["127.0.0.1"])
    job = ended(house, f"http://hooks.example:{hook.port}/")
    Deliverer(house.store, Outbox(house.store), Post(inside, Signer((SECRET,)))).deliver_next()
    told = log(house, job)
    assert told["status"] == "failed" and "not a public address" in told["tries"][0]["error"] and hook.got == []


def test_many_deliverers_deliver_each_webhook_once(house: House, hook: Receiver) -> None:
    ids = {f"msg_{submit(house, hook.url, label=str(number))['id']}" for number in range(30)}
    house.work()

    def deliver_all() -> None:
        mine = deliverer(house)
        while mine.deliver_next():
            pass

    threads = [threading.Thread(target=deliver_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(hook.ids) == 30 and set(hook.ids) == ids


def test_a_deliverer_that_dies_in_the_middle_is_followed_by_another(house: House, hook: Receiver) -> None:
    job = ended(house, hook.url)
    dead = Outbox(house.store).claim()
    assert dead is not None and not deliverer(house).deliver_next(), "its lease holds"
    make_due(house)  # its lease has ended
    assert deliverer(house).deliver_next() and hook.ids == [f"msg_{job['id']}"]
    late = Post(Outbound.of(house.settings), Signer((SECRET,)))(hook.url, "msg_x", b"{}", owner="local")
    assert Outbox(house.store).settle(dead, late.tried, again_s=5) == "stale"
    assert log(house, job)["status"] == "delivered" and log(house, job)["attempts"] == 2


def test_a_webhook_whose_every_deliverer_dies_is_not_tried_for_ever(house: House, hook: Receiver) -> None:
    job = ended(house, hook.url)
    for _ in range(8):
        assert Outbox(house.store).claim() is not None
        make_due(house)
    assert Outbox(house.store).claim() is None and log(house, job)["status"] == "failed"


def test_a_clock_that_jumped_back_holds_nothing_up(house: House, hook: Receiver) -> None:
    job = ended(house, hook.url)
    house.store.redis.zadd(DUE, {job["id"]: 9e12})
    assert deliverer(house).deliver_next()


def test_a_forgotten_job_leaves_nothing_behind(house: House, hook: Receiver) -> None:
    hook.replies = [Reply(500)]
    job = ended(house, hook.url)
    deliverer(house).deliver_next()
    redis = house.store.redis
    assert 0 < redis.ttl(f"{{orfeas}}:webhook:{job['id']}") <= redis.ttl(f"{{orfeas}}:job:{job['id']}")
    redis.delete(f"{{orfeas}}:job:{job['id']}")
    make_due(house)
    assert not deliverer(house).deliver_next() and redis.zcard(DUE) == 0


def test_pending_webhooks_survive_a_restart_of_redis(
    own_redis: Callable[..., RedisServer], tmp_path: Path, hook: Receiver
) -> None:
    server = own_redis(persist=True)
    house = House(
        server.client(decode_responses=True), server.url, tmp_path, webhook_secret=(SECRET,), webhook_allow_private=True
    ).open()
    hook.replies = [Reply(500)]
    job = ended(house, hook.url)
    deliverer(house).deliver_next()
    server.restart()
    make_due(house)
    assert deliverer(house).deliver_next()
    assert log(house, job)["status"] == "delivered" and log(house, job)["attempts"] == 2
    house.close()


def test_its_own_threads_deliver_and_go_on_when_redis_comes_back(
    own_redis: Callable[..., RedisServer], tmp_path: Path, hook: Receiver
) -> None:
    server = own_redis(persist=True)
    house = House(
        server.client(decode_responses=True), server.url, tmp_path, webhook_secret=(SECRET,), webhook_allow_private=True
    ).open()
    threads = deliver_webhooks(house.services)
    assert threads is not None
    ended(house, hook.url)
    wait_until(lambda: len(hook.got) == 1, what="the first webhook")
    server.restart()
    ended(house, hook.url, colour="blue")
    wait_until(lambda: len(hook.got) == 2, what="the webhook after the restart")
    threads.close()
    house.close()


def test_without_a_secret_nobody_can_ask_for_a_webhook(make_house: Callable[..., House], hook: Receiver) -> None:
    house = make_house(webhook_secret=())
    answer = house.http.post("/api/jobs", data={"webhook_url": hook.url, "image": (io.BytesIO(picture()), "a.png")})
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "webhook_url"
    assert "WEBHOOK_SECRET" in answer.json["detail"]
    assert house.http.get("/api/webhooks/secret").status_code == 404
    assert deliver_webhooks(house.services) is None


def test_a_url_inside_is_refused_at_submission(make_house: Callable[..., House]) -> None:
    house = make_house(webhook_allow_private=False)
    data = {"webhook_url": "http://169.254.169.254/", "image": (io.BytesIO(picture()), "a.png")}
    answer = house.http.post("/api/jobs", data=data)
    assert answer.status_code == 422 and "not a public address" in answer.json["detail"]
    test = house.http.post("/api/webhooks/test", json={"url": "http://127.0.0.1:6379/"})
    assert test.status_code == 422 and test.json["errors"][0]["field"] == "url"


def test_a_webhook_is_sent_again_on_request(house: House, hook: Receiver) -> None:
    hook.replies = [Reply(410)]
    job = submit(house, hook.url)
    url = f"/api/jobs/{job['id']}/webhooks"
    assert house.http.post(url).json["code"] == "not_ready"
    house.work()
    deliverer(house).deliver_next()
    assert house.http.post(url).json["status"] == "pending"
    deliverer(house).deliver_next()
    assert log(house, job)["status"] == "delivered" and len(set(hook.ids)) == 1 and len(hook.ids) == 2


def test_a_job_without_a_webhook_says_so(house: House) -> None:
    data = {"image": (io.BytesIO(picture()), "a.png")}
    job = house.http.post("/api/jobs", data=data).json
    house.work()
    assert log(house, job) == {"url": None, "status": None, "attempts": 0, "next_attempt_at": None, "tries": []}
    assert house.http.post(f"/api/jobs/{job['id']}/webhooks").json["code"] == "no_webhook"
    assert house.store.redis.zcard(DUE) == 0


def test_a_test_event_is_signed_and_its_outcome_told(house: House, hook: Receiver) -> None:
    hook.replies = [Reply(200), Reply(404)]
    good, bad = (house.http.post("/api/webhooks/test", json={"url": hook.url}).json for _ in range(2))
    assert (good["delivered"], good["status_code"]) == (True, 200)
    assert (bad["delivered"], bad["status_code"]) == (False, 404)
    _, headers, body = hook.got[0]
    told = Webhook(SECRET).verify(body, dict(headers))
    assert told["status"] == "succeeded" and told["id"] == "0" * 32
    assert headers["Webhook-Id"] == good["webhook_id"] != bad["webhook_id"]


def test_nobody_reads_or_repeats_anothers_deliveries(make_house: Callable[..., House], hook: Receiver) -> None:
    house = make_house(api_keys=("ada", "bob"))
    job = submit(house, hook.url, key="ada")
    url, bob = f"/api/jobs/{job['id']}/webhooks", {"Authorization": "Bearer bob"}
    assert house.http.get(url, headers=bob).status_code == 404
    assert house.http.post(url, headers=bob).status_code == 404


def test_no_secret_is_logged(house: House, hook: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ended(house, hook.url + "?token=hidden")
    deliverer(house).deliver_next()
    assert len(hook.got) == 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("api", "jobs", "orfeas"))]
    assert not [line for line in ours if "hidden" in line or SECRET in line]
