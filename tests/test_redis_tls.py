"""A Redis with TLS: every client of ours verifies the server before it says the password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme
from celery import Celery
from flower.utils.broker import Broker
from kombu.exceptions import OperationalError

from api.services import connect
from deploy.doctor.redis import redis_findings
from jobs.broker import Sender, broker_settings
from settings import Settings
from tests.servers import RedisServer, free_port
from tests.tools import tool

PASSWORD = "pw;#"


class TlsRedis(RedisServer):
    """A server that answers on its usual port without TLS, to the test alone, and on `tls_port` with it."""

    def __init__(self, folder: Path, name: str, started_with: tuple[pytest.MonkeyPatch, str]) -> None:
        patch, binary = started_with
        patch.setenv("ORFEAS_TEST_REDIS_SERVER", binary)
        self.certificate_name = name
        self.tls_port = free_port()
        self.authority = folder / "authority.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        certificate = authority.issue_cert(name)
        key, chain = folder / "key.pem", folder / "chain.pem"
        certificate.private_key_pem.write_to_path(key)
        certificate.cert_chain_pems[0].write_to_path(chain)
        super().__init__(**{
            "tls-port": str(self.tls_port), "tls-cert-file": str(chain), "tls-key-file": str(key),
            "tls-ca-cert-file": str(self.authority), "tls-auth-clients": "no",
        })  # fmt: skip

    def url_with(self, query: str) -> str:
        return f"rediss://:pw%3B%23@localhost:{self.tls_port}/0{query}"


@pytest.fixture(scope="module", params=["localhost", "another.example"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    binary = tool("redis-server", how="the bundled server knows no TLS; install Debian's redis-server")
    with (
        pytest.MonkeyPatch.context() as patch,
        TlsRedis(tmp_path_factory.mktemp("tls"), request.param, started_with=(patch, binary)) as server,
    ):
        with server.client() as admin:
            admin.config_set("requirepass", PASSWORD)
        yield server


def reached(server: TlsRedis, query: str) -> dict[str, bool]:
    """Which client was served."""
    url = server.url_with(query)
    app = Celery("test", set_as_current=False)
    app.conf.update(broker_settings(url, longest_job_s=1))
    flower = Broker(app.conf.broker_url, broker_use_ssl=app.conf.broker_use_ssl)
    options = {name: value for name, value in flower.redis.connection_pool.connection_kwargs.items() if name != "retry"}
    kind = redis.SSLConnection if options.pop("ssl", True) else redis.Connection
    as_flower = redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, **options))
    tries = {"redis-py": connect(url).ping, "celery": lambda: Sender(app).backlog("generate"), "flower": as_flower.ping}
    served = {}
    for name, call in tries.items():
        try:
            call()
            served[name] = True
        except (redis.RedisError, OperationalError):
            served[name] = False
    return served


@pytest.mark.parametrize("case", ["untrusted", "trusted", "trusted, any name", "not verified"])
def test_all_clients_verify_alike(server: TlsRedis, case: str) -> None:
    trust = f"?ssl_ca_certs={server.authority}"
    queries = {
        "untrusted": "", "trusted": trust, "trusted, any name": f"{trust}&ssl_check_hostname=false",
        "not verified": "?ssl_cert_reqs=none",
    }  # fmt: skip
    may = {
        "untrusted": False, "trusted": server.certificate_name == "localhost", "trusted, any name": True,
        "not verified": True,
    }  # fmt: skip
    assert reached(server, queries[case]) == dict.fromkeys(("redis-py", "celery", "flower"), may[case])


def test_the_doctor_tells_a_certificate_that_is_not_trusted(server: TlsRedis) -> None:
    (found,) = redis_findings("redis", server.url_with(""), Settings(), embedded=False)
    assert "certificate is not trusted" in found.says and "ssl_ca_certs" in found.mend
