"""Which Redis URLs are supported: all clients read them alike; others are refused without repeating any of them."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from celery import Celery
from pydantic import ValidationError

from cache.redis_client import make_client
from cache.redis_url import REFUSED, RedisAddress
from jobs.broker import broker_settings, broker_url
from settings import Settings, problems

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379", "localhost", "redis", "redis:/localhost", "redis//localhost", "redis:localhost",
        f"user:{SECRET}@localhost:6379", f":{SECRET}@localhost", SECRET,
        *(f"{scheme}://:{SECRET}@127.0.0.1:26379" for scheme in (*REFUSED, "AMQP", "kafka", "memory", "redis+tls")),
        f"redis://:{SECRET}[c@127.0.0.1:6379/0", f"redis://:{SECRET}]c@127.0.0.1:6379/0",
        f"redis://:{SECRET}/c@127.0.0.1:6379/0", f"redis://:{SECRET}#c@127.0.0.1:6379/0",
        f"redis://:{SECRET}?c@127.0.0.1:6379/0", f"redis://u:12?{SECRET}=c@127.0.0.1:6379/0",
        f"redis://:{SECRET}@127.0.0.1:{SECRET}/0", f"redis://:{SECRET}@127.0.0.1:0/0",
        f"redis://:{SECRET}@127.0.0.1:65536/0", f"redis://:{SECRET}@127.0.0.1:-1/0", f"redis://:{SECRET}@[::1/0",
        f"redis://:{SECRET}@127.0.0.1/zero", f"redis://:{SECRET}@127.0.0.1/0/1", f"redis://:{SECRET}@127.0.0.1/-1",
        f"redis://:{SECRET}@127.0.0.1/1?db=2", f"redis://:{SECRET}@127.0.0.1/0#1", f"redis://:{SECRET} @127.0.0.1/0",
        f"redis://:{SECRET}@127.0.0.1/0\x00", f"redis://:{SECRET}@127.0.0.1?socket_timeout=5",
        f"redis://:{SECRET}@127.0.0.1?ssl_ca_certs=/etc/hosts", f"redis://127.0.0.1?{SECRET}=1",
        f"redis://127.0.0.1?db=1&db=2&password={SECRET}",
        f"rediss://:{SECRET}@127.0.0.1?ssl_cert_reqs=maybe", f"rediss://:{SECRET}@127.0.0.1?ssl_check_hostname=maybe",
        f"rediss://:{SECRET}@127.0.0.1?ssl_ca_certs=/nowhere/{SECRET}", f"rediss://127.0.0.1?ssl_keyfile=/no/{SECRET}",
        f"unix://{SECRET}/redis.sock", f"unix://:{SECRET}@run/redis.sock", f"unix://:{SECRET}@", "unix:///", "unix://",
        f"unix:///run/redis.sock?db={SECRET}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("setting", ["redis_url", "cache_redis_url"])
def test_what_is_not_supported_is_refused_by_the_settings_name_alone(url: str, setting: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**{setting: url})
    says = "; ".join(problems(refused.value))
    assert says.startswith(f"{setting.upper()}: ") and len(says.splitlines()) == 1
    assert SECRET not in str(refused.value) + says
    with pytest.raises(ValueError, match=r"."):
        make_client(url, connect_timeout_s=1, timeout_s=1)
    with pytest.raises(ValueError, match=r"."):
        broker_settings(url, longest_job_s=1)


@pytest.mark.parametrize(
    ("url", "host", "port", "database", "username", "password"),
    [
        ("redis://", "localhost", 6379, 0, None, None),
        ("redis:///3", "localhost", 6379, 3, None, None),
        ("redis://h", "h", 6379, 0, None, None),
        ("redis://h/", "h", 6379, 0, None, None),
        ("REDIS://h:1/2", "h", 1, 2, None, None),
        ("redis://h?db=7", "h", 6379, 7, None, None),
        ("redis://[::1]:7000/1", "::1", 7000, 1, None, None),
        ("redis://user@h", "h", 6379, 0, "user", None),
        ("redis://:p@h", "h", 6379, 0, None, "p"),
        ("redis://u:p@ss@h", "h", 6379, 0, "u", "p@ss"),
        ("redis://u%3A:%2F%23%3F%5B%40%25%3B%2C@h/0", "h", 6379, 0, "u:", "/#?[@%;,"),
        ("redis://u:a;b,c+d&e=f@h", "h", 6379, 0, "u", "a;b,c+d&e=f"),
        ("redis://h?username=u&password=p%2Bq", "h", 6379, 0, "u", "p+q"),
        ("rediss://u:p@h:6380/1", "h", 6380, 1, "u", "p"),
    ],
)
def test_every_client_reads_an_address_alike(
    url: str, host: str, port: int, database: int, username: str | None, password: str | None
) -> None:
    expected = {"host": host, "port": port, "db": database, "username": username, "password": password}
    ours = make_client(url, connect_timeout_s=1, timeout_s=1).connection_pool.connection_kwargs
    assert {name: ours[name] for name in expected} == expected
    kombu = kombu_arguments(url)
    assert {name: kombu[name] for name in expected} == expected
    written = redis.connection.parse_url(broker_url(RedisAddress.parse(url)))  # as redis-py itself reads it
    assert {"username": None, "password": None, **written}.items() >= expected.items()


@pytest.mark.parametrize(
    ("url", "path", "database", "password"),
    [
        ("unix:///run/redis.sock", "/run/redis.sock", 0, None),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock", 2, None),
        ("unix://u:p%23@/a%20b/redis.sock", "/a b/redis.sock", 0, "p#"),
        ("unix:///run/r.sock?username=u&password=p", "/run/r.sock", 0, "p"),
    ],
)
def test_a_unix_socket_is_known_to_celery_too(url: str, path: str, database: int, password: str | None) -> None:
    ours = make_client(url, connect_timeout_s=1, timeout_s=1).connection_pool.connection_kwargs
    kombu = kombu_arguments(url)
    for found in (ours, kombu):
        assert (found["path"], found["db"], found["password"]) == (path, database, password)
        assert found["username"] == ("u" if password else None)


@pytest.mark.parametrize(
    ("query", "verify", "names"),
    [
        ("", ssl.CERT_REQUIRED, True),
        ("?ssl_cert_reqs=required", ssl.CERT_REQUIRED, True),
        ("?ssl_cert_reqs=CERT_OPTIONAL", ssl.CERT_OPTIONAL, True),
        ("?ssl_cert_reqs=none", ssl.CERT_NONE, False),
        ("?ssl_check_hostname=false", ssl.CERT_REQUIRED, False),
    ],
)
def test_celery_and_flower_verify_a_server_as_redis_py_does(query: str, verify: ssl.VerifyMode, names: bool) -> None:
    url = f"rediss://:p@h:6380/0{query}"
    ours = make_client(url, connect_timeout_s=1, timeout_s=1).connection_pool.connection_kwargs
    settings = broker_settings(url, longest_job_s=1)
    for found in (ours, kombu_arguments(url), settings["broker_use_ssl"]):
        assert (found["ssl_cert_reqs"], found["ssl_check_hostname"]) == (verify, names)
    assert "?" not in settings["broker_url"], "Flower takes no options from the URL"


def test_files_of_certificates_reach_every_client(tmp_path: Path) -> None:
    authority = tmp_path / "ca&more.pem"
    authority.write_text("")
    url = f"rediss://h?ssl_ca_certs={str(authority).replace('&', '%26')}"
    ours = make_client(url, connect_timeout_s=1, timeout_s=1).connection_pool.connection_kwargs
    assert ours["ssl_ca_certs"] == kombu_arguments(url)["ssl_ca_certs"] == str(authority)


def test_without_a_url_the_embedded_server_is_meant() -> None:
    for blank in ("", "  "):
        assert Settings(redis_url=blank, redis_port=7001).broker_url == "redis://127.0.0.1:7001/0"


def kombu_arguments(url: str) -> dict[str, object]:
    """What Celery's connection gives to redis-py."""
    app = Celery("test", set_as_current=False)
    app.conf.update(broker_settings(url, longest_job_s=1))
    connection = app.connection_for_write()
    channel = connection.transport.Channel.__new__(connection.transport.Channel)
    channel.connection = SimpleNamespace(client=connection, default_port=6379)
    return channel._connparams()
