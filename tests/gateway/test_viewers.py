"""The simulated viewers, against a running product and against nothing at all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp

from gateway.demo.viewers import Totals, drive, popularity
from tests.running import Process, command, eventually, ready

SECRET = "a secret for tests that is long enough"


async def test_they_fill_the_charts_unevenly(tmp_path: Path) -> None:
    env = {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_SECRET": SECRET, "PLAYTRAIL_PORT": "0"}
    films = tmp_path / "films.json"
    films.write_text(json.dumps([{"title": f"Film {n}", "duration": 120} for n in range(12)]))
    await command("topics", "apply", env=env)
    await command("catalogue", "load", str(films), env=env)
    stop, totals = asyncio.Event(), Totals()
    async with Process("up", env=env) as process, aiohttp.ClientSession() as http:
        url = await process.url()
        await ready(http, url)
        driving = asyncio.create_task(drive(url, SECRET, viewers=6, stop=stop, seed=1, speed=20, totals=totals))

        async def uneven() -> bool:
            assert not driving.done(), driving
            async with http.get(url + "/video/statistics") as answer:
                data = (await answer.json())["data"]
            plays, seconds = ([bar["value"] for bar in data[f"{kind}_y_data"]] for kind in ("counts", "time"))
            return len(plays) >= 5 and plays[0] >= 2 * plays[-1] and max(seconds, default=0) > 60 and totals.likes > 2

        await eventually(uneven, "charts with different bars")
        stop.set()
        assert await driving is totals
    assert totals.errors == 0, str(totals)
    assert totals.plays >= 5
    assert str(totals) == f"{totals.requests} requests, {totals.plays} plays, {totals.likes} likes, 0 errors"


async def test_a_gateway_that_is_away_is_counted_not_raised(unused_tcp_port: int) -> None:
    stop, totals = asyncio.Event(), Totals()
    url = f"http://127.0.0.1:{unused_tcp_port}"
    driving = asyncio.create_task(drive(url, SECRET, viewers=2, stop=stop, speed=50, totals=totals))

    async def failed() -> bool:
        return totals.errors >= 2

    await eventually(failed, "two errors")
    stop.set()
    await driving
    assert totals.plays == 0
    assert str(unused_tcp_port) in str(totals)


def test_popularity_prefers_the_ranking_and_knows_every_video_shown() -> None:
    weights = popularity([40, 2], [7, 9, 2])
    assert set(weights) == {40, 2, 7, 9}
    assert weights[7] > weights[9]
    assert weights[2] > weights[40]
