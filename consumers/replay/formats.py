"""Events as lines: JSON, CSV, or text for a person."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from consumers.replay.fields import Getter, event_kinds_of, getter_of, kinds_of
from consumers.replay.pseudonyms import Pseudonyms
from consumers.replay.reading import Batch
from models.eventlog.port import Position, Record
from models.events import BY_TOPIC, Event, rfc3339

BESIDE: Final = ("partition", "offset", "timestamp")
"""What tables have beside the event, so that a row can be found again in the log."""

LAST_MS: Final = 253_402_300_800_000
"""The year 10000, where calendars end."""

LETTER: Final = (*BESIDE, "key", "headers", "value")
"""The fields of a topic without events, unless others are asked for."""


class Selection(NamedTuple):
    """Which fields to show: None, the event as it is; ``pseudonyms`` when nobody is to be named."""

    topic: str
    fields: tuple[str, ...] | None = None
    pseudonyms: Pseudonyms | None = None

    def columns(self) -> tuple[str, ...]:
        """The fields of a table: those asked for, or all of the event and where it stands."""
        if self.fields is not None:
            return self.fields
        return (*event_kinds_of(self.topic), *BESIDE) if self.topic in BY_TOPIC else LETTER

    def kinds(self) -> dict[str, str]:
        """Kind by column."""
        kinds = kinds_of(self.topic)
        return {name: "text" if name != "headers" and self.hides(name) else kinds[name] for name in self.columns()}

    def getters(self) -> dict[str, Getter]:
        """How to take each of the columns, already without names of persons."""
        return {name: self._getter(name) for name in self.columns()}

    def hides(self, name: str) -> Callable[[Any], Any] | None:
        return self.pseudonyms.hides(name) if self.pseudonyms else None

    def _getter(self, name: str) -> Getter:
        get, hide = getter_of(self.topic, name), self.hides(name)
        return get if hide is None else lambda record, event: hide(get(record, event))


class Lines(ABC):
    """A format of lines; ``head`` comes before the first, ``suffix`` ends the names of its files."""

    head: bytes = b""
    suffix: str

    @abstractmethod
    def lines(self, batch: Batch) -> bytes:
        """A batch as lines, each with its end."""

    def join(self, pieces: Sequence[bytes]) -> bytes:
        """A whole file of what ``lines`` gave."""
        return self.head + b"".join(pieces)


class JsonLines(Lines):
    """One JSON object a line: the record's own value when nothing else is asked for."""

    suffix = "jsonl"

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._encode = msgspec.json.Encoder().encode
        whole = selection.fields is None and selection.topic in BY_TOPIC
        self._raw = whole and selection.pseudonyms is None
        self._row = self._event if whole else self._columns
        self._getters = selection.getters()
        self._hidden = {n: h for n in event_kinds_of(selection.topic) if (h := selection.hides(n))}

    def lines(self, batch: Batch) -> bytes:
        values = batch.values if self._raw else list(map(self._row, batch.records, batch.events))
        joined = b"\n".join(values)
        if joined.count(b"\n") >= max(len(values), 1):  # somebody writes JSON over several lines
            joined = b"\n".join(msgspec.json.format(value, indent=-1) for value in values)
        return joined + b"\n" if values else b""

    def _event(self, _: Record, event: Any) -> bytes:
        row = msgspec.to_builtins(event)
        for name, hide in self._hidden.items():
            if name in row:
                row[name] = hide(row[name])
        return self._encode(row)

    def _columns(self, record: Record, event: Any) -> bytes:
        return self._encode({name: get(record, event) for name, get in self._getters.items()})


class Csv(Lines):
    """RFC 4180 with a header; an absent value is empty, a list is JSON."""

    suffix = "csv"

    def __init__(self, selection: Selection) -> None:
        self._getters = selection.getters()
        self.head = self._text([list(self._getters)])

    def lines(self, batch: Batch) -> bytes:
        pairs = zip(batch.records, batch.events, strict=True)
        return self._text([[_cell(get(r, e)) for get in self._getters.values()] for r, e in pairs])

    def _text(self, rows: Sequence[Sequence[object]]) -> bytes:
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        return out.getvalue().encode()


def _cell(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


class Text(Lines):
    """A line for a person: when, where it stands, what it is, and what it has beside what every event has."""

    suffix = "txt"

    def __init__(self, selection: Selection) -> None:
        names = selection.fields
        if names is None:
            own = event_kinds_of(selection.topic)
            base = Event.__struct_fields__ if selection.topic in BY_TOPIC else ()
            names = ("user_id", *(n for n in own if n not in (*base, "event"))) if base else ("key", "headers", "value")
        shown = selection._replace(fields=names)
        self._getters = shown.getters()
        self._name = getter_of(selection.topic, "event") if selection.topic in BY_TOPIC else None

    def lines(self, batch: Batch) -> bytes:
        return "".join(map(self._line, batch.records, batch.events)).encode()

    def _line(self, record: Record, event: Any) -> str:
        place = Position(record.topic, record.partition, record.offset)
        name = self._name(record, event) if self._name else ""
        found = {name: value for name, get in self._getters.items() if (value := get(record, event)) is not None}
        rest = "  ".join(f"{key}={printable(value)}" for key, value in found.items())
        return f"{when(record.timestamp)}  {place!s:<28}  {name:<10}  {rest}\n"


def when(ms: int) -> str:
    """A record's time for a person; as it is when no calendar has it, since any writer may set it."""
    return rfc3339(ms) if 0 <= ms < LAST_MS else f"{ms} ms"


def printable(value: object) -> str:
    """Text that moves no cursor and rings no bell, whatever somebody has written into the log."""
    text = _cell(value) if isinstance(value, list | dict) else value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def lines_of(kind: str, selection: Selection) -> Lines:
    """A format by its name: json, csv or text."""
    if kind == "json":
        return JsonLines(selection)
    return Csv(selection) if kind == "csv" else Text(selection)
