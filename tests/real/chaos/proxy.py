"""A TCP proxy on loopback whose network can be made bad while connections are open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final, Literal, TypeAlias

Mode: TypeAlias = Literal["pass", "slow", "half-open", "cut"]
"""
``slow``: 0.3 s later, in each direction. ``half-open``: connections are accepted, what comes is swallowed, and those
that were open then never answer again, nor are they closed. ``cut``: every connection is reset, new ones are too.
"""

LATENCY: Final = 0.3
CHUNK: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class Proxy:
    """
    Passes bytes from its own port to ``target`` on loopback; an async context manager.

    Attributes:
        port: Where clients connect; taken at once. 0 takes a free one.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = target
        self._mode: Mode = "pass"
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, sock=self._socket)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set(self, mode: Mode) -> None:
        """Change the network, for open connections too."""
        self._mode = mode
        for link in list(self._links):
            if mode == "cut":
                link.reset()
            link.dead = link.dead or mode == "half-open"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        if self._mode == "cut":
            return link.reset()
        self._links.add(link)
        link.dead = self._mode == "half-open"
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", self._target)
                link.writers.append(back)
                await asyncio.gather(self._pump(link, reader, back), self._pump(link, there, writer))
        finally:
            link.reset()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _pump(self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            if link.dead:
                continue
            if self._mode == "slow":
                await asyncio.sleep(LATENCY)
            sink.write(data)
            await sink.drain()
        if not link.dead and sink.can_write_eof():
            sink.write_eof()


class _Link:
    """The two sockets of one connection; when ``dead``, neither side hears of the other again."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers, self.dead = [writer], False

    def reset(self) -> None:
        for writer in self.writers:
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
