"""Whether the log still is the one that was folded: its bounds, and the last event."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.errors import LogMismatch
from models.eventlog.port import LogReader, Record
from models.stores.port import Checkpoint


class _HasId(Struct):
    event_id: str = ""


_decoder = msgspec.json.Decoder(_HasId)


async def check_log(reader: LogReader, projection: str, topic: str, partition: int, checkpoint: Checkpoint) -> None:
    """
    Compare a checkpoint with the log, so that a log that was cut or replaced is not taken for the one folded.

    Raises:
        LogMismatch: The position is outside of the log, or the record before it is not the one folded last.
        Unavailable: The log is away.
    """
    first, end = (await reader.bounds(topic))[partition]
    position = checkpoint.next_offset
    if position > end:
        raise _mismatch(projection, topic, partition, f"is at offset {position}, but the log ends at {end}")
    if position < first:
        raise _mismatch(projection, topic, partition, f"is at offset {position}, but the log begins at {first}")
    if not checkpoint.last_event_id or position - 1 < first:
        return
    found = await reader.read(topic, partition, position - 1, 1)
    event_id = _event_id(found[0]) if found and found[0].offset == position - 1 else "no event"
    if event_id != checkpoint.last_event_id:
        folded = f"folded event {checkpoint.last_event_id} at offset {position - 1}, but the log has {event_id} there"
        raise _mismatch(projection, topic, partition, folded)


def _event_id(record: Record) -> str:
    try:
        return _decoder.decode(record.value).event_id
    except ValueError:
        return "no event"


def _mismatch(projection: str, topic: str, partition: int, what: str) -> LogMismatch:
    remedy = f"playtrail consume {projection} --new-epoch"
    return LogMismatch(f"{projection} of {topic}/{partition} {what}; to go on: {remedy}")
