"""
Speed as a ratio to a yardstick that runs in the same process, a moment before or after.

A ratio of processor times hardly depends on the machine, and not on what else runs on it; so a limit on it can stand
in a test. Limits are two and a half times what was seen or more: they catch what became several times slower (a cache
that is no longer asked, a query in each request), and let everything else pass.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

ROUNDS: Final = 5

Work = Callable[[], object]


@contextmanager
def alone() -> Iterator[None]:
    """
    What stands in memory already, of all tests before, is left out of collections.

    Walking it takes half a second each time, and would be charged to whichever of the two sets a collection off.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def cost(work: Work) -> float:
    """Processor seconds of this process, all its threads, that ``work`` takes."""
    gc.collect()  # not what an earlier one has left
    begun = time.process_time()
    work()
    return time.process_time() - begun


def ratio(work: Work, yardstick: Work, rounds: int = ROUNDS) -> float:
    """How many times the yardstick ``work`` costs: the best of each, taken in turns, after one that warms up."""
    with alone():
        work()
        yardstick()
        times = [(cost(work), cost(yardstick)) for _ in range(rounds)]
    return min(time for time, _ in times) / min(time for _, time in times)


class Client(asyncio.Protocol):
    """A connection that sends a request, again and again, as soon as it is answered: the least a client can do."""

    def __init__(self, request: bytes, times: int) -> None:
        self._request, self._left = request, times
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """One read has one answer, since they are small and come one by one."""
        if not data.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(AssertionError(data))
        elif self._left:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or AssertionError("the server closed the connection"))

    def _send(self) -> None:
        assert self._transport is not None
        self._left -= 1
        self._transport.write(self._request)


async def drive(port: int, request: bytes, connections: int, times: int) -> None:
    """Send a request ``times`` times on each of several connections; every answer must be 200."""
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Client(request, times), "127.0.0.1", port) for _ in range(connections)
    ]
    try:
        await asyncio.gather(*(client.done for _, client in opened))
    finally:
        for transport, _ in opened:
            transport.close()


async def ratio_of(
    work: Callable[[], Awaitable[object]], yardstick: Callable[[], Awaitable[object]], rounds: int = ROUNDS
) -> float:
    """``ratio`` of coroutines."""
    times: list[tuple[float, float]] = []
    with alone():
        for warm_up in (work, yardstick):
            await warm_up()
        for _ in range(rounds):
            gc.collect()
            begun = time.process_time()
            await work()
            between = time.process_time()
            await yardstick()
            times.append((between - begun, time.process_time() - between))
    return min(time for time, _ in times) / min(time for _, time in times)
