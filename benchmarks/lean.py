"""An HTTP/1.1 client that does next to nothing: beside a server on two cores, aiohttp's would be half of the load."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


class Head:
    """Status and headers of an answer; its body was read and dropped."""

    def __init__(self, raw: bytes) -> None:
        self.status, self._raw = int(raw[9:12]), raw

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        found = re.search(rb"\r\n" + name.encode() + rb": ([^\r]*)\r\n", self._raw, re.IGNORECASE)
        return found[1].decode() if found else None


class Client:
    """Keeps as many connections as there are requests under way."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._free: list[_Connection] = []

    async def get(self, path: str, headers: Mapping[str, str]) -> Head:
        """GET; raises ConnectionError."""
        return await self._send("GET", path, headers, b"")

    async def post(self, path: str, headers: Mapping[str, str], body: Mapping[str, object]) -> Head:
        """POST of a JSON body; raises ConnectionError."""
        return await self._send("POST", path, headers, json.dumps(body).encode())

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Head:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        begin = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n"
        connection = self._free.pop() if self._free else await self._open()
        head = await connection.ask(f"{begin}{lines}\r\n".encode() + body)
        self._free.append(connection)
        return Head(head)

    async def _open(self) -> _Connection:
        return (await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port))[1]

    def close(self) -> None:
        """Close what is not in use."""
        while self._free:
            self._free.pop().close()


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, request: bytes) -> bytes:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = self._buffer[: end + 2]
        length = _LENGTH.search(head)
        if len(self._buffer) >= end + 4 + (int(length[1]) if length else 0):
            self._buffer = b""
            self._answer.set_result(head)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
