"""Owners of one partition on a stage: each runs in a thread, and only when the director lets it take one step."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Killed(BaseException):
    """kill -9: nothing of the owner runs any more."""


class Actor:
    """
    Runs ``play(pause)``; ``pause`` returns when the director calls ``step``, and raises Killed after ``kill``.

    Between two steps the actor stands still in the middle of what it does, as a process that hangs or whose packets
    are late. One thread runs at a time, so a seed decides everything.
    """

    def __init__(self, play: Callable[[Callable[[], None]], None]) -> None:
        self.ended = False
        self.failure: BaseException | None = None
        self._play, self._killed = play, False
        self._turn, self._rest = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Let it go on to its next pause, or its end."""
        self._turn.release()
        self._rest.acquire()
        if self.failure is not None:
            raise self.failure

    def kill(self) -> None:
        self._killed = True
        if not self.ended:
            self.step()

    def _run(self) -> None:
        self._turn.acquire()
        try:
            if not self._killed:
                self._play(self._pause)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 -- shown by the director, in the test's own thread
            self.failure = error
        finally:
            self.ended = True
            self._rest.release()

    def _pause(self) -> None:
        self._rest.release()
        self._turn.acquire()
        if self._killed:
            raise Killed
