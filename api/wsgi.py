"""What gunicorn serves: `gunicorn api.wsgi:app`."""

from __future__ import annotations

from api import create_app
from api.background import Background
from api.services import build_services
from settings import load

# Whoever serves this binds the address, and checks who could reach it.
settings = load(protected_mode=False)
services = build_services(settings)
app = create_app(services)
background = Background(services)
# gunicorn.conf.py starts it in each process; under another server the first request does.
app.before_request(background.start)
