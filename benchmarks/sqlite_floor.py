"""
The floor of a durable POST without servers: aiohttp, uvloop and sqlite3, an insert and its commit in each request.

No token, no check, no event schema, no answer but "ok". ``synchronous=FULL`` in write-ahead mode, as Playtrail has it:
every commit is an fsync.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from urllib.parse import parse_qs

import uvloop
from aiohttp import web

PADDING = "x" * 200
INSERT = "INSERT INTO likes (user_id, video_id, status, at_ms, rest) VALUES (?, ?, ?, ?, ?)"
connection_key = web.AppKey("connection", sqlite3.Connection)


async def like(request: web.Request) -> web.Response:
    body = parse_qs((await request.read()).decode())
    row = (request.headers["X-User"], request.match_info["id"], body["like"][0], time.time_ns() // 1_000_000, PADDING)
    with request.app[connection_key] as connection:
        connection.execute(INSERT, row)
    return web.Response(text="ok")


async def main(path: str, port: int) -> None:
    """Serve until killed."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE likes (user_id, video_id, status, at_ms, rest)")
    app = web.Application()
    app[connection_key] = connection
    app.router.add_post("/video/like/{id}", like)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
