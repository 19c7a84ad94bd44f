"""What gunicorn serves: `gunicorn api.wsgi:app`."""

from __future__ import annotations

from api import create_app
from api.deliveries import deliver_webhooks
from api.services import build_services, follow_fleet
from settings import load

# Whoever serves this binds the address, and checks who could reach it.
settings = load(protected_mode=False)
services = build_services(settings)
follow_fleet(services)
deliver_webhooks(services)
app = create_app(services)
