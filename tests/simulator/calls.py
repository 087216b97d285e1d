"""
Blocking calls of simulated processes, which can be held up in the middle.

A call runs in a thread of its own, but only while the loop lets it: one thread runs at a time, so that the seed decides
everything. Between two turns a call stands still in the middle of what it does, as a process that hangs or whose
packets are late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Timetable(Protocol):
    """Decides when a call has its next turn; ``calls`` are those that have not ended, ``current`` the one that runs."""

    calls: dict[Call, None]
    current: Call

    def later(self, turn: Callable[[], None]) -> None:
        """Run ``turn`` in the loop some time later."""

    def in_one_go(self) -> bool:
        """Whether the next call is spared all stops; it then needs no thread."""


class _Thread:
    """A worker that is handed one call after the other; threads are kept, as starting one costs more than a call."""

    idle: list[_Thread] = []  # noqa: RUF012 -- shared on purpose: the pool

    def __init__(self) -> None:
        self._turn, self._rest = threading.Lock(), threading.Lock()
        self._turn.acquire()
        self._rest.acquire()
        self.call: Call | None = None
        threading.Thread(target=self._work, daemon=True, name="simulated-call").start()

    @classmethod
    def take(cls, call: Call) -> _Thread:
        thread = cls.idle.pop() if cls.idle else cls()
        thread.call = call
        return thread

    def run(self) -> None:
        """Let the call go on, until it stops or ends."""
        self._turn.release()
        self._rest.acquire()

    def stop(self) -> None:
        """In the call: stand still until the next ``run``."""
        self._rest.release()
        self._turn.acquire()

    def _work(self) -> None:
        self._turn.acquire()
        while True:
            assert self.call is not None
            self.call.execute()
            self.stop()


class Call:
    """One call, from submitting to its result."""

    def __init__(self, timetable: Timetable, function: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # a thread cannot be cancelled
        self._timetable, self._function = timetable, function
        self._result: Any = None
        self._error: BaseException | None = None
        self._ended = False
        self._thread = None if timetable.in_one_go() else _Thread.take(self)

    def turn(self) -> None:
        """Let the call go on; schedules its next turn, or gives the result to who waits for it."""
        self._timetable.current = self
        if self._thread is None:
            self.execute()
        else:
            self._thread.run()
        if not self._ended:
            self._timetable.later(self.turn)
            return
        if self._thread is not None:
            _Thread.idle.append(self._thread)
        del self._timetable.calls[self]
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)

    def stop(self) -> None:
        """In the call: end this turn. Without effect on a call that runs in one go."""
        if self._thread is not None:
            self._thread.stop()

    def execute(self) -> None:
        """The call itself, in its thread."""
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 -- handed on, also what is no Exception
            self._error = error
        self._ended = True


class Calls(Executor):
    """Runs what is submitted as turns of a timetable."""

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        call = Call(self._timetable, lambda: fn(*args, **kwargs))
        self._timetable.calls[call] = None
        self._timetable.later(call.turn)
        return call.future
