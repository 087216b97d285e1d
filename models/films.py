"""
Films from a file: JSON (an array of objects), JSON lines or CSV, in UTF-8 with or without a byte order mark.

The content decides the format, for the extension of a JSON file rarely tells an array from lines; only ``.csv`` and
``.tsv`` are taken at their word. Everything is read piece by piece: memory does not grow with the file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from models.errors import Refused
from models.filmrow import film_of, is_title
from models.stores.port import Film

__all__ = ["BadRow", "Film", "read"]

FORMATS: Final = "a JSON array, JSON lines, or CSV with a title column, in UTF-8"
_CHUNK: Final = 65_536
_LONGEST: Final = 1_048_576
"""Characters of one film; a longer one is taken for broken JSON, so that such a file is not read whole."""


class BadRow(NamedTuple):
    """
    A row that gives no film; ``str()`` is one line for a person.

    Attributes:
        where: ``line 3`` of JSON lines or CSV (where the row begins), ``element 3`` of a JSON array; from 1.
        field, value, allowed: Which field, what was found there, and what would have been accepted.
    """

    where: str
    field: str
    value: object
    allowed: str

    def __str__(self) -> str:
        return str(Refused(self.field, self.value, self.allowed, self.where))


class _Row(NamedTuple):
    """A row by column name, or why there is none."""

    where: str
    found: object


def read(path: Path) -> Iterator[Film | BadRow]:
    """
    The films of a file in its order, and a BadRow for each row that gives none. Unknown columns are ignored.

    Raises Refused, with the first row asked for, when the file cannot be read or has none of the formats.
    """
    try:
        with _open(path) as file:
            for row in _rows(path, file):
                yield _film(row)
    except OSError as error:
        raise _unreadable(path, error.strerror) from error


def _open(path: Path) -> TextIO:
    try:
        # Bytes that are no UTF-8 become lone surrogates, which spoil only the row that they stand in.
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except ValueError as error:  # a NUL in the path
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str | None) -> Refused:
    return Refused("file", str(path), f"a readable file ({reason})")


def _film(row: _Row) -> Film | BadRow:
    try:
        if isinstance(row.found, Refused):
            raise row.found
        return film_of(row.found)
    except Refused as refused:
        return BadRow(row.where, refused.field, refused.value, refused.allowed)


def _rows(path: Path, file: TextIO) -> Iterator[_Row]:
    begins = file.read(_CHUNK).lstrip()[:1]
    file.seek(0)
    if path.suffix.lower() not in (".csv", ".tsv"):
        if begins == "[":
            return _elements(file)
        if begins == "{":
            return _lines(file)
    return _csv_rows(path, file)


def _not_json(text: str) -> Refused:
    return Refused("JSON", text[:80], "well-formed JSON")


def _constant(name: str) -> object:
    raise ValueError(name)


_decoder = json.JSONDecoder(parse_constant=_constant)
_space = re.compile(r"[ \t\r\n]*")


def _lines(file: TextIO) -> Iterator[_Row]:
    for number, line in enumerate(file, start=1):
        if text := line.strip():
            yield _Row(f"line {number}", _value(text))


def _value(text: str) -> object:
    try:
        value, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return _not_json(text)
    return value if end == len(text) else _not_json(text)


def _elements(file: TextIO) -> Iterator[_Row]:
    """The elements of an array, each decoded as soon as it is complete; nothing after a broken one can be found."""
    window = _Window(file)
    window.take("[")
    number, more = 1, not window.take("]")
    while more:
        element = window.element()
        yield _Row(f"element {number}", element)
        if isinstance(element, Refused):
            return
        number, more = number + 1, window.take(",")
        if not more and not window.take("]"):
            yield _Row(f"element {number}", _not_json(window.rest()))
            return
    if rest := window.rest():
        yield _Row(f"element {number}", _not_json(rest))


class _Window:
    """The part of a text that is being decoded."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0

    def _fill(self) -> bool:
        chunk = self._file.read(_CHUNK)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)

    def _skip(self) -> bool:
        """Move to the next character that is no white space; False at the end of the file."""
        while (at := _space.match(self._text, self._at).end()) == len(self._text):  # type: ignore[union-attr]  # matches anything
            self._at = at
            if not self._fill():
                return False
        self._at = at
        return True

    def take(self, sign: str) -> bool:
        """Step over ``sign`` if it comes next."""
        found = self._skip() and self._text[self._at] == sign
        self._at += found
        return found

    def element(self) -> object:
        """The next value, or Refused. It is complete when something follows it: ``12`` may go on as ``123``."""
        complete = not self._skip()
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                end = len(self._text)
                value = _not_json(self.rest())
            if complete or end < len(self._text):
                self._at = end
                return value
            complete = len(self._text) - self._at > _LONGEST or not self._fill()

    def rest(self) -> str:
        """The beginning of what was not decoded; empty at the end of the file."""
        return self._text[self._at : self._at + 80] if self._skip() else ""


def _csv_rows(path: Path, file: TextIO) -> Iterator[_Row]:
    delimiter = _delimiter(path, file.readline(_CHUNK))
    file.seek(0)
    reader = csv.reader(file, delimiter=delimiter)
    header: list[str] | None = None
    while True:
        where = f"line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Row(where, Refused("CSV", str(error), "well-formed CSV"))
            continue
        if header is None:
            header = cells
        elif cells:
            yield _Row(where, _named(header, cells))


def _named(header: list[str], cells: list[str]) -> object:
    if len(cells) != len(header):
        return Refused("columns", len(cells), f"{len(header)}, as in the header")
    return dict(zip(header, cells, strict=True))


def _delimiter(path: Path, header: str) -> str:
    """The sign that gives the header a title column. Raises Refused when none does."""
    for delimiter in ",;\t":
        try:
            names = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            continue
        if any(is_title(name) for name in names):
            return delimiter
    raise Refused("file", str(path), FORMATS)
