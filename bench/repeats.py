"""What repeats save: `python -m bench.repeats` prints the service's average speed-up at 70 % and 90 % repeats.

A stack of its own, one generate worker, jobs one after the other over HTTP. The same requests are sent twice: as they
are, and with `Cache-Control: no-cache`, which makes each one anew. Ratios of one run on one machine; the limit is
1 / (1 − h) for a share h of repeats.
"""

from __future__ import annotations

import argparse
import io
import random
import socket
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

from client import Client
from deploy.stack import Stack
from settings import Settings


def drawing(seed: int, side_px: int = 800) -> bytes:
    """A blob of random circles on white: a picture nobody has seen before."""
    dice = random.Random(seed)
    image = Image.new("RGB", (side_px, side_px), "white")
    brush = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, radius = (dice.uniform(*limits) * side_px for limits in ((0.3, 0.7), (0.3, 0.7), (0.1, 0.25)))
        colour = tuple(dice.randrange(30, 200) for _ in range(3))
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def requests(count: int, share: float, first_seed: int) -> list[bytes]:
    """`count` pictures, of which the share repeats an earlier one, in an order that any run repeats."""
    dice = random.Random(first_seed)
    fresh = [drawing(first_seed + number) for number in range(round(count * (1 - share)))]
    repeats = [dice.choice(fresh) for _ in range(count - len(fresh))]
    rest = fresh[1:] + repeats
    dice.shuffle(rest)
    return fresh[:1] + rest


def spent_s(client: Client, pictures: list[bytes], *, anew: bool) -> float:
    """Seconds until every picture, one after the other, has its mesh."""
    began = time.perf_counter()
    for picture in pictures:
        job = client.submit(picture, no_cache=anew)
        client.wait(job, timeout_s=120)
    return time.perf_counter() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--requests", type=int, default=40, help="requests per row")
    count = asked.parse_args().requests
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), port=free_port(), redis_port=free_port(), flower_port=0)
        with Stack(settings) as stack, Client(stack.url) as client:
            stack.wait_ready(60)
            client.wait(client.submit(drawing(0)), timeout_s=120)  # the first one warms the worker up
            print(f"{count} requests a row\n\n repeats   anew s/job   cached s/job   speed-up   limit   hit ms")
            for share, seed in ((0.7, 1000), (0.9, 2000)):
                pictures = requests(count, share, seed)
                anew = spent_s(client, pictures, anew=True) / count
                client.cache_clear("all")
                cached = spent_s(client, pictures, anew=False) / count
                hit_ms = spent_s(client, pictures, anew=False) / count * 1000
                limit = 1 / (1 - share)
                print(f"{share:8.0%} {anew:12.3f} {cached:14.3f} {anew / cached:9.2f}× {limit:6.2f}× {hit_ms:8.1f}")


if __name__ == "__main__":
    main()
