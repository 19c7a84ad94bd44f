"""`orfeas webhooks`: try a receiver, see what became of a job's webhook, send it again, read the secret."""

from __future__ import annotations

from typing import Annotated

import typer

from client.cli.options import ApiKey, AsJson, Url, connect
from client.cli.outcomes import Exit
from client.cli.output import say, stdout, write_json, write_table
from client.core import DEFAULT_URL
from client.models import WebhookLog, WebhookTry

app = typer.Typer(help="Try receivers of webhooks, and see what became of deliveries.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="The job's id.", metavar="ID")]


@app.command("test")
def send_test(
    target: Annotated[str, typer.Argument(help="Where the test event goes.", metavar="URL")],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Have the service send a signed test event; ends with 1 when the receiver does not take it."""
    with connect(url, api_key) as client:
        tried = client.test_webhook(target)
    if as_json:
        write_json(tried.body)
    else:
        say(f"{'delivered' if tried.delivered else 'not delivered'}: {_outcome(tried)} in {tried.duration_ms} ms")
    raise typer.Exit(Exit.OK if tried.delivered else Exit.JOB_FAILED)


@app.command()
def log(job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Every try to deliver a job's webhook."""
    with connect(url, api_key) as client:
        _show(client.webhook_log(job_id), as_json)


@app.command()
def resend(job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Send an ended job's webhook again, under the same Webhook-Id."""
    with connect(url, api_key) as client:
        _show(client.resend_webhook(job_id), as_json)


@app.command()
def secret(url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """What to verify your webhooks with."""
    with connect(url, api_key) as client:
        secrets = client.webhook_secrets()
    if as_json:
        write_json({"secrets": secrets})
    else:
        for one in secrets:
            stdout().print(one, markup=False)


def _show(found: WebhookLog, as_json: bool) -> None:
    if as_json:
        return write_json(found.body)
    if found.url is None:
        return say("the job was submitted without a webhook")
    again = f", again at {found.next_attempt_at.astimezone():%Y-%m-%d %H:%M:%S}" if found.next_attempt_at else ""
    say(f"{found.url}: {found.status}{again}")
    rows = [(f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}", _outcome(one), f"{one.duration_ms} ms") for one in found.tries]
    write_table(("AT", "ANSWER", "TOOK"), rows, numbers=("TOOK",))


def _outcome(tried: WebhookTry) -> str:
    return tried.error or f"HTTP {tried.status_code}"
