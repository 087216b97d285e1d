"""Slow loris: connections that are held open with half a request are cut, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway.auth import issue
from tests.gateway.conftest import SECRET, Make, ok
from tests.gateway.served import served

HEAD = "POST /video/like/3 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"


class Server:
    """Where to connect, and a user's token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        return await asyncio.open_connection(parts.hostname, parts.port)

    def head(self, length: int) -> bytes:
        return HEAD.format(token=self.token, length=length).encode()


@pytest.fixture
async def server(make_parts: Make, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """One whose limits of time are short."""
    monkeypatch.setattr("gateway.app.KEEPALIVE_SECONDS", 0.5)
    monkeypatch.setattr("gateway.app.LINGERING_SECONDS", 0.2)
    monkeypatch.setattr("gateway.bodies.SECONDS", 0.3)
    parts = await make_parts()
    async with served(parts) as url:
        yield Server(url, issue(SECRET, 7, 600, parts.clock.now_ms()))


async def _trickle(writer: asyncio.StreamWriter, data: bytes) -> None:
    """One byte now and then, for as long as anybody listens."""
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0.02)


async def _all_until_cut(server: Server, first: bytes, then: bytes) -> bytes:
    """What the server answers before it hangs up; it must do so while bytes keep coming."""
    reader, writer = await server.connect()
    writer.write(first)
    trickling = asyncio.create_task(_trickle(writer, then)) if then else None
    try:
        async with asyncio.timeout(20):
            received = b""
            with contextlib.suppress(ConnectionError):  # cut with a reset, when bytes came after the end
                while chunk := await reader.read(4096):
                    received += chunk
            return received
    finally:
        if trickling:
            trickling.cancel()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"GET /", b""),
        (b"GET /", b"a"),
        (b"GET /video/hot HTTP/1.1\r\n", b"A"),
        (b"GET /video/hot HTTP/1.1\r\nHost: x\r\nX-A: ", b"a"),
    ],
)
async def test_half_a_head_is_cut(server: Server, first: bytes, then: bytes) -> None:
    assert await _all_until_cut(server, first, then) == b""


@pytest.mark.parametrize("then", [b"", b"x"])
async def test_half_a_body_is_answered_and_cut(server: Server, then: bytes) -> None:
    answer = await _all_until_cut(server, server.head(50_000) + b"like", then)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"error":"bad_body"' in answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("then", [b"", b"x"])
async def test_a_refused_body_is_not_read_for_ever(server: Server, then: bytes) -> None:
    """401 without a look at the body; what is left of it is read on for a moment, and then the connection ends."""
    head = b"POST /video/like/3 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    answer = await _all_until_cut(server, head, then)
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_an_idle_connection_is_cut_after_its_answer(server: Server) -> None:
    answer = await _all_until_cut(server, server.head(6) + b"like=1", b"")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_nobody_waits_for_two_hundred_slow_ones(server: Server) -> None:
    slow = [await server.connect() for _ in range(200)]
    for number, (_, writer) in enumerate(slow):
        writer.write(server.head(6) + b"li" if number % 2 else b"GET / HT")
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {server.token}"}) as http:
        for _ in range(5):
            async with http.post(server.url + "/video/like/3", data="like=1") as response:
                await ok(response)
    for _, writer in slow:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
