"""What others may not learn: a user's state from another user, and anything personal from our own logs."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs

from gateway.auth import issue
from gateway.cookies import TOKEN
from tests.gateway.conftest import FILMS, SECRET, Gateway, Make, ok, until
from tests.gateway.served import served

USERS = range(201, 213)
VIDEOS = range(1, len(FILMS) + 1)
KINDS = ("like", "collect", "follow")


def _likes(user: int, video: int) -> int:
    """Each user likes other videos, and collects and follows another selection."""
    return user * 7 + video * 3 & 1


@pytest.mark.usefixtures("consumers")
async def test_everybody_sees_his_own_state_whoever_else_asks(gateway: Gateway) -> None:
    """Twelve users ask at once, on the same connections and so in the same gathered queries."""
    for user in USERS:
        for video in VIDEOS:
            if _likes(user, video):
                await ok(
                    await gateway.client.post(f"/video/like/{video}", json={"like": 1}, headers=_who(gateway, user))
                )
    await ok(await gateway.client.post("/video/collect/1", json={"collect": 1}, headers=_who(gateway, 201)))
    await ok(await gateway.client.post("/video/follow/1", json={"follow": 1}, headers=_who(gateway, 202)))
    gateway.client.session.cookie_jar.clear()
    await until(lambda: _folded(gateway))
    asked = [
        (user, video, kind)
        for user in (*USERS, 0)
        for video in VIDEOS
        for kind in ("detail", *KINDS)
        if user or kind == "detail"
    ]
    random.Random(1).shuffle(asked)
    for _ in range(2):
        await asyncio.gather(*(_check(gateway, *one) for one in asked))


def _who(gateway: Gateway, user: int) -> dict[str, str]:
    """By header or by cookie, in turn; a guest brings nothing."""
    if not user:
        return {}
    if user % 2:
        return gateway.bearer(user)
    origin = str(gateway.client.make_url("/")).rstrip("/")
    return {"Cookie": f"{TOKEN}={gateway.token(user)}", "Origin": origin}


async def _folded(gateway: Gateway) -> bool:
    """Whether the read model has all that was written."""
    written = len(await gateway.events("behavior.reactions"))
    return sum(c.next_offset for c in gateway.sql.positions("reactions", "behavior.reactions").values()) == written


async def _check(gateway: Gateway, user: int, video: int, kind: str) -> None:
    data = await ok(await gateway.client.get(f"/video/{kind}/{video}", headers=_who(gateway, user)))
    own = {
        "like": _likes(user, video) if user else 0,
        "collect": int(user == 201 and video == 1),
        "follow": int(user == 202 and FILMS[video - 1].owner_id == FILMS[0].owner_id),
    }
    expected = own if kind == "detail" else {kind: own[kind]}
    assert {name: data[name] for name in expected} == expected, (user, video, kind)


PERSONAL = {
    "body": "hush-body",
    "query": "hush-query",
    "path": "hush-path",
    "header": "hush-header",
    "agent": "hush-agent",
}
USER = 8_123_456_789
SESSION = "0190a5b2-0000-7000-8000-0000abcd0000"


async def _requests(url: str, token: str) -> list[int]:
    """Good ones, wrong ones, failing ones, and some that are no HTTP at all."""
    bearer = {"Authorization": f"Bearer {token}", "User-Agent": PERSONAL["agent"], "X-Other": PERSONAL["header"]}
    cookie = {"Cookie": f"{TOKEN}={token}", "Origin": "https://" + PERSONAL["header"]}
    play = {"type": "start", "session": SESSION, "seq": 0, "play_time": 0, "x": PERSONAL["body"]}
    calls: list[tuple[str, str, dict[str, str], Any]] = [
        ("GET", "/video/hot", bearer, None),
        ("GET", f"/video/detail/3?q={PERSONAL['query']}", bearer, None),
        ("GET", "/video/detail/3", {**bearer, "X-Position": PERSONAL["header"]}, None),
        ("GET", f"/{PERSONAL['path']}", bearer, None),
        ("GET", f"/video/like/{PERSONAL['path']}", bearer, None),
        ("POST", "/video/like/3", bearer, {"like": 1, "x": PERSONAL["body"]}),
        ("POST", "/video/like/3", bearer, {"like": PERSONAL["body"]}),
        ("POST", "/video/like/3", bearer, PERSONAL["body"]),
        ("POST", "/video/like/3", {**bearer, "Content-Encoding": "gzip"}, PERSONAL["body"]),
        ("POST", "/video/like/3", cookie, {"like": 1}),
        ("POST", "/video/like/3", {"Authorization": f"Bearer {token}x"}, {"like": 1}),
        ("POST", "/video/play/3", bearer, play),
        (PERSONAL["path"].upper(), "/video/hot", bearer, None),
    ]
    statuses = []
    connector = aiohttp.TCPConnector(force_close=True)  # a refused body ends its connection
    async with aiohttp.ClientSession(connector=connector) as http:
        for method, path, headers, body in calls:
            sent = {"data": body} if isinstance(body, str) else {"json": body}
            async with http.request(method, url + path, headers=headers, **sent) as response:
                statuses.append(response.status)
    bad_line = f"GET /{PERSONAL['path']} HTTP/9\r\n\r\n"
    bad_header = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\x00\r\n\r\n"
    return [*statuses, await _raw(url, bad_line), await _raw(url, bad_header)]


async def _raw(url: str, text: str) -> int:
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(text.encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


def _failing(*arguments: object, **named: object) -> None:
    """A defect whose text quotes all that it was given."""
    raise RuntimeError(f"cannot work with {arguments} {named}")


@pytest.fixture
def all_levels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Debug lines too, also when a command of an earlier test has set up logs and loggers have kept that."""
    before = structlog.get_config()
    structlog.reset_defaults()
    for module in ("middlewares", "connections", "emit", "workers", "jwks"):
        monkeypatch.setattr(f"gateway.{module}.log", structlog.get_logger())
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("all_levels")
@pytest.mark.parametrize("broken", [False, True])
async def test_our_own_logs_hold_nothing_personal(
    make_parts: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: bool
) -> None:
    parts = await make_parts(rate_user="0")
    token = issue(SECRET, USER, 600, parts.clock.now_ms())
    caplog.set_level(logging.WARNING)
    with capture_logs() as lines:
        async with served(parts) as url:
            if broken:
                monkeypatch.setattr(parts.outbox, "append", _failing)
                monkeypatch.setattr(parts.writer, "append", _failing)
                monkeypatch.setattr(parts.sql, "videos", _failing)
            statuses = await _requests(url, token)
            metrics = await _metrics(url)
    assert statuses.count(500) == (3 if broken else 0), statuses
    assert "playtrail_http_malformed_total 2.0" in metrics
    failures = [line for line in lines if line["event"] == "request failed"]
    assert len(failures) == statuses.count(500)
    assert all("RuntimeError" in line["trace"] and "in _failing" in line["trace"] for line in failures)
    assert [line for line in lines if line["event"] == "request"]
    for text in (repr(lines), caplog.text, metrics):
        for personal in (token, token.split(".")[2], SECRET, str(USER), SESSION, "127.0.0.1", *PERSONAL.values()):
            assert personal not in text
            assert personal.upper() not in text


async def _metrics(url: str) -> str:
    async with aiohttp.ClientSession() as http, http.get(url + "/metrics") as response:
        return await response.text()
