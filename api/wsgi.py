"""What gunicorn serves: `gunicorn api.wsgi:app`."""

from __future__ import annotations

import logs
from api import create_app
from api.deliveries import deliver_webhooks
from api.services import build_services, follow_fleet
from settings import Settings

settings = Settings()
logs.configure(as_json=settings.log_format == "json", level=settings.log_level)
services = build_services(settings)
follow_fleet(services)
deliver_webhooks(services)
app = create_app(services)
