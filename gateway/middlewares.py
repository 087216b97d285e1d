"""The one middleware: errors become answers, every answer gets its headers and is counted."""

from __future__ import annotations

import time
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.auth import Gate
from gateway.envelope import (
    SECURITY,
    ErrorAnswer,
    ErrorWord,
    HttpError,
    failed,
    forbidden_origin,
    internal,
    no_address,
    refused,
    unavailable,
)
from gateway.metrics import Metrics
from models.errors import Refused, Unavailable

log = structlog.get_logger()

EXPOSED: Final = "X-Position, X-Stale, Retry-After"
PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Position",
    "Access-Control-Max-Age": "7200",
}
WORDS: Final[dict[int, tuple[ErrorWord, str]]] = {
    405: ("method_not_allowed", "不支持的请求方法"),
    413: ("too_large", "请求内容过大"),
}


def guard(gate: Gate, metrics: Metrics) -> Middleware:
    """The middleware; it is outermost, so nothing leaves the app without it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = time.perf_counter()
        origin = request.headers.get("Origin")
        if origin is not None and request.method == "OPTIONS":
            handler = _preflight(gate, origin, handler)
        response = await _answer(request, handler)
        _decorate(response, origin if origin is not None and gate.foreign(origin) else None)
        seconds = time.perf_counter() - begun
        metrics.request(route_of(request), request.method, response.status, seconds)
        log.debug("request", method=request.method, path=request.path, status=response.status, seconds=seconds)
        return response

    return middleware


def route_of(request: web.Request) -> str:
    """The route's pattern, which has no ids in it: ``/video/like/{id}``."""
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except HttpError as error:
        return failed(error)
    except Refused as error:
        return failed(refused(error))
    except Unavailable as error:
        return failed(unavailable(error))
    except web.HTTPException as error:
        return _plain(error)
    except Exception:
        log.exception("request failed", method=request.method, route=route_of(request))
        return failed(internal())


def _plain(error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals, in our envelope."""
    if error.status < 400:
        return error
    if error.status not in WORDS:
        return failed(no_address())
    word, msg = WORDS[error.status]
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    allowed = f"a body of {64} KiB at most" if word == "too_large" else ", ".join(sorted(_methods(error)))
    field = "body" if word == "too_large" else "method"
    return failed(HttpError(ErrorAnswer(code=error.status, msg=msg, error=word, field=field, allowed=allowed), headers))


def _methods(error: web.HTTPException) -> set[str]:
    return error.allowed_methods if isinstance(error, web.HTTPMethodNotAllowed) else set()


def _preflight(gate: Gate, origin: str, handler: Handler) -> Handler:
    """Answer what a browser asks before it calls from another origin; an unknown address stays a 404."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if not gate.allows(request, origin):
            raise forbidden_origin(origin)
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed:
            return web.Response(status=204, headers=PREFLIGHT)

    return answer


def _decorate(response: web.StreamResponse, origin: str | None) -> None:
    """Headers for the browser: on errors too, or a page could not read why it was refused."""
    headers = response.headers
    if "Vary" not in headers:  # an answer of our envelope has them all
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = EXPOSED
