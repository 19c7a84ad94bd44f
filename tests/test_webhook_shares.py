"""Deliverers are shared out among callers: one whose receiver dawdles holds up nobody else's webhooks."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from api.deliveries import SHARE, THREADS, Deliverer, deliver_webhooks
from tests.house import House, picture
from tests.receivers import Receiver, Reply, receiver
from tests.servers import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DAWDLES_S = 10  # of each try to a receiver that drips its answer
PROMPTLY_S = 3.0


@pytest.fixture
def house(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(
        text_redis, redis_url, tmp_path, webhook_secret=(SECRET,), webhook_allow_private=True,
        webhook_timeout_s=DAWDLES_S, api_keys=("ada", "bob"),
    ).open()  # fmt: skip
    yield house
    house.close()


@pytest.fixture
def slow() -> Iterator[Receiver]:
    with receiver() as one:
        one.replies = [Reply(drips=True)] * 1000
        yield one


@pytest.fixture
def quick() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def deliverer(house: House) -> Iterator[Deliverer]:
    started = deliver_webhooks(house.services)
    assert started is not None
    yield started
    started.close()


def submit(house: House, key: str, url: str, count: int = 1) -> None:
    for number in range(count):
        data = {"webhook_url": url, "label": str(number), "image": (io.BytesIO(picture()), "a.png")}
        answer = house.http.post("/api/jobs", data=data, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code in (200, 202), answer.json
    house.work()


@pytest.mark.usefixtures("deliverer")
def test_a_receiver_that_dawdles_holds_up_its_owners_webhooks_only(
    house: House, slow: Receiver, quick: Receiver
) -> None:
    submit(house, "ada", slow.url, 2 * THREADS)
    wait_until(lambda: len(slow.got) == SHARE, 10, "as many deliverers as one owner may have to be held")
    begun = time.monotonic()
    submit(house, "bob", quick.url, 5)
    wait_until(lambda: len(quick.got) == 5, PROMPTLY_S, "the webhooks of another owner")
    print(f"measured: another's five webhooks were delivered after {time.monotonic() - begun:.1f} s")
    assert len(slow.got) == SHARE, "and no more of them were lent meanwhile"


@pytest.mark.usefixtures("deliverer")
def test_one_owner_alone_is_not_slowed_down_by_its_share(house: House, quick: Receiver) -> None:
    submit(house, "ada", quick.url, 60)
    wait_until(lambda: len(quick.got) == 60, 10, "many more than a share, each as soon as another one is done")
