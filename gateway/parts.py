"""What the composition root hands to the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from models.clock import Clock
from models.eventlog.port import EventLog, EventWriter
from models.eventlog.spool import Outbox
from models.settings import Settings
from models.stores.port import PlayStores, SqlStores
from models.topics import Topics


@dataclass(frozen=True)
class Parts:
    """
    The gateway's surroundings.

    Attributes:
        outbox: Where reactions and plays go; the app enters it, and it enters ``writer``.
        writer: The log itself; views are appended to it without the spool behind them.
        log: Where the operator's page looks.
        worker: The number of this process among several on one port; None when it is alone.
        demo: Whether a stranger who opens the page becomes a random viewer.
    """

    settings: Settings
    topics: Topics
    outbox: Outbox
    writer: EventWriter
    sql: SqlStores
    plays: PlayStores
    clock: Clock
    log: EventLog
    demo: bool = False
    worker: int | None = None
