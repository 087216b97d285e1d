"""Many videos at once, straight into the servers: the product's own ways in are not what these sections measure."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Final
from urllib.parse import urlsplit

from benchmarks.stage import Env
from models.stores.plays_hbase import HBasePlays
from models.stores.port import Top, stamp_of
from tests.real.mariadb import MariaDB

STEP: Final = 100_000
"""Videos in one transaction; and those put into HBase between two notes."""
PARTITIONS: Final = 6
BATCH: Final = 2_500
Note = Callable[[str], None]


def videos(mariadb: MariaDB, env: Env, count: int, note: Note) -> None:
    """Fill content_main with videos 1 to ``count``, all approved, with clicks that differ; two owners in a hundred."""
    name = database_of(env)
    for first in range(1, count + 1, STEP):
        note(f"videos into MariaDB: {first - 1:,} of {count:,}")
        last = min(first + STEP - 1, count)
        mariadb.execute(
            f"INSERT INTO {name}.content_main (id, title, category, cover_url, video_url, duration, owner_id, status, "
            "audit_status, clicks, created_at) SELECT seq, CONCAT('A film of some length, number ', seq), "
            "1 + seq MOD 2, CONCAT('https://covers.example/', seq, '.jpg'), "
            "CONCAT('https://films.example/', seq, '.mp4'), 60 + seq MOD 9000, 1 + seq MOD 50, 0, 0, "
            f"seq * 7919 MOD 1000003, 1700000000000 + seq FROM {name}.seq_{first}_to_{last}"
        )


def likes(mariadb: MariaDB, env: Env) -> None:
    """Likes of 1,000 users on 50 videos each; with the index that a site counting them by query would have."""
    name = database_of(env)
    mariadb.execute(
        f"INSERT INTO {name}.content_like SELECT u.seq, v.seq, 1, '', 0 "
        f"FROM {name}.seq_1_to_1000 u, {name}.seq_1_to_50 v"
    )
    for table in ("content_like", "content_collect"):
        mariadb.execute(f"CREATE INDEX {table}_peer ON {name}.{table} (content_id, status)")


def plays(env: Env, count: int, note: Note) -> None:
    """Fill the tables of HBase with the plays of videos 1 to ``count``, by the store's own calls, and the top lists."""
    store = HBasePlays(env["PLAYTRAIL_PLAYS"], timeout=60.0)
    try:
        store.create()
        # Two at a time: the Thrift server is the bottleneck, and the other core is its.
        with ThreadPoolExecutor(2) as threads:
            for first in range(1, count + 1, STEP):
                note(f"plays into HBase: {first - 1:,} of {count:,}")
                numbers = range(first, min(first + STEP, count + 1))
                pieces = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)]
                list(threads.map(lambda piece: store.put(0, stamp_of(1, 1), dict(map(_row, piece)), None), pieces))
        for partition in range(PARTITIONS):
            of_one = [_row(i) for i in range(partition + 1, count + 1, PARTITIONS)]
            top = Top(*(_best(of_one, column) for column in (0, 1)))
            store.put(partition, stamp_of(1, 1), {}, top)
    finally:
        store.close()


def _row(video: int) -> tuple[int, tuple[int, int]]:
    """Video, (plays, seconds)."""
    return video, (video * 7919 % 1_000_003, video * 104_729 % 9_999_991)


def _best(rows: list[tuple[int, tuple[int, int]]], column: int) -> tuple[tuple[int, int], ...]:
    pairs = ((video, values[column]) for video, values in rows)
    return tuple(heapq.nlargest(10, pairs, key=itemgetter(1)))


def database_of(env: Env) -> str:
    """The name of the database in the settings."""
    return urlsplit(env["PLAYTRAIL_DB"]).path.removeprefix("/")


def hbase_of(env: Env) -> tuple[str, str]:
    """host:port of Thrift, and the full name of the video table."""
    url = urlsplit(env["PLAYTRAIL_PLAYS"])
    return url.netloc, url.query.removeprefix("prefix=") + "_video"
