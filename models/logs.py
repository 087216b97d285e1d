"""Our own logs: structlog on stderr, JSON for machines, colours on a terminal. The command line configures it."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog


def configure(mode: str = "auto", level: int = logging.INFO) -> None:
    """
    Set up structlog, and pass the libraries' warnings through the same output.

    Args:
        mode: ``json``, ``console``, or ``auto``: console when stderr is a terminal.
        level: Least level that is written. One line a request exists at debug only.
    """
    console = mode == "console" or (mode == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        final: list[Any] = [structlog.dev.ConsoleRenderer()]
        factory: Any = structlog.WriteLoggerFactory(sys.stderr)
    else:
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=orjson.dumps)]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=shared + final,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    _libraries(console, shared)


def _libraries(console: bool, shared: list[Any]) -> None:
    """aiokafka warns for every retry of a send: those are counted in our metrics, so only its errors pass."""
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    if not console:
        processors.insert(1, structlog.processors.format_exc_info)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=processors))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for noisy in ("aiokafka", "thriftpy2"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
