"""
What is in a folder of exported files, and how far an export has come.

``manifest.json`` is written last, at once: where it says so, the export is whole. Until then ``progress.jsonl`` has one
line about the export and one for each chunk that is done; a torn last line is the chunk that was being written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
from msgspec import Struct

from consumers.replay.ranges import Pinned, Span
from models.errors import Refused
from models.eventlog.port import Identity

MANIFEST: Final = "manifest.json"
PROGRESS: Final = "progress.jsonl"


class File(Struct, frozen=True, kw_only=True):
    """One file; ``path`` is relative to the folder, ``bytes`` its size, ``sha256`` hexadecimal."""

    path: str
    events: int
    bytes: int
    sha256: str


class Chunk(Struct, frozen=True, kw_only=True):
    """
    A range of a partition that is done: ``start`` to ``end``, which is not included.

    Attributes:
        records: How many records were read.
        undecodable: Offsets of those that were no events.
        files: Made of the rest, as far as it was wanted.
    """

    partition: int
    start: int
    end: int
    records: int
    undecodable: list[int]
    files: list[File]

    @property
    def events(self) -> int:
        return sum(file.events for file in self.files)


class Head(Struct, frozen=True, kw_only=True):
    """
    What an export is, decided at its start.

    Attributes:
        topic, format, request: What was asked for.
        log: Cluster and topic, by their ids.
        bounds: By partition, the first offset kept and the pinned end.
        spans: Partition, start and end of what is read.
        since, until: The limits by time, milliseconds; see ``ranges.Pinned``.
        schema: Version of the events, to which older ones were brought.
        fields: Type by column.
    """

    playtrail: str
    topic: str
    format: str
    request: dict[str, Any]
    log: Identity
    bounds: dict[int, tuple[int, int]]
    spans: list[Span]
    since: int | None
    until: int | None
    schema: int
    fields: dict[str, str]

    def pinned(self) -> Pinned:
        """As it was."""
        return Pinned(tuple(self.spans), self.bounds, self.since, self.until)


class State(NamedTuple):
    """What is known of an earlier export in the folder; ``whole`` when it came to its end."""

    head: Head
    chunks: Sequence[Chunk]
    whole: bool


class Manifest:
    """The record of a folder. One process at a time: ``open`` takes a lock, and ``close`` lets go of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: Any = None

    def open(self) -> State | None:
        """
        Make the folder or look into it; what an earlier export has left there, or None.

        Raises Refused for a folder with other things in it, and while another process exports into it.
        """
        allowed = "a folder that is new, empty, or of an earlier replay"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            names = {path.name for path in self.folder.iterdir()}
            if names and not names & {MANIFEST, PROGRESS}:
                raise Refused("-o", str(self.folder), allowed)
            self._file = _locked(self.folder / PROGRESS)
        except BlockingIOError as error:
            raise Refused("-o", str(self.folder), "a folder that no other replay writes to at the moment") from error
        except OSError as error:
            raise Refused("-o", str(self.folder), f"{allowed} ({error.strerror})") from error
        return self._state()

    def _state(self) -> State | None:
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        if len(lines) > 1:  # whatever a manifest says, an export has begun after it
            done = [chunk for line in lines[1:-1] if (chunk := _decoded(line, Chunk)) is not None]
            return self._known(lines[0], done)
        path = self.folder / MANIFEST
        if not path.exists():
            return None
        raw = path.read_bytes()
        whole = _decoded(raw, _Whole)
        return State(whole.head, whole.chunks, True) if whole else None

    def _known(self, line: bytes, done: list[Chunk]) -> State | None:
        head = _decoded(line, Head)
        return State(head, done, False) if head else None

    def begin(self, head: Head, done: Sequence[Chunk]) -> None:
        """Note what is exported, and which chunks of it there are already."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        self._file.truncate(0)
        for item in (head, *done):
            self._write(item)

    def add(self, chunk: Chunk) -> None:
        """A chunk is done, its files are in their places."""
        self._write(chunk)

    def finish(self, head: Head, chunks: Sequence[Chunk], summary: Mapping[str, Any]) -> None:
        """The export is whole."""
        whole = {**summary, **msgspec.to_builtins(_Whole(head=head, chunks=list(chunks)), str_keys=True)}
        write(self.folder / MANIFEST, msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")
        (self.folder / PROGRESS).unlink()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            # Nothing begun: leave nothing behind.
            with contextlib.suppress(OSError):
                path = self.folder / PROGRESS
                if path.stat().st_size == 0:
                    path.unlink()

    def holds(self, file: File) -> bool:
        """Whether a file is in its place, as it was written."""
        path = self.folder / file.path
        try:
            return path.stat().st_size == file.bytes and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
        except OSError:
            return False

    def _write(self, item: Struct) -> None:
        self._file.write(msgspec.json.encode(item) + b"\n")
        self._file.flush()


class _Whole(Struct, frozen=True, kw_only=True):
    head: Head
    chunks: list[Chunk]


def _locked(path: Path) -> BinaryIO:
    """The file, opened to append, and locked as long as it is open; raises BlockingIOError when another has it."""
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def _decoded(line: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(line, type=kind)
    except ValueError:
        return None


def write(path: Path, content: bytes) -> None:
    """Write a file at once: under its name it is whole, or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".tmp")
    draft.write_bytes(content)
    draft.replace(path)
