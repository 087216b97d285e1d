"""What `playtrail doctor` finds on this machine: packages, disk, spools."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from commands.finding import Finding, fail, ok, warn
from models import __version__
from models.errors import Unavailable
from models.eventlog.spool_look import look
from models.events import rfc3339
from models.settings import Settings

LEAST_FREE: Final = 64 << 20
"""Bytes without which nothing durable can be expected of a file any more."""
_REQUIREMENT: Final = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?\s*>=\s*(?P<least>[\w.]+)\s*(?:;.*)?")


def packages() -> list[Finding]:
    """What is installed against what setup.cfg demands."""
    try:
        demanded = metadata.requires("playtrail") or []
    except metadata.PackageNotFoundError:
        return [warn("packages", "playtrail is not installed, so nobody knows what it needs", "pip install .")]
    needs = [needed for text in demanded if "extra ==" not in text and (needed := _REQUIREMENT.fullmatch(text))]
    found = {needed["name"]: _installed(needed["name"]) for needed in needs}
    wrong = [
        fail(
            "packages", f"{needed['name']} is {have or 'missing'}", f"pip install '{needed['name']}>={needed['least']}'"
        )
        for needed in needs
        if (have := found[needed["name"]]) is None or _release(have) < _release(needed["least"])
    ]
    names = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
    return wrong or [ok("packages", f"playtrail {__version__}, Python {platform.python_version()}, {names}")]


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """(1, 2) of 1.2.0rc1: what can be compared; zeros at the end mean nothing."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(number) for number in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def disk(config: Settings) -> Finding:
    """Whether the data folder can be written, and takes all that the spool may become."""
    folder = next(path for path in (config.data.absolute(), *config.data.absolute().parents) if path.exists())
    if not os.access(folder, os.W_OK) or not folder.is_dir():
        return fail("disk", f"{folder} cannot be written", "another PLAYTRAIL_DATA, or its permissions")
    free = shutil.disk_usage(folder).free
    still = max(0, (config.spool << 20) - sum(path.stat().st_size for path in spools(config)))
    what = f"{_size(free)} are free for {config.data}"
    if free < LEAST_FREE:
        return fail("disk", what, "free some space")
    if free < still:
        more = f"{what}; the spool may still grow by {_size(still)}"
        return warn("disk", more, "free some space, or a smaller PLAYTRAIL_SPOOL")
    return ok("disk", what)


def _size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"


def spools(config: Settings) -> list[Path]:
    """The spools' files in the data folder."""
    return sorted(config.data.glob("spool*.db"))


def spooled(config: Settings) -> list[Finding]:
    """What waits for the log."""
    found = [finding for file in spools(config) for finding in _spooled(file)]
    return found or [ok("spool", "no event waits for the log")]


def _spooled(file: Path) -> Iterator[Finding]:
    try:
        events, aside, oldest_ms = look(file)
    except Unavailable as error:
        yield fail("spool", error.reason, f"move {file} away; what can be read of it is in its table `waiting`")
        return
    if oldest_ms is not None:
        what = f"{events} events wait in {file.name}, the first since {rfc3339(oldest_ms)}"
        yield warn("spool", what, "playtrail gateway, with this PLAYTRAIL_DATA, drains it once the log is there")
    if aside:
        mend = f"see why in {file}, table `aside`; every start of the gateway tries them again"
        yield warn("spool", f"the log has refused {aside} events of {file.name}", mend)
