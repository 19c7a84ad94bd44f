"""What gunicorn serves: `gunicorn api.wsgi:app`."""

from __future__ import annotations

import logs
from api import create_app
from api.services import build_services
from settings import Settings

settings = Settings()
logs.configure(as_json=settings.log_format == "json", level=settings.log_level)
app = create_app(build_services(settings))
