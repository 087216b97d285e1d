"""Progress of long work: on a terminal, and never in a pipe."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """One line on stderr: what, how much, events a second, time left. Shows nothing when ``show`` is False."""

    def __init__(self, what: str, show: bool = True) -> None:
        self._what, self._show = what, show
        self._progress: Progress | None = None

    def __enter__(self) -> Bar:
        if self._show:
            self._progress = _progress()
            self._progress.add_task(self._what, total=None, rate=0.0)
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def tell(self, done: int, total: int) -> None:
        """How far the work is."""
        if self._progress is not None:
            task = self._progress.tasks[0]
            rate = done / task.elapsed if task.elapsed else 0.0
            self._progress.update(task.id, completed=done, total=total, rate=rate)


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    speed = TextColumn("{task.fields[rate]:>9,.0f} events/s")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
