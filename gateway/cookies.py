"""Reading and writing the two cookies by hand: http.cookies costs as much as a whole request does."""

from __future__ import annotations

from typing import Final

from aiohttp import web

TOKEN: Final = "playtrail_token"  # noqa: S105 -- the cookie's name
POSITION: Final = "playtrail_position"


def cookie(request: web.BaseRequest, name: str) -> str | None:
    """The value of a cookie of the request, or None."""
    header = request.headers.get("Cookie")
    if header is None or name not in header:
        return None
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value.strip('"')
    return None


def token_cookie(token: str, seconds: int) -> str:
    """Set-Cookie that makes a browser the bearer of a token; scripts cannot read it, other sites cannot send it."""
    return f"{TOKEN}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"


def position_cookie(value: str, seconds: int = 60) -> str:
    """
    Set-Cookie with positions.

    It is short-lived: consumers lag by seconds, and a position of a log that no longer exists would slow every read.
    """
    return f"{POSITION}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
