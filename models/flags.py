"""The settings as flags of a command, and how a command ends: one line for an error, an exit code, no traceback."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from importlib import import_module
from typing import Any

import click

from models import logs, settings
from models.errors import PlaytrailError


class LazyCommands(click.Group):
    """
    A group whose commands are imported when they are needed, and whose errors are one line on stderr.

    Attributes:
        modules: The module of each command; it has the command under its own name.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = self.modules.get(cmd_name)
        command: click.Command | None = getattr(import_module(module), cmd_name) if module else None
        return command

    def invoke(self, ctx: click.Context) -> Any:
        with _as_click_exceptions():
            return super().invoke(ctx)


@contextlib.contextmanager
def _as_click_exceptions() -> Iterator[None]:
    try:
        yield
    except PlaytrailError as error:
        raise click.ClickException(str(error)) from error
    except ExceptionGroup as group:
        ours, others = group.split(PlaytrailError)
        if ours is None or others is not None:
            raise
        raise click.ClickException("; ".join(map(str, _leaves(ours)))) from group


async def until_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, Any]) -> bool:
    """Whether ``stop`` came before the end of the work, which was cancelled then; raises what the work raised."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        return True
    task.result()
    return False


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """For the main function of a process that is no command: errors of ours are one line on stderr and exit code 1."""
    try:
        with _as_click_exceptions():
            yield
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _leaves(group: ExceptionGroup[Any]) -> list[BaseException]:
    return [leaf for e in group.exceptions for leaf in (_leaves(e) if isinstance(e, ExceptionGroup) else [e])]


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag for each setting named; the checked Settings become its first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**kwargs: Any) -> None:
            config = settings.read(**{name: kwargs.pop(name) for name in names})
            logs.configure(config.log)
            command(config, **kwargs)

        for name in reversed(names):
            run = click.option(f"--{name.replace('_', '-')}", metavar="TEXT", help=settings.help_of(name))(run)
        return run

    return decorate


def run_async(main: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> None:
    """Run ``main(stop)`` on uvloop; SIGINT and SIGTERM set ``stop``. Exits with what it returns."""

    async def guarded() -> int:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers on its loop
                loop.add_signal_handler(number, stop.set)
        return await main(stop)

    try:
        import uvloop
    except ImportError:
        code = asyncio.run(guarded())
    else:
        code = uvloop.run(guarded())
    if code:
        sys.exit(code)
