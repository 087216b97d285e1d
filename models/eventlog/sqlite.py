"""The embedded event log: one SQLite file, shared by any number of processes of one machine."""

from __future__ import annotations

from pathlib import Path

from models.clock import Clock, SystemClock
from models.eventlog.port import EventLog, OnAssigned, OnRevoked
from models.eventlog.sqlite_file import Session
from models.eventlog.sqlite_reader import SqliteAdmin, SqliteReader
from models.eventlog.sqlite_subscription import Bell, SqliteSubscription
from models.eventlog.sqlite_writer import SqliteWriter
from models.topics import Topics


class SqliteLog(EventLog):
    """
    The log in the file at ``path``, made when first used.

    Topics must be created by ``admin()``; ``topics`` gives their size limits. Offsets are dense from 0. ``clock`` is
    for the expiry of memberships alone, and must be the same for every process.
    """

    def __init__(self, path: Path, topics: Topics, clock: Clock | None = None) -> None:
        self._path, self._topics, self._clock = path, topics, clock or SystemClock()
        self._bell = Bell()

    def writer(self) -> SqliteWriter:
        return SqliteWriter(Session(self._path), self._topics, self._bell.ring)

    def subscribe(
        self, group: str, member: str, topic: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> SqliteSubscription:
        names, callbacks = (group, member, topic), (on_assigned, on_revoked)
        return SqliteSubscription(Session(self._path), self._bell, self._clock, names, callbacks)

    def reader(self) -> SqliteReader:
        return SqliteReader(Session(self._path), self._clock)

    def admin(self) -> SqliteAdmin:
        return SqliteAdmin(Session(self._path))
