"""
Several gateway processes on one port: started, watched, started again, and stopped by one that serves nothing.

The kernel spreads connections over the processes (SO_REUSEPORT). Each is a whole gateway: its own event loop, producer,
caches and spool. What they share are the log, the stores, and a folder where each leaves its metrics.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Final

import structlog

from models.errors import InvalidSetting

MOST: Final = 64
STOP_SECONDS: Final = 20.0
"""A worker drains and says good-bye within ten; one that has not after this long is killed."""
STEADY_SECONDS: Final = 10.0
"""A worker that lived this long before it died is started again at once; else the wait doubles."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0

log = structlog.get_logger()
_spawn = multiprocessing.get_context("spawn")

Work = Callable[[int, Connection], None]
"""``work(number, ready)``: what a worker process runs; it sends one message on ``ready`` when it serves."""


@contextlib.contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """
    A port that workers can share, kept for them: bound here and not listened on, so that no connection comes here.

    Raises InvalidSetting when the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as kept:
        try:
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept.bind((host, port))
        except OSError as error:
            allowed = f"an address that is free here ({error.strerror or error})"
            raise InvalidSetting("PLAYTRAIL_HOST and PLAYTRAIL_PORT", f"{host}:{port}", allowed) from error
        yield kept.getsockname()[1]


@dataclass
class _Worker:
    """One process and its successors; ``wait`` is how long the next start waits, ``at`` when it may come."""

    number: int
    process: Any = None
    ready: Any = None
    begun: float = 0.0
    wait: float = FIRST_WAIT
    at: float = 0.0
    served: bool = field(default=False)


class Supervisor:
    """
    Runs ``work`` in some processes until it is told to stop.

    Args:
        work: A function that can be pickled; it ends on SIGTERM.
        count: How many.
        announce: Called once, when all of them serve.
    """

    def __init__(self, work: Work, count: int, announce: Callable[[], None]) -> None:
        self._work, self._announce = work, announce
        self._workers = [_Worker(number) for number in range(count)]
        self._stopping = self._announced = False

    def run(self) -> int:
        """Until SIGINT or SIGTERM; the exit code: that of a worker which could not serve even once, else 0."""
        before = [signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            while not self._stopping:
                self._start_those_due()
                self._wait()
                self._announce_once()
                if (code := self._ended()) is not None:
                    return code
            return 0
        finally:
            self._end_all()
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
                signal.signal(number, handler)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start_those_due(self) -> None:
        for worker in self._workers:
            if worker.process is None and time.monotonic() >= worker.at:
                worker.ready, ready = _spawn.Pipe(duplex=False)
                worker.process = _spawn.Process(target=self._work, args=(worker.number, ready))
                worker.process.start()
                ready.close()  # the worker's end: so that reading ours ends when the worker does
                worker.begun, worker.served = time.monotonic(), False

    def _wait(self) -> None:
        """For a worker that serves or ends; half a second at most, since a signal does not end the wait."""
        alive = [worker for worker in self._workers if worker.process is not None]
        found = wait([*(w.process.sentinel for w in alive), *(w.ready for w in alive if not w.served)], 0.5)
        for worker in alive:
            if worker.ready in found:
                with contextlib.suppress(EOFError):
                    worker.served = bool(worker.ready.recv())

    def _announce_once(self) -> None:
        if not self._announced and all(worker.served for worker in self._workers):
            self._announced = True
            self._announce()

    def _ended(self) -> int | None:
        """Note who has died and when the next may start; a code when going on makes no sense."""
        for worker in self._workers:
            if worker.process is None or worker.process.is_alive():
                continue
            code, worker.process = worker.process.exitcode, None
            if self._stopping:
                continue
            if not worker.served and not self._announced:
                return int(code) if code and code > 0 else 1
            lived = time.monotonic() - worker.begun
            worker.wait = FIRST_WAIT if lived > STEADY_SECONDS else min(worker.wait * 2, LONGEST_WAIT)
            worker.at = time.monotonic() + (0.0 if lived > STEADY_SECONDS else worker.wait)
            log.error("worker died", worker=worker.number, exitcode=code, lived_seconds=round(lived, 1))
        return None

    def _end_all(self) -> None:
        processes: Sequence[Any] = [worker.process for worker in self._workers if worker.process is not None]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                log.error("worker killed", reason=f"it did not stop within {STOP_SECONDS:g} s")
                process.kill()
                process.join()


def parent_sentinel() -> int | None:
    """What becomes readable when the supervisor has died, for a worker that must not outlive it."""
    parent = multiprocessing.parent_process()
    return None if parent is None else int(parent.sentinel)
