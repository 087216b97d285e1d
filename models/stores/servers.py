"""The specification of what every store promises of its server and its tables; part of the port."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple


class About(NamedTuple):
    """What a server says of itself: its version, and its clock in milliseconds since 1970; None when it has none."""

    version: str
    now_ms: int | None = None


class Tables(ABC):
    """Creates what a store needs."""

    @abstractmethod
    def create(self) -> None:
        """Create missing tables; those that exist are left as they are. Several processes may call it at once."""

    def missing(self) -> Sequence[str]:
        """Names of the tables that ``create`` would make, and of those of the active versions that are not there."""
        return ()

    @abstractmethod
    def ping(self) -> None:
        """Return when the server answers; raises Unavailable."""

    def about(self) -> About:
        """Who answers; raises Unavailable."""
        return About("")

    @abstractmethod
    def close(self) -> None:
        """Give connections back."""
