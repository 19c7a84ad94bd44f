"""The HTTP side: parse, ask, shape. It never imports torch, trimesh or the worker."""

from __future__ import annotations

from flask import Flask, Response
from flask_openapi import Info, OpenAPI

from api.access import follow_requests
from api.auth import identify_callers, require_keys
from api.batch import batch
from api.browsers import keep_websites_out
from api.cache_admin import cache_admin
from api.catalogue import catalogue
from api.docs import pages
from api.document import document
from api.errors import invalid, register_error_handlers
from api.events import events
from api.forwarded import stand_behind_proxies
from api.health import health
from api.incoming_json import JsonProvider
from api.jobs import jobs
from api.limits import limit_rates
from api.metrics import measure_requests, metrics
from api.results import results
from api.schemas import ProblemBody
from api.services import Services
from api.webhooks import webhooks
from version import VERSION

# Four times what werkzeug reads at once: its parser counts a file's unparsed bytes as if they were a form field's.
_FORM_OVERHEAD_BYTES = 262_144
# Four bytes for three, in lines of 76 that each end in \r\n, which JSON writes as four bytes more.
_BASE64 = 4 / 3 * 80 / 76
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # pages set their own
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(services: Services) -> Flask:
    """The app over these services; building it touches neither network nor disk."""
    app = OpenAPI(
        "api",
        info=Info(title="Orfeas", version=VERSION, description="Pictures in, 3D meshes out; nothing is made twice."),
        validation_error_callback=lambda error: invalid(error).response(),
        validation_error_model=ProblemBody,
        doc_prefix="",
        doc_ui=False,
        static_folder=None,  # the pages serve their own files, which need no key
    )
    app.openapi_version = "3.1.0"
    app.json = JsonProvider(app)
    app.extensions["orfeas"] = services
    # The intake checks the picture itself.
    app.config["MAX_CONTENT_LENGTH"] = int(services.settings.max_upload_mb * 2**20 * _BASE64) + _FORM_OVERHEAD_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = _FORM_OVERHEAD_BYTES
    app.after_request(_add_safe_headers)
    follow_requests(app)
    measure_requests(app)
    keep_websites_out(app, services.settings)
    # In this order: guesses at keys are counted as well.
    identify_callers(app, services.settings)
    limit_rates(app, services.settings)
    require_keys(app)
    for blueprint in (jobs, batch, webhooks, events, results, catalogue, cache_admin, health, metrics):
        app.register_api(blueprint)
    app.register_blueprint(pages)
    app.add_url_rule("/openapi.json", "openapi_document", lambda: document(app, services.settings))
    register_error_handlers(app)
    stand_behind_proxies(app, services.settings)
    return app


def _add_safe_headers(response: Response) -> Response:
    for name, value in _SAFE_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
