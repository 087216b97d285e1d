"""Events as Parquet: columns of Arrow, one file's worth at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from consumers.replay.fields import kinds_of
from consumers.replay.formats import LAST_MS, Selection
from consumers.replay.reading import Batch
from models.errors import Refused
from models.eventlog.port import Record
from models.events import BY_TOPIC

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:
    raise Refused(
        "--format", "parquet", "after `pip install 'playtrail[parquet]'`; json and csv need nothing"
    ) from error

TYPES: Final = {
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "list": pa.list_(pa.int64()),
    "map": pa.map_(pa.string(), pa.string()),
}
TIME: Final = pa.timestamp("ms", tz="UTC")
DIFFERENT: Final = frozenset({"event_id", "occurred_at", "offset", "timestamp", "cur_time"})
"""Columns whose values hardly ever repeat: a dictionary of them would be built and thrown away."""


class Columns:
    """
    Parquet of one selection: ``piece`` for each batch, ``join`` for a file of pieces.

    A file has all columns of the topic, in the order of the selection and but for ``event``, which is in its path;
    what an event does not have is null. Times are timestamps in UTC, by milliseconds.
    """

    suffix = "parquet"

    def __init__(self, selection: Selection) -> None:
        kinds = kinds_of(selection.topic)
        self._selection = selection
        self._names = [name for name in selection.columns() if name != "event"]
        hidden = {name: hide for name in self._names if name != "headers" and (hide := selection.hides(name))}
        types = {name: TIME if name == "timestamp" else TYPES[kinds[name]] for name in self._names}
        self._types = {**types, **dict.fromkeys(hidden, pa.string())}
        self._hidden: dict[str, Callable[[Any], Any]] = hidden
        self.schema = pa.schema(list(self._types.items()))
        self._of_event = {kind: self._fields_of(kind) for kind in BY_TOPIC.get(selection.topic, ())}
        getters = {**selection.getters(), "timestamp": _time}
        self._others = {name: getters[name] for name in self._names if not self._is_field(name)}

    def piece(self, batch: Batch) -> Any:
        """A batch whose events are of one class as an Arrow record batch."""
        kind = type(batch.events[0])
        names = self._of_event.get(kind, [])
        values = dict(zip(names, _columns(names, batch.events), strict=True))
        for name, hide in self._hidden.items():
            if name in values:
                values[name] = map(hide, values[name])
        for name, get in self._others.items():
            values[name] = map(get, batch.records, batch.events)
        return pa.record_batch([self._array(name, values, len(batch.events)) for name in self._names], self.schema)

    def join(self, pieces: Sequence[Any]) -> bytes:
        """A Parquet file of pieces, compressed by zstd."""
        out = pa.BufferOutputStream()
        repeating = [name for name in self._names if name not in DIFFERENT and self._types[name] != TYPES["map"]]
        parquet.write_table(
            pa.Table.from_batches(pieces, self.schema), out, compression="zstd", use_dictionary=repeating
        )
        found: bytes = out.getvalue().to_pybytes()
        return found

    def _array(self, name: str, values: dict[str, Iterable[Any]], size: int) -> Any:
        kind = self._types[name]
        if name not in values:
            return pa.nulls(size, kind)
        column = [list(each.items()) for each in values[name]] if name == "headers" else values[name]
        return pa.array(column, kind, size=size)

    def _is_field(self, name: str) -> bool:
        return any(name in names for names in self._of_event.values())

    def _fields_of(self, kind: type[Any]) -> list[str]:
        return [name for name in self._names if name in kind.__struct_fields__]


def _columns(names: Sequence[str], events: Sequence[Any]) -> Sequence[Iterable[Any]]:
    if len(names) < 2:
        return [list(map(attrgetter(name), events)) for name in names]
    return list(zip(*map(attrgetter(*names), events), strict=True))


def _time(record: Record, _: Any) -> int | None:
    """A record's time; null when no calendar has it, since one such value makes a whole table unreadable."""
    return record.timestamp if 0 <= record.timestamp < LAST_MS else None


def describe(schema: Any) -> dict[str, str]:
    """Type by column, for the manifest."""
    return {field.name: str(field.type) for field in schema}
