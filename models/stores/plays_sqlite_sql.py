"""The SQL of the plays in a SQLite file, by version. Only numbers of our own are put into the text."""
# ruff: noqa: S608

from __future__ import annotations

from functools import lru_cache

VERSIONS = "CREATE TABLE IF NOT EXISTS plays_version (projection TEXT PRIMARY KEY, row BLOB NOT NULL)"


class Sql:
    """The statements of one version; the tables of the first have no suffix."""

    def __init__(self, version: int) -> None:
        v = "" if version == 1 else f"_v{version}"
        self.names = tuple(f"{table}{v}" for table in ("video", "video_top", "plays_head", "plays_part"))
        self.tables = f"""
            CREATE TABLE IF NOT EXISTS video{v} (
                content_id INTEGER PRIMARY KEY, times INTEGER NOT NULL, duration INTEGER NOT NULL,
                stamp INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS video_top{v} (
                partition_id INTEGER PRIMARY KEY, list BLOB NOT NULL, stamp INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS plays_head{v} (
                projection TEXT NOT NULL, topic TEXT NOT NULL, partition_id INTEGER NOT NULL,
                checkpoint BLOB NOT NULL, identity BLOB NOT NULL, stamp INTEGER NOT NULL,
                PRIMARY KEY (projection, topic, partition_id)) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS plays_part{v} (
                projection TEXT NOT NULL, partition_id INTEGER NOT NULL, part TEXT NOT NULL,
                content BLOB NOT NULL, stamp INTEGER NOT NULL,
                PRIMARY KEY (projection, partition_id, part));"""
        newer = f"WHERE excluded.stamp >= {{}}{v}.stamp"
        self.put_row = f"""
            INSERT INTO video{v} (content_id, times, duration, stamp) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
            SET times = excluded.times, duration = excluded.duration, stamp = excluded.stamp {newer.format("video")}"""
        self.put_top = f"""
            INSERT INTO video_top{v} (partition_id, list, stamp) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
            SET list = excluded.list, stamp = excluded.stamp {newer.format("video_top")}"""
        self.put_head = f"""
            INSERT INTO plays_head{v} (projection, topic, partition_id, checkpoint, identity, stamp)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint,
            identity = excluded.identity, stamp = excluded.stamp {newer.format("plays_head")}"""
        self.move_head = f"""
            UPDATE plays_head{v} SET checkpoint = ?, stamp = ?
            WHERE projection = ? AND topic = ? AND partition_id = ? AND stamp <= ?"""
        self.put_part = f"""
            INSERT INTO plays_part{v} (projection, partition_id, part, content, stamp) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET content = excluded.content, stamp = excluded.stamp {newer.format("plays_part")}"""
        self.rows = f"""
            SELECT content_id, times, duration, stamp FROM video{v}
            WHERE content_id IN (SELECT value FROM json_each(?))"""
        self.page = f"SELECT content_id, times, duration FROM video{v} WHERE content_id > ? ORDER BY 1 LIMIT ?"
        self.tops = f"SELECT partition_id, list FROM video_top{v}"
        self.heads = f"SELECT partition_id, checkpoint, identity FROM plays_head{v} WHERE projection = ? AND topic = ?"
        self.part = f"SELECT content FROM plays_part{v} WHERE projection = ? AND partition_id = ? AND part = ?"


sql = lru_cache(maxsize=8)(Sql)
