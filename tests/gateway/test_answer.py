"""Answers on the wire: what stands in the head depends on the version, the method and the connection."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from tests.gateway.conftest import Gateway


class Wire(NamedTuple):
    """An answer byte by byte, up to where the server hung up or the next answer would begin."""

    status: str
    headers: list[str]
    body: bytes
    closed: bool


async def ask(gateway: Gateway, text: str) -> Wire:
    reader, writer = await asyncio.open_connection(gateway.client.host, gateway.client.port)
    writer.write(text.replace("\n", "\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *headers = head.strip().split("\r\n")
    length = int(next(h.partition(": ")[2] for h in headers if h.startswith("Content-Length: ")))
    body = b"" if text.startswith("HEAD") else await reader.readexactly(length)
    writer.write_eof()
    closed = await reader.read() == b""
    writer.close()
    return Wire(status, headers, body, closed)


@pytest.mark.parametrize(
    ("request_line", "header", "connection"),
    [
        ("GET /video/rank HTTP/1.1", "Host: x", None),
        ("GET /video/rank HTTP/1.1", "Host: x\nConnection: close", "Connection: close"),
        ("GET /video/rank HTTP/1.0", "Host: x", None),
        ("GET /video/rank HTTP/1.0", "Host: x\nConnection: keep-alive", "Connection: keep-alive"),
    ],
)
async def test_the_connection_is_named_when_it_is_not_the_versions_own(
    gateway: Gateway, request_line: str, header: str, connection: str | None
) -> None:
    answer = await ask(gateway, f"{request_line}\n{header}\n\n")
    assert answer.status == f"{request_line[-8:]} 200 OK"
    assert next((h for h in answer.headers if h.startswith("Connection")), None) == connection
    assert answer.body.startswith(b'{"code":200')


async def test_a_head_request_gets_the_head_of_the_get(gateway: Gateway) -> None:
    got = await ask(gateway, "GET /video/rank HTTP/1.1\nHost: x\n\n")
    head = await ask(gateway, "HEAD /video/rank HTTP/1.1\nHost: x\n\n")
    assert (head.status, head.body) == (got.status, b"")
    assert [h for h in head.headers if "Date" not in h] == [h for h in got.headers if "Date" not in h]


async def test_answers_of_one_connection_follow_each_other(gateway: Gateway) -> None:
    token = gateway.token()
    like = f"POST /video/like/3 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 6\r\n\r\nlike="
    reader, writer = await asyncio.open_connection(gateway.client.host, gateway.client.port)
    writer.write("".join(f"{like}{n % 2}" for n in range(10)).encode())
    for n in range(10):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.count(b"Set-Cookie: playtrail_position=behavior.reactions/") == 1
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        assert b'"data":{"like":%d,' % (n % 2) in await reader.readexactly(length)
    writer.close()
