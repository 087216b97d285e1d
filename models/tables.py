"""The SQL tables, for SQLite, MySQL and MariaDB alike. No I/O."""

from __future__ import annotations

from typing import Any

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


def _reaction(name: str, target: str) -> Table:
    return Table(
        name,
        metadata,
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


content_like = _reaction("content_like", "content_id")
content_collect = _reaction("content_collect", "content_id")
user_follow = _reaction("user_follow", "followee_id")

reaction_count = Table(
    "reaction_count",
    metadata,
    # One row for each partition that counts a target, summed on reading: no row is written by two consumers.
    Column("kind", _Ascii, primary_key=True),
    Column("target_id", BigInteger, primary_key=True, autoincrement=False),
    Column("partition_id", Integer, primary_key=True, autoincrement=False),
    Column("total", BigInteger, nullable=False),
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
