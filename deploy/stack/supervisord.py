"""supervisord, whose own log is JSON: `python -m deploy.stack.supervisord OPTIONS…`"""

from __future__ import annotations

from typing import Any

from supervisor import supervisord
from supervisor.options import ServerOptions

import logs

_LEVELS = {"CRIT": "critical", "ERRO": "error", "WARN": "warning", "INFO": "info"}


class _AsJson:
    """In place of a format string: supervisor applies it to a record by `%`."""

    def __mod__(self, record: dict[str, Any]) -> str:
        return logs.line_of(record["message"], "supervisor", _LEVELS.get(record["levelname"], "debug")).decode()


class _Options(ServerOptions):  # type: ignore[misc]  # supervisor has no annotations
    def make_logger(self) -> None:
        # It logs what it found in its configuration before anybody can set a format.
        found = [*self.parse_criticals, *self.parse_warnings]
        del self.parse_criticals[:], self.parse_warnings[:]
        super().make_logger()
        for handler in self.logger.handlers:
            handler.setFormat(_AsJson())
        for message in found:
            self.logger.warn(message)


if __name__ == "__main__":
    logs.configure(as_json=True)
    supervisord.ServerOptions = _Options
    supervisord.main()
