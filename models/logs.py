"""Our own logs: structlog on stderr, JSON for machines, colours on a terminal. The command line configures it."""

from __future__ import annotations

import logging
import sys
import traceback
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
        final: list[Any] = [_console()]
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
    renderer: Any = _console() if console else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    if not console:
        processors.insert(1, structlog.processors.format_exc_info)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=processors))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for noisy in ("aiokafka", "thriftpy2"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _console() -> structlog.dev.ConsoleRenderer:
    """With plain tracebacks: structlog's own choice shows local variables, which are tokens and bodies."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def trace_of(error: BaseException) -> str:
    """
    Where an error came from, and that of its causes: types and lines of code, never their texts.

    For a defect met while a request is handled: the text may quote what the viewer sent.
    """
    parts, seen = list[str](), set[int]()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        parts.append("".join(traceback.format_tb(following.__traceback__)) + type(following).__name__)
        following = following.__cause__ or following.__context__
    return "\nbecause of:\n".join(parts)
