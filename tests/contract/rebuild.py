"""Read models built again while they are written and read: no reader ever sees anything go back."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

import playtrail
from models import events, settings
from models.eventlog.port import EventLog
from models.stores.port import PlayStores, SqlStores
from tests.consumers.making import message
from tests.contract.crash import VIDEOS, write
from tests.contract.fold import behind, difference, ends, fold
from tests.running import Process, command, eventually, folding, ready

PROJECTIONS = ("reactions", "views", "plays")
WATCHED = 1000
"""A video of the poller's own, far ahead of all others in plays."""

MOST_BEATS = 600
"""Of one session, each a thousand seconds further: a session may be a week long."""


class Site:
    """A gateway and a consumer at work, with their log and stores."""

    def __init__(self, http: aiohttp.ClientSession, url: str, log: EventLog, sql: SqlStores, plays: PlayStores) -> None:
        self.http, self.url, self.log, self.sql, self.plays = http, url, log, sql, plays

    async def settled(self) -> list[str]:
        """Where the read models differ from the log, once the consumer has folded all of it."""
        wanted = await ends(self.log)

        async def reached() -> bool:
            return await behind(wanted, self.sql, self.plays) == 0

        await eventually(reached, "the end of the log", 120)
        videos = [*range(1, VIDEOS + 1), WATCHED]
        return (await difference(await fold(self.log), self.sql, self.plays, videos)).lines


class Poller:
    """One viewer who writes and reads all along, and notes what cannot be."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.wrong: list[str] = []
        self.reads = self._likes = self._seq = self._most = 0
        self._session = str(uuid.uuid4())

    async def run(self) -> None:
        while True:
            await self._like()
            await self._watch()

    async def _like(self) -> None:
        self._likes += 1
        like = self._likes % 2
        async with self._site.http.post(self._site.url + "/video/like/3", data={"like": like}) as answer:
            position = answer.headers["X-Position"]
        headers = {"X-Position": position}
        async with self._site.http.get(self._site.url + "/video/like/3", headers=headers) as answer:
            seen, stale = (await answer.json())["data"]["like"], answer.headers.get("X-Stale")
        self.reads += 1
        if seen != like and not stale:
            self.wrong.append(f"like {self._likes} at {position}: wrote {like}, read {seen}")

    async def _watch(self) -> None:
        """Plays of one video only grow: in the top ten and in the video's own numbers."""
        self._seq += 1
        if self._seq > MOST_BEATS:
            self._seq, self._session = 1, str(uuid.uuid4())
        beat: Mapping[str, Any] = {
            "type": "ping", "session": self._session, "seq": self._seq, "play_time": self._seq * 1000, "cur_time": 1,
        }  # fmt: skip
        async with self._site.http.post(self._site.url + f"/video/play/{WATCHED}", data=beat) as answer:
            assert answer.status in (200, 202), await answer.text()
        async with self._site.http.get(self._site.url + "/video/statistics") as answer:
            bars = (await answer.json())["data"]
        found = dict(zip(bars["time_x_data"], (bar["value"] for bar in bars["time_y_data"]), strict=True))
        seconds = found.get(str(WATCHED), 0)
        self.reads += 1
        if seconds < self._most:
            self.wrong.append(f"seconds watched went back from {self._most} to {seconds}")
        self._most = max(self._most, seconds)


class RebuildContract:
    """``env`` are the settings of an empty deployment."""

    @pytest.fixture
    async def site(self, env: dict[str, str], unused_tcp_port: int) -> AsyncIterator[Site]:
        """20,000 likes, 20,000 heartbeats and some clicks, folded; gateway and consumer at work."""
        env["PLAYTRAIL_RATE_USER"] = "0"
        await command("topics", "apply", env=env)
        await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
        token = (await command("token", "999999", env=env)).strip()
        config = settings.read(env)
        contract = playtrail.contract_of(config)
        log, sql, plays = playtrail.open_log(config, contract), playtrail.open_sql(config), playtrail.open_plays(config)
        await asyncio.to_thread(_add_video, sql)
        with contextlib.closing(sql), contextlib.closing(plays):
            async with log.writer() as writer:
                await write(writer)
                for video in (1, 1, 2):
                    await writer.append(message(events.Detail, video_id=video))
            async with (
                Process("gateway", "--port", "0", env=env) as gateway,
                Process("consume", "--metrics", f"127.0.0.1:{unused_tcp_port}", env=env),
                aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
            ):
                url = await gateway.url()
                await ready(http, url)
                await folding(http, f"http://127.0.0.1:{unused_tcp_port}")
                yield Site(http, url, log, sql, plays)

    async def test_rebuilds_under_load_and_back(self, site: Site, env: dict[str, str]) -> None:
        poller = Poller(site)
        polling = asyncio.create_task(poller.run())
        try:
            for projection in PROJECTIONS:
                said = await command("rebuild", projection, env=env)
                assert f"{projection}: version 2 is read now" in said
            assert await _killed(env, "reactions")
            said = await command("rebuild", "reactions", env=env)
            assert "reactions: version 3 is read now" in said
            for projection in PROJECTIONS:
                said = await command("rebuild", projection, "--back", env=env)
                assert f"{projection}: version {2 if projection == 'reactions' else 1} is read now" in said
            assert not polling.done(), polling.exception()
        finally:
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling
        assert not poller.wrong
        assert poller.reads > 20
        assert await site.settled() == []


async def _killed(env: dict[str, str], projection: str) -> bool:
    """Whether a rebuild was killed before it ended."""
    async with Process("rebuild", projection, env=env) as process:
        config = settings.read(env)
        sql = playtrail.open_sql(config)
        with contextlib.closing(sql):
            contract = playtrail.contract_of(config)
            topic = contract.of_projection(projection).name

            async def begun() -> bool:
                row = await asyncio.to_thread(sql.version, projection)  # type: ignore[attr-defined]
                if not row.building:
                    return False
                built = sql.at(projection, row.building)  # type: ignore[attr-defined]
                positions = await asyncio.to_thread(built.positions, projection, topic)
                return any(checkpoint.next_offset for checkpoint in positions.values())

            await eventually(begun, "a position of the version that is built")
            await process.kill9()
            return bool((await asyncio.to_thread(sql.version, projection)).building)  # type: ignore[attr-defined]


def _add_video(sql: SqlStores) -> None:
    from models.stores.port import Film

    sql.load([Film(id=WATCHED, title="watched by the poller")])
