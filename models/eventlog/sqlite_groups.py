"""
Consumer groups in the SQLite file: who is a member, and who has which partition.

A member is alive while its row is not expired; it renews the row every few seconds, from the moment it joins until it
leaves. Partitions are divided evenly: members are ranked by name, and the first P mod N of them have one more. A
member takes only partitions that nobody alive holds, and gives back what is above its share, so that a partition
never has two living owners. ``token`` is new at each joining: a member whose name was taken over notices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Final, NamedTuple

from models.errors import Fenced
from models.eventlog.port import Owner
from models.eventlog.sqlite_file import transaction
from models.eventlog.sqlite_records import TopicRow

LEASE_MS: Final = 10_000
"""A member that has not renewed for this long has lost its partitions."""

RENEW_MS: Final = 7_000
"""What is left of a membership when it is renewed."""

_KEY: Final = "topic_id = ? AND consumer_group = ?"


class Membership(NamedTuple):
    """One member of one group on one topic."""

    topic: TopicRow
    group: str
    name: str
    token: str


class Share(NamedTuple):
    """The partitions a member holds, and how many of them it should hold."""

    held: frozenset[int]
    quota: int


def join(connection: sqlite3.Connection, me: Membership, now_ms: int) -> None:
    """Become a member, in the place of any earlier one of the same name, whose partitions are kept."""
    with transaction(connection):
        row = (me.topic.id, me.group, me.name, me.token, now_ms + LEASE_MS)
        connection.execute("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?)", row)


def renew(connection: sqlite3.Connection, me: Membership, now_ms: int) -> None:
    """Stay alive. Raises Fenced when another process has joined under this name."""
    with transaction(connection):
        _renew(connection, me, now_ms)


def _renew(connection: sqlite3.Connection, me: Membership, now_ms: int) -> None:
    query = f"SELECT token, expires_ms FROM member WHERE {_KEY} AND name = ?"  # noqa: S608 -- a constant
    token, expires_ms = connection.execute(query, (me.topic.id, me.group, me.name)).fetchone() or (me.token, 0)
    if token != me.token:
        raise Fenced(f"another process is member {me.name} of {me.group} now")
    if expires_ms < now_ms + RENEW_MS:  # else no write, and so no fsync
        row = (me.topic.id, me.group, me.name, me.token, now_ms + LEASE_MS)
        connection.execute("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?)", row)


def take(connection: sqlite3.Connection, me: Membership, now_ms: int) -> Share:
    """Renew, then take free partitions up to the quota. What is above the quota stays until ``release``."""
    with transaction(connection):
        _renew(connection, me, now_ms)
        alive = _alive(connection, me, now_ms)
        held, taken = _held(connection, me, alive)
        rest = me.topic.partitions % len(alive)
        quota = me.topic.partitions // len(alive) + (alive.index(me.name) < rest)
        free = [p for p in range(me.topic.partitions) if p not in taken]
        wanted = free[: max(0, quota - len(held))]
        rows = [(me.topic.id, me.group, p, me.name) for p in wanted]
        connection.executemany("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?)", rows)
    return Share(held | frozenset(wanted), quota)


def release(connection: sqlite3.Connection, me: Membership, partitions: Collection[int]) -> None:
    """Give partitions back."""
    with transaction(connection):
        query = f"DELETE FROM lease WHERE {_KEY} AND partition = ? AND member = ?"  # noqa: S608 -- a constant
        connection.executemany(query, [(me.topic.id, me.group, p, me.name) for p in partitions])


def leave(connection: sqlite3.Connection, me: Membership) -> None:
    """Give everything back and be no member any more, unless another process has the name now."""
    key = (me.topic.id, me.group, me.name)
    with transaction(connection):
        query = f"DELETE FROM member WHERE {_KEY} AND name = ? AND token = ?"  # noqa: S608 -- a constant
        if connection.execute(query, (*key, me.token)).rowcount:
            connection.execute(f"DELETE FROM lease WHERE {_KEY} AND member = ?", key)  # noqa: S608 -- a constant


def owners_of(connection: sqlite3.Connection, group: str, topic: str, now_ms: int) -> dict[int, Owner]:
    """The living members by partition."""
    query = (
        "SELECT partition, member FROM lease JOIN topic ON topic.id = topic_id"
        " JOIN member USING (topic_id, consumer_group)"
        " WHERE topic.name = ? AND consumer_group = ? AND member.name = member AND expires_ms > ?"
    )
    return {partition: Owner(name) for partition, name in connection.execute(query, (topic, group, now_ms))}


def _alive(connection: sqlite3.Connection, me: Membership, now_ms: int) -> list[str]:
    query = f"SELECT name FROM member WHERE {_KEY} AND expires_ms > ? ORDER BY name"  # noqa: S608 -- a constant
    return [name for (name,) in connection.execute(query, (me.topic.id, me.group, now_ms))]


def _held(
    connection: sqlite3.Connection, me: Membership, alive: Collection[str]
) -> tuple[frozenset[int], frozenset[int]]:
    """The partitions of this member, and those of any living one."""
    query = f"SELECT partition, member FROM lease WHERE {_KEY}"  # noqa: S608 -- a constant
    rows = connection.execute(query, (me.topic.id, me.group)).fetchall()
    held = frozenset(p for p, member in rows if member == me.name)
    return held, frozenset(p for p, member in rows if member in alive)
