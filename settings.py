"""Every setting of the service, read from the environment in this one file and checked at start.

Names in the environment are the upper-case field names. `docs/operate/settings.md` lists them; a test compares.
Programs that run unattended read them with `load`; what listens at an address of its own checks HOST by itself.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import os
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote_to_bytes, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

import logs

ROOT = Path(__file__).resolve().parent
EMBEDDED_REDIS_PORT = 6399
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
UNIX_SOCKET = "unix"
_HOW_TO_MAKE_ONE = "`echo whsec_$(openssl rand -base64 32)` makes one"


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


def _archive(url: str) -> str:
    """One spelling for one place: a folder as `file://` and its path, quoted; a relative one lies in the checkout."""
    scheme, separator, rest = re.sub(r"^(?i:file):/(?!/)", "file:///", url).partition("://")
    if not url or (separator and scheme.lower() != "file"):
        # What is odd in the name of an object must not read as a query or a fragment.
        return url.replace("?", "%3F").replace("#", "%23")
    path = url
    if separator:
        host, slash, path = rest.partition("/")
        if host.lower() not in ("", "localhost") or not slash:
            raise ValueError("file://host names another host; a folder is file:///path, or its path alone")
        path = os.fsdecode(unquote_to_bytes(f"/{path}"))
    return (ROOT / Path(path).expanduser()).resolve().as_uri()


def _comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _redis_url(url: str) -> str:
    if not url.strip():
        return ""
    from cache.redis_url import RedisAddress  # here, since the package takes long to load and most hosts need it not

    RedisAddress.parse(url.strip())
    return url.strip()


def _webhook_secrets(secrets: tuple[str, ...]) -> tuple[str, ...]:
    for secret in secrets:
        try:
            size_bytes = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
        except ValueError:
            size_bytes = 0
        if not secret.startswith("whsec_") or not 24 <= size_bytes <= 64:
            raise ValueError(f"WEBHOOK_SECRET is not whsec_ and base64 of 24 to 64 bytes; {_HOW_TO_MAKE_ONE}")
    return secrets


def _without_service_link(value: object, default: int) -> object:
    """Kubernetes sets `REDIS_PORT=tcp://…` in every pod beside a Service called `redis`: that is no setting of ours."""
    return default if is_service_link(value) else value


def is_service_link(value: object) -> bool:
    """Whether Kubernetes made this value of a variable that ends in `_PORT`."""
    return isinstance(value, str) and re.match(r"(tcp|udp|sctp)://", value) is not None


def is_loopback(host: str) -> bool:
    """Whether only this host reaches what listens there."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("PUBLIC_URL reads like https://meshes.example.com or https://example.com/orfeas")
    return url.rstrip("/")


def _proxies(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        if address != UNIX_SOCKET:
            try:
                ipaddress.ip_network(address, strict=False)
            except ValueError:
                raise ValueError(
                    f"TRUSTED_PROXIES holds {address!r}, which is no address and no network; "
                    f"{UNIX_SOCKET} means whoever comes by a Unix socket"
                ) from None
    return addresses


Keys = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]


class Settings(BaseSettings):
    """What an operator may set; units are in the names.

    Raises:
        pydantic.ValidationError: a value is out of range; the message names the setting.
    """

    model_config = SettingsConfigDict(
        env_prefix="", frozen=True, extra="ignore", env_ignore_empty=True,
        hide_input_in_errors=True,  # keys and passwords must not reach a log
    )  # fmt: skip

    # Where it listens
    host: str | None = Field(None, description="Address to bind; loopback unless API keys are set")
    protected_mode: bool = Field(
        True, description="0: any HOST without keys, for a container whose port is published on loopback only"
    )
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the REST API and the page")] = 5000
    flower_port: Annotated[
        int,
        BeforeValidator(lambda value: _without_service_link(value, 5555)),
        Field(ge=0, le=65535, description="Port of Flower; 0 starts none"),
    ] = 5555
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(
        "", description="Where callers reach it, like https://host/orfeas: links begin with it; empty: with their path"
    )
    trusted_proxies: Annotated[Keys, AfterValidator(_proxies)] = Field(
        (), description="Comma-separated addresses and networks of proxies whose X-Forwarded-* count; unix: a socket's"
    )
    api_processes: PositiveInt = Field(1, description="gunicorn processes")
    api_threads: PositiveInt = Field(256, description="Threads of each gunicorn process; one per long poll or stream")

    log_format: Literal["text", "json"] = Field("text", description="Log lines for people or for machines")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged")

    # Where things are kept
    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        Path(__file__).parent / "data", description="Folder of the embedded Redis, the default archive and the logs"
    )
    redis_url: RedisUrl = Field("", repr=False, description="Queue and job state; empty: the embedded server")
    cache_redis_url: RedisUrl = Field("", repr=False, description="Shared cache tier; empty: the same as REDIS_URL")
    archive_url: Annotated[str, AfterValidator(_archive)] = Field(
        "", repr=False, description="Durable results: a folder or s3://bucket/prefix; empty: in DATA_DIR"
    )
    redis_port: Annotated[
        int,
        BeforeValidator(lambda value: _without_service_link(value, EMBEDDED_REDIS_PORT)),
        Field(ge=1, le=65535, description="Port of the embedded Redis"),
    ] = EMBEDDED_REDIS_PORT

    # Who does the work
    generate_workers: NonNegativeInt = Field(1, description="Generate workers on this host: one per GPU")
    render_workers: NonNegativeInt = Field(1, description="Processes of the render worker on this host")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")
    job_time_limit_s: PositiveFloat = Field(1800, description="Longest run of one generation")
    stall_limit_s: PositiveFloat = Field(600, description="Longest silence of a running generation")
    max_attempts: PositiveInt = Field(3, description="Runs of one generation before it counts as poison")
    generator_wait_s: PositiveFloat = Field(
        120, description="Time without a worker that offers a generator after which its jobs fail and new ones get 503"
    )
    heartbeat_s: PositiveFloat = Field(2, description="Time between two heartbeats of a worker")
    heartbeat_timeout_s: PositiveFloat = Field(10, description="Silence after which a worker counts as dead")
    stop_grace_s: NonNegativeFloat = Field(
        10, description="Time that running work gets when the stack stops; what it cuts short is made again"
    )

    priority_aging_s: PositiveFloat = Field(
        300, description="Waiting time after which a job of low priority counts as normal; twice that: normal as high"
    )

    # Who may ask, and how much
    api_keys: Keys = Field((), repr=False, description="Comma-separated user keys, plain or as sha256:<hex digest>")
    admin_keys: Keys = Field((), repr=False, description="Comma-separated admin keys, plain or as sha256:<hex digest>")
    rate_limit: str = Field(
        "",
        description="Requests per key or address, like 600/minute; empty: 600/minute with keys, none without; 0: none",
    )
    max_upload_mb: PositiveFloat = Field(25, description="Largest upload")
    max_batch_mb: PositiveFloat = Field(250, description="Largest multipart upload of many pictures in one call")
    max_image_mp: PositiveFloat = Field(64, description="Largest picture in megapixels, checked before decoding")
    queue_limit: PositiveInt = Field(10_000, description="Generations and renditions waiting before new jobs get 503")
    submit_lookup: bool = Field(True, description="0: the API only enqueues; workers' own lookups answer repeats")

    # Webhooks
    webhook_secret: Annotated[Keys, AfterValidator(_webhook_secrets)] = Field(
        (), repr=False, description="Signs webhooks: whsec_ and base64; two by comma while one is replaced; empty: none"
    )
    webhook_allow_private: bool = Field(False, description="1: webhooks may go to private and loopback addresses")
    webhook_attempts: Annotated[int, Field(ge=1, le=10, description="Tries of one webhook, over up to three days")] = 8
    webhook_timeout_s: Annotated[float, Field(gt=0, le=60, description="Longest time of one try")] = 15

    # How long things stay
    job_retention_s: PositiveInt = Field(7 * 86400, description="Age at which an ended job is forgotten")
    jobs_kept: PositiveInt = Field(100_000, description="Most ended jobs remembered; the oldest are forgotten first")
    input_retention_s: PositiveInt = Field(
        7 * 86400, description="Age at which an uploaded picture is deleted; longer than any job waits"
    )
    input_max_mb: NonNegativeFloat = Field(
        0, description="Megabytes of uploaded pictures; the oldest that no job needs go first; 0: no limit"
    )
    archive_retention_s: NonNegativeInt = Field(0, description="Age at which an archived result is deleted; 0: never")
    archive_max_mb: NonNegativeFloat = Field(
        0, description="Megabytes of archived results; the oldest that no job needs go first; 0: no limit"
    )

    # The cache tiers
    disable_result_cache: bool = Field(False, description="1: no tier answers; the archive still keeps results")
    cache_max_size: PositiveInt = Field(1000, description="Entries of each worker's local tier")
    cache_max_memory_mb: Annotated[float, Field(ge=0.1)] = Field(
        512, description="Megabytes of each worker's local tier"
    )
    cache_ttl_seconds: PositiveFloat = Field(86400, description="Life of an entry in the local and the shared tier")
    cache_shared_max_size: PositiveInt = Field(10_000, description="Entries of the shared tier")
    cache_shared_max_memory_mb: Annotated[float, Field(ge=0.1)] = Field(
        1024, description="Megabytes of the shared tier"
    )
    cache_policy: Literal["lru", "gdsf"] = Field(
        "lru", description="What the shared tier evicts: lru, the longest unused; gdsf, also by cost and size"
    )
    cache_trace: bool = Field(False, description="1: log lookups to DATA_DIR/trace, for `bench.cache_policy`")
    cache_trace_max_mb: PositiveFloat = Field(
        256, description="Megabytes of that log on each host; the oldest go first"
    )
    cache_trace_retention_s: PositiveInt = Field(30 * 86400, description="Age at which an hour of that log is deleted")

    @cached_property
    def shared_tier(self) -> dict[str, Any]:
        """Arguments of the shared tier, the same in every process."""
        return {
            "url": self.cache_url,
            "max_size": self.cache_shared_max_size,
            "max_memory_mb": self.cache_shared_max_memory_mb,
            "ttl_s": self.cache_ttl_seconds,
            "policy": self.cache_policy,
        }

    @cached_property
    def trace_log(self) -> dict[str, Any] | None:
        """Arguments of the log of lookups, if there is one."""
        if not self.cache_trace:
            return None
        limits = {"max_mb": self.cache_trace_max_mb, "retention_s": self.cache_trace_retention_s}
        return {"folder": self.data_dir / "trace", **limits}

    @cached_property
    def bind_host(self) -> str:
        """Address to listen on: loopback as long as anybody could call."""
        return self.host or ("0.0.0.0" if self.api_keys or self.admin_keys else "127.0.0.1")

    @cached_property
    def local_url(self) -> str:
        """Where the API answers, seen from its own host."""
        return f"http://{_in_url(_ANY_ADDRESS.get(self.bind_host, self.bind_host))}:{self.port}"

    @cached_property
    def bind_address(self) -> str:
        """Where the API listens, as gunicorn wants it."""
        return f"{_in_url(self.bind_host)}:{self.port}"

    @cached_property
    def effective_rate_limit(self) -> str:
        """What one caller may ask; empty when nothing is limited."""
        if self.rate_limit == "0":
            return ""
        return self.rate_limit or ("600/minute" if self.api_keys or self.admin_keys else "")

    @model_validator(mode="after")
    def _stay_on_loopback_without_keys(self) -> Self:
        open_to_others = self.host is not None and not is_loopback(self.host)
        if self.protected_mode and open_to_others and not (self.api_keys or self.admin_keys):
            raise ValueError(f"HOST={self.host} would let anybody in: set API_KEYS or ADMIN_KEYS, or leave HOST empty")
        return self

    @cached_property
    def broker_url(self) -> str:
        return self.redis_url or f"redis://127.0.0.1:{self.redis_port}/0"

    @cached_property
    def cache_url(self) -> str:
        return self.cache_redis_url or self.broker_url

    @cached_property
    def archive_location(self) -> str:
        return self.archive_url or (self.data_dir / "archive").as_uri()

    def as_environment(self) -> dict[str, str]:
        """These settings as variables, for processes that shall see the same ones."""
        return {
            name.upper(): ",".join(value) if isinstance(value, list) else str(value)
            for name, value in self.model_dump(mode="json").items()
            if value is not None
        }


def load(**overrides: Any) -> Settings:
    """The settings of this process' environment, with its logs set up as they say; for programs that nobody watches.

    Raises:
        SystemExit: a value is out of range; the log names the setting.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        logs.configure(as_json=os.environ.get("LOG_FORMAT") == "json")
        for line in problems(error):
            logging.getLogger("orfeas.settings").critical(line)
        sys.exit(2)
    logs.configure(as_json=settings.log_format == "json", level=settings.log_level)
    return settings


def problems(error: ValidationError) -> list[str]:
    """One sentence per setting that is out of range; none shows its value."""
    found = []
    for row in error.errors(include_url=False, include_context=False, include_input=False):
        name, message = ".".join(map(str, row["loc"])).upper(), row["msg"].removeprefix("Value error, ")
        found.append(message if message.startswith(name) else f"{name}: {message}")
    return found


def drop_service_links() -> None:
    """Forget what Kubernetes says of a Service called `flower`: Flower would take it for its port, and end."""
    for name in [name for name, value in os.environ.items() if name.startswith("FLOWER_") and is_service_link(value)]:
        del os.environ[name]


def as_table() -> str:
    """The settings as a Markdown table, for `docs/operate/settings.md`."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _as_text(field.default)
        rows.append(f"| `{name.upper()}` | {default and f'`{default}`'} | {field.description} |")
    return "\n".join(rows)


def _as_text(default: object) -> str:
    """The default as one would write it into the environment."""
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return str(int(default))
    if isinstance(default, Path):
        return str(default.relative_to(Path(__file__).parent))
    return f"{default:g}" if isinstance(default, float) else str(default)


if __name__ == "__main__":
    print(as_table())
