"""An S3-compatible store that fails or dawdles on order, in this process, for workers in others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class Bucket:
    """`broken` answers every write with 500; `delay_s` is slept before each answer."""

    def __init__(self) -> None:
        self.broken = False
        self.delay_s = 0.0
        self.refused = 0
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {**KEYS, "AWS_ENDPOINT_URL": self.endpoint}
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.client = boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test",
        )  # fmt: skip
        self.client.create_bucket(Bucket="meshes")
        self.url = "s3://meshes/orfeas"

    def keys(self, prefix: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket="meshes", Prefix=f"orfeas/{prefix}/")
        return [item["Key"].rpartition("/")[2] for item in found.get("Contents", ())]

    def close(self) -> None:
        self._server.shutdown()

    def _serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        time.sleep(self.delay_s)
        if self.broken and environ["REQUEST_METHOD"] in ("PUT", "POST"):
            self.refused += 1
            start("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        return self._app(environ, start)
