"""gunicorn's own lines in the format of all other lines."""

from __future__ import annotations

from typing import Any

import gunicorn.glogging


class Logger(gunicorn.glogging.Logger):  # type: ignore[misc]  # gunicorn has no annotations
    """Leaves the errors' lines to `logs`, which is configured already; log files that are asked for stay gunicorn's."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        configured = cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
        if cfg.errorlog == "-" and not configured:
            for handler in list(self.error_log.handlers):
                if getattr(handler, "_gunicorn", False):
                    self.error_log.removeHandler(handler)
            self.error_log.propagate = True
