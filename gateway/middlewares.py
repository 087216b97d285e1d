"""The one middleware: errors become answers, every answer gets its headers and is counted."""

from __future__ import annotations

import time
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.answer import SECURITY, JsonAnswer
from gateway.auth import Gate
from gateway.bodies import MAX_BYTES
from gateway.envelope import (
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
from gateway.rates import Rates, address_of
from models.errors import Refused, Unavailable
from models.logs import trace_of

log = structlog.get_logger()

METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
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


def guard(gate: Gate, addresses: Rates, metrics: Metrics) -> Middleware:
    """The middleware; it is outermost, so nothing leaves the app without it."""
    limited, note = addresses.per_second > 0, log.bind()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = time.perf_counter()
        origin = request.headers.get("Origin")
        if origin is not None and request.method == "OPTIONS":
            handler = _preflight(gate, origin, handler)
        if limited:
            handler = _not_too_often(addresses, handler)
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 -- none leaves the app
            response = _failure(request, error)
        if origin is not None or not isinstance(response, JsonAnswer):  # which has all other headers
            _decorate(response, origin if origin is not None and gate.foreign(origin) else None)
        seconds = time.perf_counter() - begun
        route, method = route_of(request), method_of(request)
        metrics.request(route, method, response.status, seconds)
        # The pattern, not the path: what a stranger puts into a URL is no business of the log.
        note.debug("request", method=method, route=route, status=response.status, seconds=seconds)
        return response

    return middleware


def route_of(request: web.Request) -> str:
    """The route's pattern, which has no ids in it: ``/video/like/{id}``."""
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


def method_of(request: web.Request) -> str:
    """The method, when it is one that we know: any word may be sent as one."""
    return request.method if request.method in METHODS else "OTHER"


def _failure(request: web.Request, error: Exception) -> web.StreamResponse:
    """The answer that an error means."""
    match error:
        case HttpError():
            return failed(error)
        case Refused():
            return failed(refused(error))
        case Unavailable():
            return failed(unavailable(error))
        case web.HTTPException():
            return _plain(error)
    # A defect: logged, and never a viewer's problem.
    log.error("request failed", method=method_of(request), route=route_of(request), trace=trace_of(error))
    return failed(internal())


def _plain(error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals, in our envelope."""
    if error.status < 400:
        return error
    if error.status not in WORDS:
        return failed(no_address())
    word, msg = WORDS[error.status]
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    allowed = (
        f"a body of {MAX_BYTES // 1024} KiB at most" if word == "too_large" else ", ".join(sorted(_methods(error)))
    )
    field = "body" if word == "too_large" else "method"
    return failed(HttpError(ErrorAnswer(code=error.status, msg=msg, error=word, field=field, allowed=allowed), headers))


def _methods(error: web.HTTPException) -> set[str]:
    return error.allowed_methods if isinstance(error, web.HTTPMethodNotAllowed) else set()


def _not_too_often(addresses: Rates, handler: Handler) -> Handler:
    """Refuse an address that asks too often, before anything is done for it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        addresses.take(address_of(request))
        return await handler(request)

    return answer


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
    if not isinstance(response, JsonAnswer):
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = EXPOSED
