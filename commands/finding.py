"""What `playtrail doctor` says of one thing it looked at."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

Level: TypeAlias = Literal["ok", "warn", "fail"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warn", "fail")
"""In the order of the exit codes."""


class Finding(Struct, frozen=True):
    """
    One line.

    Attributes:
        part: What was looked at: ``log``, ``topics``, ``sql``, ``plays``, the name of a projection and so on.
        level: ``warn``: it works, and an operator should know; ``fail``: something does not work, or would be wrong.
        what: What was found.
        mend: The command or the deed that mends it; empty when all is well.
    """

    part: str
    level: Level
    what: str
    mend: str = ""


def ok(part: str, what: str) -> Finding:
    """All is well."""
    return Finding(part, "ok", what)


def warn(part: str, what: str, mend: str) -> Finding:
    """It works, and an operator should know."""
    return Finding(part, "warn", what, mend)


def fail(part: str, what: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(part, "fail", what, mend)
