"""The steps of a store in memory: where a scheduler may hold up, fail or kill the owner that takes them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

Step: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Wraps each access that is atomic, named by its argument: what raises on entering prevents it, on leaving follows."""


def undisturbed(_: str) -> AbstractContextManager[None]:
    """Nothing happens before or after."""
    return contextlib.nullcontext()
