"""The gateway as ``serve`` runs it: with its own limits of time and its own log, which a test client has not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.app import Parts, make_app, serve


@asynccontextmanager
async def served(parts: Parts) -> AsyncIterator[str]:
    """The address, ``http://127.0.0.1:port``, while the gateway runs."""
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(make_app(parts), "127.0.0.1", 0, ready=address.set_result, stop=stop))
    done, _ = await asyncio.wait({serving, address}, return_when=asyncio.FIRST_COMPLETED)
    if serving in done:
        await serving
    try:
        yield address.result()
    finally:
        stop.set()
        await serving
