"""What gunicorn serves: `gunicorn api.wsgi:app`."""

from __future__ import annotations

from api import create_app
from api.services import build_services
from settings import Settings

app = create_app(build_services(Settings()))
