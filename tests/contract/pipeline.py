"""The pipeline from outside, over HTTP: the same test on the embedded default and on the real servers."""

from __future__ import annotations

import json
import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import aiohttp

from tests.running import Process, command, eventually, folding, ready

SECRET = "an end-to-end secret of 32 bytes, or more"


class PipelineContract(ABC):
    """Likes and plays go in by HTTP and come out of the read models, and of the log by a client that is not ours."""

    @abstractmethod
    async def foreign_records(self, env: Mapping[str, str], topic: str) -> list[dict[str, Any]]:
        """The values of a topic, read by a program of somebody else's; in order within a partition."""

    async def test_like_watch_and_see_both(self, env: dict[str, str], unused_tcp_port: int) -> None:
        await command("topics", "apply", env=env)
        await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
        token = (await command("token", "7", env=env)).strip()
        async with (
            Process("gateway", "--port", "0", env=env) as gateway,
            Process("consume", "--metrics", f"127.0.0.1:{unused_tcp_port}", env=env),
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        ):
            url = await gateway.url()
            await ready(http, url)
            await folding(http, f"http://127.0.0.1:{unused_tcp_port}")
            await self._hot(http, url)
            await self._like_and_cancel(http, url)
            await self._watch(http, url)
            await self._click(http, url)
            await self._lag(env)
        await self._log(env)

    async def _hot(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.get(url + "/video/hot") as answer:
            body = await answer.json()
        assert (answer.status, body["msg"]) == (200, "获取热点视频成功")
        assert len(body["data"]) == 8
        assert all(video["title"] for video in body["data"])

    async def _like_and_cancel(self, http: aiohttp.ClientSession, url: str) -> None:
        for like, msg in ((1, "点赞成功"), (0, "取消点赞成功"), (1, "点赞成功")):
            async with http.post(url + "/video/like/3", data={"like": like}) as answer:
                body = await answer.json()
            assert (answer.status, body["msg"], body["data"]["like"]) == (200, msg, like)
            assert body["data"]["durable"] == "log"
            position = body["data"]["position"]
            assert answer.headers["X-Position"] == position
            async with http.get(url + "/video/like/3", headers={"X-Position": position}) as answer:
                seen = await answer.json()
            assert "X-Stale" not in answer.headers
            assert seen["data"] == {"like": like}

    async def _watch(self, http: aiohttp.ClientSession, url: str) -> None:
        """Three sessions, with heartbeats repeated and reordered: 30 + 45 s on video 1, 60 s on video 2."""
        for video, watched, seed in ((1, 30, 1), (1, 45, 2), (2, 60, 3)):
            beats = [("start", 0), *(("ping", t) for t in range(15, watched, 15)), ("stop", watched)]
            beats += beats[1:]
            random.Random(seed).shuffle(beats)
            session = str(uuid.uuid4())
            for seq, (kind, seconds) in enumerate(beats):
                body = {"type": kind, "session": session, "seq": seq, "play_time": seconds, "cur_time": seconds}
                async with http.post(f"{url}/video/play/{video}", data=json.dumps(body)) as answer:
                    told = await answer.json()
                assert (answer.status, told["data"]["session"]) == (200, session)

        async def counted() -> bool:
            async with http.get(url + "/video/statistics") as answer:
                data = (await answer.json())["data"] if answer.status == 200 else {}
            times = dict(zip(data.get("time_x_data", []), data.get("time_y_data", []), strict=True))
            plays = dict(zip(data.get("counts_x_data", []), data.get("counts_y_data", []), strict=True))
            values = {k: v["value"] for k, v in times.items()}, {k: v["value"] for k, v in plays.items()}
            named = all(v["name"] for v in (*times.values(), *plays.values()))
            return named and values == ({"1": 75, "2": 60}, {"1": 2, "2": 1})

        await eventually(counted, "the statistics")

    async def _click(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.get(url + "/video/detail/5") as answer:
            assert answer.status == 200

        async def first() -> bool:
            async with http.get(url + "/video/rank") as answer:
                rank = (await answer.json())["data"]
            return bool(rank) and rank[0]["id"] == 5

        await eventually(first, "video 5, clicked once, as the first of the rank")

    async def _lag(self, env: Mapping[str, str]) -> None:
        async def none() -> bool:
            report = json.loads(await command("lag", "--json", env=env))
            lags = {lag["projection"]: (lag["lag"], lag["unowned"]) for lag in report["projections"]}
            return lags == dict.fromkeys(("views", "reactions", "plays"), (0, []))

        await eventually(none, "no lag, and an owner for each partition")

    async def _log(self, env: Mapping[str, str]) -> None:
        reactions = await self.foreign_records(env, "behavior.reactions")
        assert [r["event"] for r in reactions] == ["like", "no_like", "like"]
        assert [r["msg"] for r in reactions] == ["video like", "video cancel like", "video like"]
        assert {r["user_id"] for r in reactions} == {7}
        assert {(r["url"], r["method"], r["video_id"]) for r in reactions} == {("/video/like/3", "post", 3)}
        plays = await self.foreign_records(env, "behavior.plays")
        assert sum(r["event"] == "start" for r in plays) == 3
        views = await self.foreign_records(env, "behavior.views")
        assert sorted(r["event"] for r in views) == ["detail", "hot"]
