"""Cutting what a caller hands over into pieces that one statement can take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last one shorter; nothing for nothing. Reads no further than it has to."""
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield piece
