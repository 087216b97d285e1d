"""The end of a world compared with a plain fold of its log."""

from __future__ import annotations

import msgspec

from models import events, rows
from tests.simulator import fold
from tests.simulator.memory_sql import SqlData
from tests.simulator.world import KNOWN_VIDEOS, World


def check(world: World, acknowledged: set[bytes]) -> None:
    """Report whatever differs to ``world.violated``."""
    records = [record for partition in world.records() for record in partition]
    _same(world, "acknowledged events missing in the log", acknowledged - {r.value for r in records}, set())
    if world.projection == "plays":
        _check_plays(world)
    elif world.projection == "reactions":
        _check_reactions(world)
    else:
        truth = {video: n for video, n in fold.clicks(records).items() if video <= KNOWN_VIDEOS}
        _same(world, "clicks", {video: n for video, n in world.sql.clicks.items() if n}, truth)
    dead = {(letter.partition, letter.offset) for letter in world.sql.letters.values()}
    _same(world, "dead letters", dead, fold.dead_letters(records))
    _same(world, "records of behavior.dead that no letter has", _forwarded(world) - dead, set())


def _same(world: World, what: str, found: object, truth: object) -> None:
    if found != truth:
        world.violated(f"{what}: found {found}, but the log says {truth}")


def _check_reactions(world: World) -> None:
    truth = fold.reactions(record for partition in world.records() for record in partition)
    _same(world, "reactions", {key: tuple(row) for key, row in world.sql.rows.items()}, truth.rows)
    _same(world, "counts", _counts(world.sql), truth.counts)


def _counts(sql: SqlData) -> dict[tuple[str, int], int]:
    totals: dict[tuple[str, int], int] = {}
    for (kind, target, _), total in sql.counts.items():
        totals[kind, target] = totals.get((kind, target), 0) + total
    return {key: total for key, total in totals.items() if total}


def _check_plays(world: World) -> None:
    truth, tables = fold.plays(world.records()), world.plays.tables
    bare = {key: {c: value for c, (value, _) in row.items()} for key, row in tables[rows.VIDEO_TABLE].items()}
    _same(world, "table video", bare, truth.rows)
    tops = {key: row[rows.TOP][0] for key, row in tables[rows.TOP_TABLE].items()}
    _same(world, "table video_top", tops, truth.tops)


def _forwarded(world: World) -> set[tuple[int, int]]:
    """(partition, offset) of what was sent to behavior.dead."""
    found = [dict(record.headers) for record in world.broker.topic(events.DEAD).records[0]]
    return {(msgspec.json.decode(h["partition"]), msgspec.json.decode(h["offset"])) for h in found}
