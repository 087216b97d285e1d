"""One line of the table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """
    A route, and what OpenAPI says about it.

    Attributes:
        who: ``user`` needs a token; ``anyone`` may bring one.
        answer: Type of ``data``; None for what is no envelope.
        body: Struct of the body.
        waits: Whether it waits for a position that the request brings.
        errors: The statuses beside 200.
        content: Content type of the good answer.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    who: Literal["anyone", "user"]
    summary: str
    answer: Any = None
    body: type | None = None
    waits: bool = False
    errors: tuple[int, ...] = ()
    content: str = "application/json"
