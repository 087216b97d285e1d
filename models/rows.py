"""HBase rows: keys, columns and cells of the tables ``video``, ``video_top`` and ``plays_checkpoint``. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from models.eventlog.port import Identity
from models.stores.port import Checkpoint, PlayRow, Top

VIDEO_TABLE, TOP_TABLE, CHECKPOINT_TABLE = b"video", b"video_top", b"plays_checkpoint"
FAMILIES = {VIDEO_TABLE: (b"video", b"play"), TOP_TABLE: (b"top",), CHECKPOINT_TABLE: (b"c",)}
"""Column families by table."""

CONTENT_ID, TIMES, DURATION = b"video:content_id", b"play:times", b"play:duration"
TOP = b"top:list"
CHECKPOINT, IDENTITY, CHUNKS = b"c:checkpoint", b"c:identity", b"c:chunks"

VERSION_KEY, VERSION = b"version/plays", b"c:version"
"""Where the versions of the plays are named: a row of the first version's checkpoint table."""

CHUNK_BYTES = 1_000_000
"""Largest cell of a part: HBase refuses cells above ten times that, and slows down well before."""

Cells: TypeAlias = Mapping[bytes, tuple[bytes, int]]
"""A row as it is read: (value, timestamp) by column."""

_top = msgspec.json.Decoder(Top)
_checkpoint = msgspec.json.Decoder(Checkpoint)
_identity = msgspec.json.Decoder(Identity)


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


def play_row(cells: Cells) -> PlayRow:
    """The aggregate in a row's cells."""
    times, stamp = cells[TIMES]
    return PlayRow(int(times), int(cells[DURATION][0]), stamp)


def partition_key(partition: int) -> bytes:
    """The row of a partition in ``video_top``: ``p0003``."""
    return b"p%04d" % partition


def partition_of(key: bytes) -> int:
    """The partition that a row key ends with: of ``video_top`` or of a head."""
    return int(key.rpartition(b"p")[2])


def encode_top(top: Top) -> bytes:
    """JSON text of a top list."""
    return msgspec.json.encode(top)


def decode_top(value: bytes) -> Top:
    """The opposite of ``encode_top``."""
    return _top.decode(value)


def head_prefix(projection: str, topic: str) -> bytes:
    """What the keys of all heads of a projection begin with."""
    return f"head/{projection}/{topic}/p".encode()


def head_key(projection: str, topic: str, partition: int) -> bytes:
    """The row of a partition's head (checkpoint and identity): ``head/plays/behavior.plays/p0003``."""
    return head_prefix(projection, topic) + b"%04d" % partition


def part_key(projection: str, partition: int, part: str) -> bytes:
    """The row of one part: ``part/plays/p0003/NAME``."""
    return f"part/{projection}/p{partition:04d}/{part}".encode()


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """JSON text of a checkpoint."""
    return msgspec.json.encode(checkpoint)


def decode_checkpoint(value: bytes) -> Checkpoint:
    """The opposite of ``encode_checkpoint``."""
    return _checkpoint.decode(value)


def encode_identity(identity: Identity) -> bytes:
    """JSON text of a log's identity."""
    return msgspec.json.encode(identity)


def decode_identity(value: bytes) -> Identity:
    """The opposite of ``encode_identity``."""
    return _identity.decode(value)


def part_cells(content: bytes) -> dict[bytes, bytes]:
    """The row of a part: how many chunks, and the chunks; no content at all is zero chunks."""
    chunks = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]
    return {CHUNKS: b"%d" % len(chunks), **{_chunk(i): chunk for i, chunk in enumerate(chunks)}}


def part_content(cells: Cells) -> bytes | None:
    """
    The content in a part's cells; empty for a row that is absent.

    Chunks beyond the count are left over from a longer, older content and are ignored. None when a chunk is missing
    or has another timestamp than the count: the row is torn between two writes.
    """
    if not cells:
        return b""
    if CHUNKS not in cells:
        return None
    count, stamp = cells[CHUNKS]
    chunks = [cells.get(_chunk(number), (b"", None)) for number in range(int(count))]
    return b"".join(value for value, _ in chunks) if all(at == stamp for _, at in chunks) else None


def _chunk(number: int) -> bytes:
    return b"c:%05d" % number
