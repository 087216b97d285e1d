"""
One row of a file as a Film: which column means what, and which values it may have.

Column names are compared without regard to case, spaces, underscores and hyphens, so that ``Running_Time_min`` is
``runningtimemin``. Of several columns that mean the same, the first in COLUMNS that has a value counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from models.errors import Refused
from models.stores.port import Film
from models.tables import FACTS

WEEK: Final = 604_800
MINUTES: Final = "minutes"
"""A pseudo-field: a duration given in minutes."""

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "content id", "video id"),
    "title": ("title", "name", "movie title", "film title", "primary title", "标题", "片名", "名称", "电影名"),
    "category": ("category", "类别"),
    "cover_url": ("cover url", "cover", "image", "image url", "poster", "poster url", "thumbnail", "封面"),
    "video_url": ("video url", "video"),
    "duration": ("duration", "duration seconds", "duration s", "seconds", "length seconds", "时长"),
    MINUTES: (
        "running time min",
        "running time",
        "runtime",
        "runtime minutes",
        "runtime min",
        "duration min",
        "minutes",
    ),
    "owner_id": ("owner id", "owner", "user id", "uploader id"),
    "status": ("status",),
    "audit_status": ("audit status",),
}
FACT_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    **{name: (name,) for name in FACTS if name not in ("title", "category")},
    "imdb_id": ("imdb id", "tconst"),
    "rating": ("rating", "imdb rating", "score", "vote average", "average rating", "评分"),
    "category": ("genre", "genres", "major genre", "类型"),
    "director": ("director", "directors", "导演"),
    "writers": ("writers", "writer", "编剧"),
    "stars": ("stars", "cast", "actors", "starring", "主演"),
    "summary_text": ("summary text", "summary", "description", "overview", "plot", "简介"),
    "detail_url": ("detail url", "homepage"),
}

_CATEGORIES: Final = {"1": 1, "film": 1, "movie": 1, "电影": 1, "2": 2, "game": 2, "游戏": 2}
# Film databases have a column of this name too, and mean by it that the film can be seen.
_STATUSES: Final = {"released": 0}
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?", re.ASCII)
_TEXT_BYTES: Final = 65_535
"""What a TEXT column of MySQL holds."""


def _plain(name: str) -> str:
    # A leading underscore stays: ``_id`` is the key of a database's record, not of a film.
    return re.sub(r"(?<!^)[\s_-]+", "", name.strip()).casefold()


_MEANINGS: Final = {
    _plain(name): (field, rank)
    for table in (FACT_COLUMNS, COLUMNS)
    for field, names in ((("facts." if table is FACT_COLUMNS else "") + f, n) for f, n in table.items())
    for rank, name in enumerate(names)
}


@lru_cache(maxsize=4096)
def _meaning(name: str) -> tuple[str, int] | None:
    return _MEANINGS.get(_plain(name))


def is_title(column: str) -> bool:
    """Whether a column has the title."""
    meaning = _meaning(column)
    return meaning is not None and meaning[0] == "title"


def film_of(row: object) -> Film:
    """The film in a row, which is a mapping by column name. Raises Refused, without the place in the file."""
    if not isinstance(row, Mapping):
        raise Refused("row", row, "an object with a title")
    cells = _cells(row)
    facts = _facts(cells)
    category = _category(cells, facts)
    title = _text("title", cells.get("title"), 255)
    if not title:
        raise Refused("title", cells.get("title"), "1 to 255 characters")
    if facts:
        facts["title"] = title
    return Film(
        title=title,
        id=_whole("id", cells.get("id"), 1, 9_999_999_999) if "id" in cells else None,
        category=category,
        cover_url=_text("cover_url", cells.get("cover_url"), 512),
        video_url=_text("video_url", cells.get("video_url"), 512),
        duration=_duration(cells),
        owner_id=_whole("owner_id", cells.get("owner_id", 1), 1, 9_999_999_999),
        status=_status("status", cells),
        audit_status=_status("audit_status", cells),
        facts=facts,
    )


def _cells(row: Mapping[Any, Any]) -> dict[str, object]:
    """The values of the known columns by field; absent ones and empty ones are left out."""
    best: dict[str, tuple[int, object]] = {}
    for name, value in row.items():
        meaning = _meaning(name)
        if meaning is None or _is_empty(value):
            continue
        field, rank = meaning
        if field not in best or rank < best[field][0]:
            best[field] = rank, value
    return {field: value for field, (_, value) in best.items()}


def _is_empty(value: object) -> bool:
    # ``\N`` is how database dumps write NULL.
    return value is None or value == [] or (isinstance(value, str) and value.strip() in ("", r"\N"))


def _facts(cells: Mapping[str, object]) -> dict[str, str]:
    facts = {}
    for field, value in cells.items():
        if field.startswith("facts."):
            name = field.removeprefix("facts.")
            facts[name] = _text(name, value, None)
    return facts


def _category(cells: Mapping[str, object], facts: dict[str, str]) -> int:
    """
    1 for films, 2 for games; 1 by default.

    Crawled files call the genre ``category``: words that are no category of ours are kept as that fact.
    """
    if "category" not in cells:
        return 1
    text = _text("category", cells["category"], None)
    known = _CATEGORIES.get(text.casefold())
    if known is not None:
        return known
    if _NUMBER.fullmatch(text):
        raise Refused("category", cells["category"], "1, 2, film, game, or a genre in words")
    facts.setdefault("category", text)
    return 1


def _duration(cells: Mapping[str, object]) -> int:
    """Seconds, whatever the unit of the column was."""
    if "duration" in cells:
        return round(_number("duration", cells["duration"], 0, WEEK, f"seconds, 0 to {WEEK}"))
    if MINUTES in cells:
        return round(60 * _number("duration", cells[MINUTES], 0, WEEK / 60, f"minutes, 0 to {WEEK // 60}"))
    return 0


def _status(field: str, cells: Mapping[str, object]) -> int:
    value = cells.get(field, 0)
    known = _STATUSES.get(value.casefold()) if isinstance(value, str) else None
    return _whole(field, value, 0, 127) if known is None else known


def _whole(field: str, value: object, least: int, most: int) -> int:
    allowed = f"a whole number, {least} to {most}"
    number = _number(field, value, least, most, allowed)
    if number != int(number):
        raise Refused(field, value, allowed)
    return int(number)


def _number(field: str, value: object, least: float, most: float, allowed: str) -> float:
    number: float | None = None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    if number is None or not least <= number <= most:  # NaN is refused too
        raise Refused(field, value, allowed)
    return number


def _text(field: str, value: object, longest: int | None) -> str:
    """
    Text, or a number as text, or a list of them joined by commas; without white space around it.

    Args:
        longest: Characters allowed; None stands for what a TEXT column holds.
    """
    text = _joined(field, value).strip()
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise Refused(field, text, "valid UTF-8") from error
    if longest is not None and len(text) > longest:
        raise Refused(field, text, f"at most {longest} characters")
    if size > _TEXT_BYTES:
        raise Refused(field, text, f"at most {_TEXT_BYTES} bytes of UTF-8")
    return text


def _joined(field: str, value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    return ", ".join(_scalar(field, _name(part)) for part in parts if part is not None)


def _name(part: object) -> object:
    """The name of an object that has one: genres often come as ``{"id": 18, "name": "Drama"}``."""
    return part.get("name") if isinstance(part, dict) else part


def _scalar(field: str, value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (number or isinstance(value, str)):
        raise Refused(field, value, "text or a number")
    return str(value)
