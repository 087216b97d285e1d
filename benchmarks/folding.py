"""Folding: what the consumers do all day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks import folding_plays, folding_reactions
from benchmarks.report import Table
from benchmarks.stage import Stage

TITLE: Final = "Folding"
ABOUT: Final = """
A backlog in real Kafka, 6 partitions, folded from its beginning by one process, in turns on the same log. Timed from
the first event read to the last one applied and durable. *CPU* is that of the process that folds; *the servers' CPU* is
what Kafka, HBase and MariaDB took from its start to its end, so a slow peer is charged for what they do when idle.

Plays per video: the largest play_time of each session, plays and seconds of each video; videos by Zipf's law, a session
for every three events. Playtrail writes HBase by way of its Thrift server and leaves the result where it is read; it
has a round before the others that does not count, in which HBase's JVM compiles what it runs, as Kafka's did while the
backlog was written (90,437 events/s without it, 2026-11-24). The peers keep theirs in RocksDB beside the process and
send each change to a changelog topic, or in a dictionary. They take an event as it is; Playtrail validates every field.
Quix Streams has its defaults, a checkpoint every five seconds.

Reactions: Playtrail writes rows, counts and its position in one transaction a batch. One upsert and commit an event is
what is written first; the bare upserts are as fast as one connection of SQLAlchemy and PyMySQL writes those rows.
"""


async def run(stage: Stage) -> Sequence[Table]:
    """Plays, then reactions."""
    return [await folding_plays.table(stage), await folding_reactions.table(stage)]
