"""
Old events brought up to date.

The log keeps records for ever, so a reader meets every version of the schema that was ever written. Readers know the
newest version alone; what came before is changed into it, one version at a time, before it is decoded. A change that
old readers would not survive therefore takes three things together: a higher ``models.events.SCHEMA``, a step here,
and the records of the version before in ``tests/models/records``, which must be readable for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

Step: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes an event of one version from one of the version before; ``event`` in it tells which. May change its input."""

STEPS: Final[dict[int, Step]] = {}
"""By the version that a step reads; it writes the next one. Version 1 is the first, so there is none yet."""

_objects = msgspec.json.Decoder(dict[str, Any])


def upcast(value: bytes, newest: int) -> bytes | None:
    """The JSON of an older event as one of version ``newest``; None when no step reads it."""
    try:
        event = _objects.decode(value)
    except (ValueError, TypeError, RecursionError):
        return None
    version = event.get("schema")
    if not isinstance(version, int) or version >= newest:
        return None
    try:
        while version < newest:
            event = STEPS[version](event)
            version += 1
    except (LookupError, TypeError, ValueError, AttributeError):  # no step, or not what the step is about
        return None
    return msgspec.json.encode({**event, "schema": newest})
