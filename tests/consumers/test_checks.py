"""A checkpoint against the log: what is refused, and what passes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from consumers.checks import check_log
from models.errors import LogMismatch
from models.eventlog.port import EventWriter, LogReader, partition_for
from models.eventlog.sqlite import SqliteLog
from models.eventlog.sqlite_file import Session
from models.eventlog.sqlite_reader import SqliteReader
from models.events import VIEWS, Detail, decode_view
from models.stores.port import Checkpoint
from tests.consumers.making import append, junk, message

PARTITION = partition_for(b"1", 6)


class Trimmed(SqliteReader):
    """The log as it is once retention has removed the records below offset 3; the embedded log keeps everything."""

    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        return {partition: (3, max(end, 3)) for partition, (_, end) in (await super().bounds(topic)).items()}


async def check(reader: LogReader, next_offset: int, last_event_id: str = "") -> None:
    checkpoint = Checkpoint(epoch=1, next_offset=next_offset, last_event_id=last_event_id)
    await check_log(reader, "views", VIEWS, PARTITION, checkpoint)


async def test_the_last_event_is_compared(log: SqliteLog, writer: EventWriter) -> None:
    made = message(Detail, video_id=1)
    await append(writer, made, junk(VIEWS, 1))
    async with log.reader() as reader:
        await check(reader, 0)
        await check(reader, 1, decode_view(made.value).event_id)
        await check(reader, 2)
        with pytest.raises(LogMismatch, match="folded event another at offset 0, but the log has 01"):
            await check(reader, 1, "another")
        with pytest.raises(LogMismatch, match="but the log has no event there"):
            await check(reader, 2, "another")


async def test_a_position_outside_of_the_log_is_refused(log: SqliteLog, writer: EventWriter) -> None:
    await append(writer, *(message(Detail, video_id=1) for _ in range(5)))
    async with log.reader() as reader:
        with pytest.raises(
            LogMismatch, match="is at offset 6, but the log ends at 5; to go on: playtrail consume views --new-epoch"
        ):
            await check(reader, 6)
    async with Trimmed(Session(log._path)) as reader:
        with pytest.raises(LogMismatch, match="is at offset 2, but the log begins at 3"):
            await check(reader, 2)
        await check(reader, 3, "the record before is gone: nothing to compare with")
