"""The page at ``/``, and who a stranger is on a demo."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway import cookies
from gateway.auth import Gate, issue
from gateway.envelope import no_address
from models.clock import Clock

STATIC: Final = Path(__file__).resolve().parent / "static"
_ASSET: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
POLICY: Final = (
    "default-src 'self'; img-src 'self' data: http: https:; media-src 'self' blob: http: https:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TOKEN_SECONDS: Final = 12 * 3600
FIRST_STRANGER: Final = 9_000_000_000
"""Demo viewers get ids from here on, out of the way of real ones."""


def page_file(name: str) -> web.FileResponse:
    """A page of ours, with the policy of pages."""
    return web.FileResponse(STATIC / name, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})


class Page:
    """
    Serves the page.

    Args:
        secret: With one (a demo), a stranger becomes a random viewer, so that the like button works at once.
    """

    def __init__(self, gate: Gate, clock: Clock, secret: str | None) -> None:
        self._gate, self._clock, self._secret = gate, clock, secret

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """GET /static/NAME: a file beside the page; a browser keeps it, and asks whether it has changed."""
        file = STATIC / (name := request.match_info["name"])
        if not _ASSET.fullmatch(name) or not file.is_file():
            raise no_address()
        return web.FileResponse(file, headers={"Cache-Control": "no-cache"})

    async def docs(self, _: web.Request) -> web.StreamResponse:
        """GET /docs: a page that shows /openapi.json."""
        return page_file("docs.html")

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET /."""
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        if self._secret is not None and await self._gate.cookie_holder(request) is None:
            stranger = FIRST_STRANGER + secrets.randbelow(1_000_000_000 - 1)
            token = issue(self._secret, stranger, TOKEN_SECONDS, self._clock.now_ms())
            headers["Set-Cookie"] = cookies.token_cookie(token, TOKEN_SECONDS)
            headers["Cache-Control"] = "no-store"
        return web.FileResponse(STATIC / "index.html", headers=headers)
