"""
How the sessions of a partition are kept: a snapshot, and a delta for each checkpoint after it.

Snapshots alternate between the names ``a`` and ``b``; the deltas after ``a`` are ``a000``, ``a001`` and so on. Names
are used again, so nothing is ever deleted. The store shows the content with the largest stamp: a part may be newer
than the checkpoint that names it, when an owner died between writing the two, or wrote late. So a part says what it
covers: all changes by records from ``base`` (its owner's checkpoint before) up to ``end``.

Parts of several owners together still cover everything: a part begins where its owner's part before ended, and what
the store shows under that part's name ends there or later. So later parts replace earlier ones by session, and give
the exact state at the checkpoint; heartbeats that a newer part holds already are skipped. Their rows are durable,
since rows are written before parts.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from consumers.sessions import Session, Sessions

FEWEST_DELTAS: Final = 64
MOST_DELTAS: Final = 512

_WIDTH: Final = 16


class Generation(Struct, array_like=True, frozen=True, gc=False):
    """
    Sessions last touched in ``bucket``: 16 bytes each, and their seconds as 32-bit numbers, compressed.

    The UUIDs are random and would not shrink; compressing them costs more than all the rest of a restart.
    """

    bucket: int
    sessions: bytes
    seconds: bytes


class Part(Struct, array_like=True, frozen=True):
    """One part; ``bucket`` is the one at ``base``, ``rises`` the records since that raised it."""

    base: int
    end: int
    bucket: int
    rises: list[tuple[int, int]]
    generations: list[Generation]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Part)


class Torn(Exception):  # noqa: N818 -- never leaves this package
    """The parts do not cover everything up to the checkpoint."""


class Ring:
    """Decides which part a checkpoint writes; ``names`` are the parts to read, in order."""

    def __init__(self, names: Sequence[str] = (), sizes: Sequence[int] = ()) -> None:
        self.names = tuple(names)
        self._snapshot = sizes[0] if sizes else 0
        self._deltas = sum(sizes[1:])

    def snapshot_due(self) -> bool:
        """Whether the deltas have outgrown the snapshot, so that a restart would read more of them than of it."""
        deltas = len(self.names) - 1
        outgrown = deltas >= FEWEST_DELTAS and self._deltas >= self._snapshot
        return deltas < 0 or outgrown or deltas >= MOST_DELTAS

    def next(self, snapshot: bool) -> tuple[str, tuple[str, ...]]:
        """The name of the part to write, and the names to read once it is written."""
        if snapshot:
            name = "b" if self.names[:1] == ("a",) else "a"
            return name, (name,)
        name = f"{self.names[0]}{len(self.names) - 1:03d}"
        return name, (*self.names, name)

    def written(self, names: tuple[str, ...], size: int) -> None:
        """The part is durable and has this many bytes."""
        if len(names) == 1:
            self._snapshot, self._deltas = size, 0
        else:
            self._deltas += size
        self.names = names


def encode(sessions: Sessions, base: int, end: int, snapshot: bool) -> bytes:
    """A snapshot, or a delta with the changes by the records from ``base`` to before ``end``."""
    content = sessions.everything() if snapshot else sessions.changes()
    generations = [_generation(bucket, known) for bucket, known in content]
    return _encoder.encode(Part(base, end, sessions.saved_bucket, sessions.rises, generations))


def restore(contents: Sequence[bytes], next_offset: int) -> Sessions:
    """The sessions at a checkpoint from its parts, in order; raises Torn."""
    sessions = Sessions()
    parts = [_decode(content) for content in contents]
    _check(parts, next_offset)
    for part in parts:
        for generation in part.generations:
            _load(sessions, part, generation, next_offset, first=part is parts[0])
    sessions.restored(_bucket_at(parts, next_offset))
    return sessions


def _generation(bucket: int, known: dict[Session, int]) -> Generation:
    seconds = array("I", known.values())
    if sys.byteorder == "big":
        seconds.byteswap()
    return Generation(bucket, b"".join(known), zlib.compress(seconds.tobytes(), 1))


def _known(generation: Generation) -> Iterator[tuple[Session, int]]:
    seconds = array("I", zlib.decompress(generation.seconds))
    if sys.byteorder == "big":
        seconds.byteswap()
    return zip(_keys(generation), seconds, strict=True)


def _keys(generation: Generation) -> Iterable[Session]:
    keys = generation.sessions
    return [keys[at : at + _WIDTH] for at in range(0, len(keys), _WIDTH)]


def _decode(content: bytes) -> Part:
    try:
        return _decoder.decode(content)
    except ValueError as error:
        raise Torn(f"a part cannot be read: {error}") from error


def _check(parts: Sequence[Part], next_offset: int) -> None:
    """A snapshot covers all before its end; after that, no part may begin behind what is covered."""
    covered = 0
    for number, part in enumerate(parts):
        if part.base > (next_offset if number == 0 else covered):
            raise Torn(f"part {number} begins at {part.base}, the parts before end at {covered}")
        covered = max(covered, part.end)
    if parts and covered < next_offset:
        raise Torn(f"the parts end at {covered}, the checkpoint is at {next_offset}")


def _load(sessions: Sessions, part: Part, generation: Generation, next_offset: int, first: bool) -> None:
    sessions.load(generation.bucket, _known(generation), first)
    if part.end > next_offset:
        sessions.skip.update(dict.fromkeys(_keys(generation), part.end))
    elif sessions.skip:
        for session in _keys(generation):
            sessions.skip.pop(session, None)


def _bucket_at(parts: Sequence[Part], next_offset: int) -> int:
    """The bucket of the watermark at the checkpoint, also when a part goes further."""
    bases = (part.bucket for part in parts if part.base <= next_offset)
    rises = (bucket for part in parts for offset, bucket in part.rises if offset < next_offset)
    return max((*bases, *rises), default=0)
