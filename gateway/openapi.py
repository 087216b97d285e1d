"""OpenAPI 3.1, made from the routes and their Structs, so that it cannot say anything else than what is served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.envelope import ErrorAnswer
from gateway.positions import MAX_POSITIONS
from gateway.route import Route
from models import __version__, events

Json = dict[str, Any]
ERRORS: Final = {
    400: "A field or the body is wrong: field, value and allowed say which",
    401: "No token, or one that is not accepted",
    403: "A write by cookie from an origin that is not allowed",
    404: "No such video",
    405: "Another method; Allow says which",
    413: "A body over 64 KiB",
    429: "Too much at once; Retry-After says when",
    503: "A part is away; Retry-After says when",
}
_POSITION: Final = rf"({'|'.join(map(re.escape, (*events.BY_TOPIC, events.DEAD)))})/[0-9]{{1,6}}@[0-9]{{1,19}}"
POSITIONS: Final = rf"^{_POSITION}(\|{_POSITION}){{0,{MAX_POSITIONS - 1}}}$"


class Description:
    """GET /openapi.json; ``describe`` is called once with all routes."""

    def __init__(self) -> None:
        self._json = b""

    def describe(self, routes: Sequence[Route]) -> None:
        """Make the document from the routes."""
        self._json = msgspec.json.encode(build(routes))

    async def get(self, _: web.Request) -> web.Response:
        """GET /openapi.json."""
        return web.Response(body=self._json, headers={"Content-Type": "application/json"})


def build(routes: Sequence[Route]) -> Json:
    """The OpenAPI document."""
    types = [t for route in routes for t in (route.answer, route.body) if t is not None]
    refs, components = msgspec.json.schema_components([ErrorAnswer, *types], ref_template="#/components/schemas/{name}")
    known = dict(zip(map(str, [ErrorAnswer, *types]), refs, strict=True))
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, known)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Playtrail",
            "version": __version__,
            "description": "Every answer is {code, msg, data}; code equals the HTTP status. Errors add error, a stable "
            "word, and name the field, what came and what is allowed. msg is for viewers.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "playtrail_token"},
            },
        },
    }


def _operation(route: Route, known: Json) -> Json:
    operation: Json = {
        "tags": [route.path.split("/")[1] or "page"],
        "summary": route.summary,
        "operationId": (route.method + route.path.translate(str.maketrans("/{}.", "____"))).strip("_").lower(),
        "parameters": list(_parameters(route)),
        "responses": _responses(route, known),
        "security": [{"bearer": []}, {"cookie": []}, *([] if route.who == "user" else [{}])],
    }
    if route.body is not None:
        schema = {"schema": known[str(route.body)]}
        kinds = ("application/json", "application/x-www-form-urlencoded", "text/plain")
        operation["requestBody"] = {"required": True, "content": {kind: schema for kind in kinds}}
    return operation


def _parameters(route: Route) -> Iterable[Json]:
    if "{id}" in route.path:
        schema = {"type": "integer", "minimum": 1, "maximum": 9_999_999_999}
        yield {"name": "id", "in": "path", "required": True, "schema": schema}
    if "{name}" in route.path:
        yield {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    if route.waits:
        text = "Wait (500 ms at most) until the read model has reached it; X-Stale: true when it has not"
        for name, place in (("position", "query"), ("X-Position", "header"), ("playtrail_position", "cookie")):
            yield {"name": name, "in": place, "description": text, "schema": {"type": "string", "pattern": POSITIONS}}


def _responses(route: Route, known: Json) -> Json:
    data = known[str(route.answer)] if route.answer is not None else {}
    fields = {"code": {"type": "integer"}, "msg": {"type": "string"}, "data": data}
    envelope = {"type": "object", "properties": fields, "required": ["code", "msg", "data"]}
    good = {"description": "Done", "content": {route.content: {"schema": envelope} if route.answer else {}}}
    responses: Json = {"200": good}
    if route.method == "POST":
        responses["200"] = {**good, "description": "The event is in the log", "headers": _position_header()}
        responses["202"] = {**good, "description": "The event is in the spool, on its way to the log"}
    failed = {"content": {"application/json": {"schema": known[str(ErrorAnswer)]}}}
    for status in sorted({*route.errors, 429}):  # an address that asks too often is told so on every route
        responses[str(status)] = {"description": ERRORS[status], **failed}
    return responses


def _position_header() -> Json:
    return {"X-Position": {"schema": {"type": "string"}, "description": "topic/partition@offset of the event"}}
