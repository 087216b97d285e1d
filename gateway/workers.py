"""Threads for the stores, which block; and what is built on them: gathered reads, shared reads, refreshers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar, TypeVarTuple

import structlog

from gateway.envelope import too_many
from models.errors import PlaytrailError, Unavailable

log = structlog.get_logger()
Ts = TypeVarTuple("Ts")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

THREADS: Final = 8
SECONDS: Final = 5.0
MAX_WAITING: Final = 2_000
"""Reads waiting for a thread; past it a request is told to come back rather than to queue for seconds."""


class Workers:
    """
    A pool of threads for one store, so that one that hangs does not take the other with it.

    Args:
        part: What Unavailable names: ``sql`` or ``plays``.
    """

    def __init__(self, part: str, threads: int = THREADS) -> None:
        self._part = part
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"playtrail-{part}")

    async def run(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        """The result of a blocking call; raises Unavailable when it takes longer than a viewer waits."""
        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
        except TimeoutError as error:
            raise Unavailable(self._part, f"no answer within {SECONDS:g} seconds") from error

    def close(self) -> None:
        """Let running calls end; those not begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Gatherer(Generic[K, V]):
    """
    Concurrent reads of single keys, gathered into one call.

    What arrives in one turn of the event loop, or while a call is running, shares the next call. A read never joins
    a call that had begun, so that it sees all that was written before it.
    """

    def __init__(self, workers: Workers, load: Callable[[list[K]], Mapping[K, V]], *, running: int = 2) -> None:
        self._workers, self._load, self._free = workers, load, running
        self._pending: dict[K, list[asyncio.Future[V | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def get(self, key: K) -> V | None:
        """The value, or None when there is none; raises what the load raised, or 429 when too many wait."""
        loop = asyncio.get_running_loop()
        waiting = self._pending.get(key)
        if waiting is None:
            if len(self._pending) >= MAX_WAITING:
                raise too_many()
            waiting = self._pending[key] = []
            if not self._scheduled:
                self._scheduled = True
                loop.call_soon(self._begin)
        # A future for each, so that one who gives up cancels his own alone.
        future: asyncio.Future[V | None] = loop.create_future()
        waiting.append(future)
        return await future

    def _begin(self) -> None:
        self._scheduled = False
        if self._free and self._pending:
            self._free -= 1
            batch, self._pending = self._pending, {}
            task = asyncio.create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: dict[K, list[asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._workers.run(self._load, list(batch))
        except Exception as error:  # noqa: BLE001 -- handed to every waiter
            for future in (f for waiting in batch.values() for f in waiting if not f.done()):
                future.set_exception(error)
                future.exception()  # who waits may be cancelled this very moment; then nobody else would look at it
        else:
            for key, waiting in batch.items():
                for future in waiting:
                    if not future.done():
                        future.set_result(found.get(key))
        finally:
            self._free += 1
            self._begin()


class Shared(Generic[T]):
    """
    One value that many requests want: read by one at a time, and shared while it is young enough.

    A failure is shared like a value, so that a server that is away costs one waiting read, not one a request. Who
    gives up waiting does not stop the read: a thread that hangs is one thread.

    Attributes:
        begun: Loop time at which the read began whose outcome is shared now.
    """

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self.begun = float("-inf")
        self._outcome: T | Exception
        self._task: asyncio.Task[None] | None = None

    async def get(self, not_before: float) -> T:
        """A value whose read began at ``not_before`` (loop time) or later; raises what that read raised."""
        while self.begun < not_before:
            if self._task is None:
                self._task = asyncio.create_task(self._renew())
            await asyncio.shield(self._task)
        if isinstance(self._outcome, Exception):
            raise self._outcome.with_traceback(None)
        return self._outcome

    async def _renew(self) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            self._outcome = await self._read()
        except Exception as error:  # noqa: BLE001 -- handed to every waiter
            self._outcome = error
        self.begun, self._task = begun, None


async def every(seconds: float, what: str, refresh: Callable[[], Awaitable[Any]]) -> None:
    """Refresh for ever; a failure leaves the last state standing, and is logged when it begins and when it ends."""
    failing = False
    while True:
        try:
            await refresh()
        except PlaytrailError as error:
            if not failing:
                log.warning("refresh failed", what=what, reason=str(error))
            failing = True
        except Exception:
            if not failing:
                log.exception("refresh failed", what=what)
            failing = True
        else:
            if failing:
                log.info("refresh works again", what=what)
            failing = False
        await asyncio.sleep(seconds)
