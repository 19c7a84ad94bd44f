"""What gunicorn serves: `gunicorn api.wsgi:app`."""

from __future__ import annotations

import logs
from api import create_app
from api.background import Background
from api.services import build_services
from settings import load

settings = load()
logs.configure(as_json=settings.log_format == "json", level=settings.log_level)
services = build_services(settings)
app = create_app(services)
background = Background(services)
# gunicorn.conf.py starts it in each process; under another server the first request does.
app.before_request(background.start)
