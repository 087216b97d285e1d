"""What goes wrong on a connection before a request is one, or after its answer: counted, never quoted."""

from __future__ import annotations

import logging

import structlog
from aiohttp.http import HttpProcessingError

from gateway.metrics import Metrics
from models.logs import trace_of

log = structlog.get_logger()


class _Reports(logging.Handler):
    """
    Stands in for aiohttp's own log.

    That one writes a traceback with the offending line, which may be an Authorization header, and the address it came
    from, for every request that is no HTTP: personal data, and as much of it as a stranger likes.
    """

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(logging.WARNING)
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._metrics.malformed.inc()
        elif error is not None:
            log.error("connection failed", trace=trace_of(error))


def reports(metrics: Metrics) -> logging.Logger:
    """A logger for aiohttp's server, outside the tree of loggers."""
    logger = logging.Logger("gateway.connections", logging.WARNING)
    logger.addHandler(_Reports(metrics))
    return logger
