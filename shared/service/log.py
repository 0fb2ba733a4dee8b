"""Logs: one line per change of state; coloured text for a person at a terminal, JSON lines for a journal.

A logger is made once in a program's composition root and handed down; nothing is configured globally. Ids are logged, positions
and keys never. Hostile input is counted (`shared.service.counters`), not logged per packet.
"""

import logging
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from shared.transport.radio import NOT_YET

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
"""What a configuration may ask for."""


def make_logger(stream: TextIO, *, level: str = "info", as_json: bool | None = None) -> FilteringBoundLogger:
    """Return a logger that writes to `stream`.

    Args:
        stream: usually standard error.
        level: a key of `LEVELS`.
        as_json: JSON lines or text; None chooses text if `stream` is a terminal.
    """
    json_lines = not stream.isatty() if as_json is None else as_json
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=stream.isatty()),
    ]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger


class Availability:
    """Something that comes and goes, logged once when it goes and once when it is back.

    Args:
        log: where the lines go.
        what: its name in the log: `can0`, `radio`, `gnss`.
    """

    def __init__(self, log: FilteringBoundLogger, what: str) -> None:
        self._log = log
        self._what = what
        self._failures = 0
        self._is_awaited = False

    @property
    def is_available(self) -> bool:
        """Whether it worked when last heard of."""
        return self._failures == 0

    def lost(self, reason: str) -> None:
        """Note a failure; only the first after a success is logged. What was not tried yet has not failed."""
        if reason == NOT_YET:
            if not self._is_awaited:
                self._log.info("awaited", what=self._what, reason=reason)
            self._is_awaited = True
            return
        self._failures += 1
        if self._failures == 1:
            self._log.warning("unavailable", what=self._what, reason=reason)

    def works(self) -> None:
        """Note a success; only the first after a failure is logged."""
        if self._failures:
            self._log.info("recovered", what=self._what, failures=self._failures)
        elif self._is_awaited:
            self._log.info("available", what=self._what)
        self._failures = 0
        self._is_awaited = False
