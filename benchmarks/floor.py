"""
The floor of a durable POST: aiohttp, uvloop and aiokafka with nothing else.

No token, no check, no event schema, no answer but "ok"; the producer's settings are the gateway's. What the gateway
takes beyond this is what it does beyond this.
"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import parse_qs

import uvloop
from aiohttp import web
from aiokafka import AIOKafkaProducer

TOPIC = "behavior.reactions"
PADDING = b"x" * 200
producer_key = web.AppKey("producer", AIOKafkaProducer)


async def like(request: web.Request) -> web.Response:
    body = parse_qs((await request.read()).decode())
    value = b'{"video": %s, "like": %s, "rest": "%s"}' % (
        request.match_info["id"].encode(),
        body["like"][0].encode(),
        PADDING,
    )
    await request.app[producer_key].send_and_wait(TOPIC, value, key=request.headers["X-User"].encode())
    return web.Response(text="ok")


async def bare(_: web.Request) -> web.Response:
    """The floor of a GET."""
    return web.Response(text="ok")


async def main(bootstrap: str, port: int) -> None:
    """Serve until killed."""
    app = web.Application()
    app[producer_key] = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=262_144,
        compression_type="lz4",
    )
    await app[producer_key].start()
    app.router.add_post("/video/like/{id}", like)
    app.router.add_get("/bare", bare)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    print(f"Playtrail is at http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
