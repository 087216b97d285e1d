"""
The shape of every answer: ``{"code", "msg", "data"}``.

An error adds ``error``, a stable word for programs, and, when a field is to blame, ``field``, ``value`` and
``allowed`` beside it. ``msg`` is in Chinese, for a viewer; ``allowed`` is in English, for a developer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.answer import JsonAnswer
from models.errors import Refused, Unavailable

ErrorWord: TypeAlias = Literal[
    "bad_field",
    "bad_body",
    "unauthorized",
    "forbidden_origin",
    "not_found",
    "method_not_allowed",
    "too_large",
    "too_many_requests",
    "unavailable",
    "internal",
]


class Answer(Struct, frozen=True, gc=False):
    """A good answer; ``code`` is the HTTP status."""

    code: int
    msg: str
    data: Any


class ErrorAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """An answer that refuses; ``field``, ``value`` and ``allowed`` are there when a field is to blame."""

    code: int
    msg: str
    data: Any = None
    error: ErrorWord
    field: str | UnsetType = UNSET
    value: Any = UNSET
    allowed: str | UnsetType = UNSET


class HttpError(Exception):
    """An answer that is no 2xx, raised by a handler and sent by the middleware."""

    def __init__(self, answer: ErrorAnswer, headers: Mapping[str, str] | None = None) -> None:
        self.answer, self.headers = answer, dict(headers or {})
        super().__init__(f"{answer.code} {answer.error}")


def answer_bytes(data: Any, msg: str, status: int = 200) -> bytes:
    """The body of a good answer."""
    return msgspec.json.encode(Answer(status, msg, data))


respond = JsonAnswer
"""``respond(body, status=200, headers=None)``: a response of JSON that is encoded already."""


def ok(data: Any, msg: str, status: int = 200, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """A good answer."""
    return JsonAnswer(answer_bytes(data, msg, status), status, headers)


def failed(error: HttpError) -> JsonAnswer:
    """The answer in an HttpError."""
    return JsonAnswer(msgspec.json.encode(error.answer), error.answer.code, error.headers)


def bad_field(field: str, value: Any, allowed: str, msg: str = "") -> HttpError:
    """400, naming the field, what came, and what is allowed."""
    word: ErrorWord = "bad_body" if field == "body" else "bad_field"
    text = msg or ("请求内容无法识别" if field == "body" else f"参数 {field} 有误")
    return HttpError(ErrorAnswer(code=400, msg=text, error=word, field=field, value=_shown(value), allowed=allowed))


def refused(error: Refused) -> HttpError:
    """400 for input that models refused."""
    return bad_field(error.field, error.value, error.allowed)


def unauthorized(reason: str, *, token_given: bool) -> HttpError:
    """401; the token itself is never shown."""
    msg = "登录已失效，请重新登录" if token_given else "请先登录"
    challenge = 'Bearer error="invalid_token"' if token_given else "Bearer"
    answer = ErrorAnswer(code=401, msg=msg, error="unauthorized", field="token", allowed=reason)
    return HttpError(answer, {"WWW-Authenticate": challenge})


def forbidden_origin(origin: str | None) -> HttpError:
    """403: a write by cookie from a page that is not ours."""
    allowed = "this site's own origin, or one in PLAYTRAIL_ORIGINS"
    shown = _shown(origin)
    return HttpError(
        ErrorAnswer(
            code=403, msg="不允许的来源", error="forbidden_origin", field="Origin", value=shown, allowed=allowed
        )
    )


def not_found(msg: str, field: str | None = None, value: Any = None) -> HttpError:
    """404."""
    if field is None:
        return HttpError(ErrorAnswer(code=404, msg=msg, error="not_found"))
    return HttpError(ErrorAnswer(code=404, msg=msg, error="not_found", field=field, value=_shown(value)))


def no_address() -> HttpError:
    """404 for a path that is none of ours."""
    return not_found("没有这个地址")


def too_many(retry_after: int = 1) -> HttpError:
    """429: this gateway has more work in hand than it can finish soon."""
    return HttpError(
        ErrorAnswer(code=429, msg="请求过多，请稍后再试", error="too_many_requests"), {"Retry-After": str(retry_after)}
    )


def rate_exceeded(what: str, limit: str, retry_after: int) -> HttpError:
    """429: one user or one address asks more often than the settings allow."""
    answer = ErrorAnswer(code=429, msg="操作过于频繁，请稍后再试", error="too_many_requests", field=what, allowed=limit)
    return HttpError(answer, {"Retry-After": str(max(1, retry_after))})


def unavailable(error: Unavailable) -> HttpError:
    """503, naming the part that is away; ``allowed`` says nothing here, since the request was right."""
    seconds = max(1, round(error.retry_after))
    return HttpError(
        ErrorAnswer(code=503, msg="服务暂时不可用，请稍后再试", error="unavailable", field=error.part),
        {"Retry-After": str(seconds)},
    )


def internal() -> HttpError:
    """500: a defect of ours; the log has it."""
    return HttpError(ErrorAnswer(code=500, msg="服务器内部错误", error="internal"))


def _shown(value: Any) -> Any:
    """The value as JSON can carry it, and not too long."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or isinstance(value, (bool, int, float)):
        return value if not isinstance(value, int) or abs(value) < 1 << 63 else str(value)[:120]
    text = value if isinstance(value, str) else repr(value)
    # A lone surrogate (from an undecodable header byte) cannot be sent as UTF-8.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= 120 else text[:117] + "..."
