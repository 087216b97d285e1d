"""A look into a spool's file that changes nothing, while a gateway may be using it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from models.errors import Unavailable


class SpoolLook(NamedTuple):
    """
    What a spool holds.

    Attributes:
        events: How many wait for the log.
        aside: How many the log has refused.
        oldest_ms: When the first of those that wait was spooled, milliseconds since 1970; None when none waits.
    """

    events: int
    aside: int
    oldest_ms: int | None


def look(path: Path) -> SpoolLook:
    """What the file at ``path`` holds now. Raises Unavailable when it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            events, oldest_ms = connection.execute("SELECT count(*), min(spooled_ms) FROM waiting").fetchone()
            (aside,) = connection.execute("SELECT count(*) FROM aside").fetchone()
    except sqlite3.Error as error:
        raise Unavailable("spool", f"{path.name}: {error}") from error
    return SpoolLook(events, aside, oldest_ms)
