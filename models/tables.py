"""The SQL tables, for SQLite, MySQL and MariaDB alike. No I/O."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql

metadata = MetaData()
# Compared by bytes, as SQLite does: the servers' own collations take all emoji for one, and é for e.
_options: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}

# SQLite gives a key of its own only to INTEGER PRIMARY KEY, which holds 64 bits there.
_BigId = BigInteger().with_variant(Integer, "sqlite")
# event_id and names of our own are ASCII and compared by bytes: that order is the order of time.
_Ascii = String(64).with_variant(mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
# A record may bring headers of any size, and must be kept whatever it brings.
_LongText = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_Blob = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

content_main = Table(
    "content_main",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("title", String(255), nullable=False),
    Column("category", Integer, nullable=False, default=1),
    Column("cover_url", String(512), nullable=False, default=""),
    Column("video_url", String(512), nullable=False, default=""),
    Column("duration", Integer, nullable=False, default=0),
    Column("owner_id", BigInteger, nullable=False, default=1),
    Column("status", Integer, nullable=False, default=0),
    Column("audit_status", Integer, nullable=False, default=0),
    Column("clicks", BigInteger, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False, default=0, comment="milliseconds since 1970, UTC"),
    **_options,
)
# The rank reads its ten rows from the start of this.
Index("content_main_rank", content_main.c.status, content_main.c.clicks.desc(), content_main.c.id)
Index("content_main_title", content_main.c.title)

FACTS = """
imdb_id movie_id tmdb_id title little_img_src detail_url rating time category show_info summary_text
director writers stars storyline img_src video_img_src video_href true_video_url local_video_src
new_video_url local_img_src new_img_url local_video_img_src new_video_img_url
""".split()  # noqa: SIM905 -- 25 quoted names read worse
"""The crawled facts of a video, all text: they are shown, never computed with."""

video_data = Table(
    "video_data",
    metadata,
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False, default="") for name in FACTS),
    **_options,
)


def _reaction(name: str, target: str, of: MetaData) -> Table:
    return Table(
        name,
        of,
        Column("user_id", BigInteger, primary_key=True, autoincrement=False),
        Column(target, BigInteger, primary_key=True, autoincrement=False),
        Column("status", Integer, nullable=False),
        Column("event_id", _Ascii, nullable=False),
        Column(
            "updated_at",
            BigInteger,
            nullable=False,
            comment="milliseconds since 1970, UTC: the event's own time",
        ),
        **_options,
    )


def _reaction_count(name: str, of: MetaData) -> Table:
    return Table(
        name,
        of,
        # One row for each partition that counts a target, summed on reading: no row is written by two consumers.
        Column("kind", _Ascii, primary_key=True),
        Column("target_id", BigInteger, primary_key=True, autoincrement=False),
        Column("partition_id", Integer, primary_key=True, autoincrement=False),
        Column("total", BigInteger, nullable=False),
        **_options,
    )


class ReactionTables(NamedTuple):
    """The tables of one version of the reactions."""

    like: Table
    collect: Table
    follow: Table
    total: Table


def _reaction_tables(suffix: str, of: MetaData) -> ReactionTables:
    return ReactionTables(
        _reaction(f"content_like{suffix}", "content_id", of),
        _reaction(f"content_collect{suffix}", "content_id", of),
        _reaction(f"user_follow{suffix}", "followee_id", of),
        _reaction_count(f"reaction_count{suffix}", of),
    )


content_like, content_collect, user_follow, reaction_count = _reaction_tables("", metadata)


@lru_cache(maxsize=8)
def reaction_tables(version: int) -> ReactionTables:
    """The tables of a version: the first ones have no suffix, ``content_like_v2`` is of the second."""
    if version == 1:
        return ReactionTables(content_like, content_collect, user_follow, reaction_count)
    return _reaction_tables(f"_v{version}", MetaData())


video_clicks = Table(
    "video_clicks",
    metadata,
    # Clicks of the versions that are not active; those of the active one are in content_main.
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    Column("clicks", BigInteger, nullable=False),
    **_options,
)

read_model = Table(
    "read_model",
    metadata,
    # Which version of each projection is read; models/stores/versions.py has the meaning of the columns.
    Column("projection", _Ascii, primary_key=True),
    Column("active", Integer, nullable=False, default=1),
    Column("building", Integer, nullable=False, default=0),
    Column("kept", Integer, nullable=False, default=0),
    Column("switch_until", BigInteger, nullable=False, default=0),
    Column("changes", BigInteger, nullable=False, default=0),
    **_options,
)

consumer_offset = Table(
    "consumer_offset",
    metadata,
    Column("projection", _Ascii, primary_key=True),
    Column("topic", _Ascii, primary_key=True),
    Column("partition_id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("last_event_id", _Ascii, nullable=False, default=""),
    Column("updated_at", BigInteger, nullable=False, comment="milliseconds since 1970, UTC"),
    **_options,
)

projection_log = Table(
    "projection_log",
    metadata,
    # Which log each epoch of a projection was folded from.
    Column("projection", _Ascii, primary_key=True),
    Column("topic", _Ascii, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("cluster", String(128), nullable=False),
    Column("topic_id", String(128), nullable=False),
    Column("partitions", Integer, nullable=False),
    **_options,
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("projection", _Ascii, primary_key=True),
    Column("topic", _Ascii, primary_key=True),
    Column("partition_id", Integer, primary_key=True, autoincrement=False),
    Column("record_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("error", _LongText, nullable=False),
    Column("record_key", _Blob, nullable=True),
    Column("record_value", _Blob, nullable=False),
    Column("record_headers", _LongText, nullable=False),
    Column("record_at", BigInteger, nullable=False),
    **_options,
)
