"""HBase rows: keys, columns and cells of the tables ``video``, ``video_top`` and ``plays_checkpoint``. No I/O."""

from __future__ import annotations

import msgspec

from models.stores.port import PlayRow, Top

VIDEO_TABLE, TOP_TABLE, CHECKPOINT_TABLE = b"video", b"video_top", b"plays_checkpoint"
FAMILIES = {VIDEO_TABLE: (b"video", b"play"), TOP_TABLE: (b"top",), CHECKPOINT_TABLE: (b"c",)}
"""Column families by table."""

CONTENT_ID, TIMES, DURATION = b"video:content_id", b"play:times", b"play:duration"
TOP = b"top:list"

_top = msgspec.json.Decoder(Top)


def video_key(video_id: int) -> bytes:
    """
    The row key: the id in ten digits, reversed (123 is ``3210000000``).

    Reversed, so that videos added one after the other spread over the regions.
    """
    return (b"%010d" % video_id)[::-1]


def video_id_of(key: bytes) -> int:
    """The opposite of ``video_key``."""
    return int(key[::-1])


def video_cells(video_id: int, times: int, duration: int) -> dict[bytes, bytes]:
    """A whole row, decimal text, so that any HBase shell can read it."""
    return {CONTENT_ID: b"%d" % video_id, TIMES: b"%d" % times, DURATION: b"%d" % duration}


def play_row(cells: dict[bytes, tuple[bytes, int]]) -> PlayRow:
    """The aggregate in a row's cells, as (value, timestamp) by column."""
    times, stamp = cells[TIMES]
    return PlayRow(int(times), int(cells[DURATION][0]), stamp)


def partition_key(partition: int) -> bytes:
    """The row of a partition in ``video_top``: ``p0003``."""
    return b"p%04d" % partition


def encode_top(top: Top) -> bytes:
    """JSON text of a top list."""
    return msgspec.json.encode(top)


def decode_top(value: bytes) -> Top:
    """The opposite of ``encode_top``."""
    return _top.decode(value)
