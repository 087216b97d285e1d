"""Simulated viewers, over HTTP only: they need a gateway's address and the secret for its tokens, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from gateway.auth import issue
from models.clock import SystemClock

FIRST_USER: Final = 9001
REQUESTS_PER_SECOND: Final = 5.0
"""Of all viewers together, at speed 1: the charts move and a laptop stays cool."""
FASTER: Final = 20.0
"""A viewer watches this many seconds in one of ours; what it reports is cumulative and never exceeds the video."""
PING_EVERY: Final = 2.0
LONGEST_BACKOFF: Final = 15.0
TOKEN_TTL: Final = 3600


@dataclass
class Totals:
    """What the viewers did so far; ``plays`` counts sessions that were begun, ``errors`` requests not answered 2xx."""

    requests: int = 0
    likes: int = 0
    plays: int = 0
    errors: int = 0
    last_error: str = ""

    def __str__(self) -> str:
        line = f"{self.requests} requests, {self.plays} plays, {self.likes} likes, {self.errors} errors"
        return f"{line} (the last: {self.last_error})" if self.errors else line


async def drive(
    base_url: str,
    secret: str,
    *,
    viewers: int = 5,
    stop: asyncio.Event,
    seed: int | None = None,
    speed: float = 1.0,
    totals: Totals | None = None,
) -> Totals:
    """
    Let viewers open, watch and like videos until ``stop`` is set; returns what they did.

    A gateway that is away or refuses is asked again later and less often; that is counted, never raised.

    Args:
        base_url: Of the gateway, ``http://host:port``.
        secret: What the gateway verifies HS256 tokens with.
        seed: Makes the choices repeatable; the order of answers still is what it is.
        speed: Divides every pause and multiplies the rate of requests.
        totals: Counted into while the viewers live, for a caller that shows them.
    """
    totals = totals if totals is not None else Totals()
    pace = _Pace(REQUESTS_PER_SECOND * speed)
    chance = random.Random(seed)  # noqa: S311 -- a simulation, not a secret
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http, asyncio.TaskGroup() as group:
        lives = []
        for number in range(viewers):
            gateway = _Gateway(http, base_url.rstrip("/"), secret, FIRST_USER + number, pace, totals)
            viewer = _Viewer(gateway, random.Random(chance.random()), speed)  # noqa: S311 -- as above
            lives.append(group.create_task(viewer.live()))
        await stop.wait()
        for life in lives:
            life.cancel()
    return totals


class _Pace:
    """Hands out turns at a steady rate, whoever asks."""

    def __init__(self, per_second: float) -> None:
        self._gap, self._next = 1 / per_second, 0.0

    async def turn(self) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._gap
        await asyncio.sleep(at - now)


class _Gateway:
    """The gateway as one user sees it."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, secret: str, user_id: int, pace: _Pace, totals: Totals
    ) -> None:
        self._http, self._url, self._secret, self._user_id = http, url, secret, user_id
        self._pace, self.totals = pace, totals
        self._failures = 0

    async def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """``data`` of the answer, or None when there is no good one; then a pause has passed."""
        await self._pace.turn()
        self.totals.requests += 1
        try:
            async with self._http.request(method, self._url + path, json=body, headers=self._headers()) as answer:
                envelope = await answer.json(content_type=None)
                if answer.ok:
                    self._failures = 0
                    return envelope["data"]
                problem, wait = f"{answer.status} {envelope.get('msg', '')}", answer.headers.get("Retry-After")
        except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError, KeyError) as error:
            problem, wait = str(error) or type(error).__name__, None
        await self._back_off(problem, wait)
        return None

    def _headers(self) -> dict[str, str]:
        token = issue(self._secret, self._user_id, TOKEN_TTL, SystemClock().now_ms())
        return {"Authorization": f"Bearer {token}"}

    async def _back_off(self, problem: str, retry_after: str | None) -> None:
        self.totals.errors += 1
        self.totals.last_error = problem
        self._failures += 1
        pause = min(0.5 * 2 ** min(self._failures, 8), LONGEST_BACKOFF)
        with contextlib.suppress(TypeError, ValueError):
            pause = max(pause, min(float(retry_after or 0), LONGEST_BACKOFF))
        await asyncio.sleep(pause)


class _Viewer:
    """One viewer: opens the list, picks something, watches it for a while, likes it or not, and again."""

    def __init__(self, gateway: _Gateway, chance: random.Random, speed: float) -> None:
        self._gateway, self._chance, self._speed = gateway, chance, speed
        self._liked: list[int] = []

    async def live(self) -> None:
        while True:
            await self._rest(0.5, 3.0)
            video = await self._choose()
            if video is None:
                continue
            seen = await self._gateway.call("GET", f"/video/detail/{video}")
            if seen is not None:
                await self._watch(video, _duration(seen))
                await self._react(video)

    async def _rest(self, low: float, high: float) -> None:
        await asyncio.sleep(self._chance.uniform(low, high) / self._speed)

    async def _choose(self) -> int | None:
        hot = _ids(await self._gateway.call("GET", "/video/hot"))
        ranked = _ids(await self._gateway.call("GET", "/video/rank"))
        weights = popularity(hot, ranked)
        return self._chance.choices(list(weights), list(weights.values()))[0] if weights else None

    async def _watch(self, video: int, duration: int) -> None:
        """One session: start, pings, and stop or end; seconds by the clock, times FASTER."""
        clock = asyncio.get_running_loop().time
        session, began = str(uuid.UUID(int=self._chance.getrandbits(128), version=4)), clock()
        wanted = duration if self._chance.random() < 0.3 else self._chance.uniform(0.02, 0.7) * duration
        # Films are long: most viewers leave within ten minutes, so that every chart has something to say.
        wanted = min(wanted, self._chance.uniform(40, 600))
        seq, watched = 0, 0.0
        if await self._beat(video, "start", session, seq, 0) is None:
            return
        self._gateway.totals.plays += 1
        while watched < wanted:
            await asyncio.sleep(min(PING_EVERY, (wanted - watched) / FASTER + 0.05) / self._speed)
            watched = min((clock() - began) * FASTER * self._speed, wanted)
            seq += 1
            kind = "ping" if watched < wanted else "end" if wanted >= duration else "stop"
            await self._beat(video, kind, session, seq, watched)

    async def _beat(self, video: int, kind: str, session: str, seq: int, watched: float) -> Any:
        body = {"type": kind, "session": session, "seq": seq, "play_time": int(watched), "cur_time": round(watched, 1)}
        return await self._gateway.call("POST", f"/video/play/{video}", body)

    async def _react(self, video: int) -> None:
        """Like what was watched, one time in three; now and then take an old like back."""
        if self._chance.random() < 0.33 and video not in self._liked:
            if await self._gateway.call("POST", f"/video/like/{video}", {"like": 1}) is not None:
                self._gateway.totals.likes += 1
                self._liked.append(video)
        elif self._liked and self._chance.random() < 0.08:
            taken_back = self._liked.pop(self._chance.randrange(len(self._liked)))
            await self._gateway.call("POST", f"/video/like/{taken_back}", {"like": 0})


def popularity(hot: Sequence[int], ranked: Sequence[int]) -> dict[int, float]:
    """
    How likely each video is picked: Zipf by place in the ranking, plus Zipf by id for what the hot list shows.

    The second part is the same at every start, so that the first viewers of an empty log do not all agree.
    """
    weights = {video: 1 / place for place, video in enumerate(ranked, 1)}
    for video in hot:
        weights[video] = weights.get(video, 0.0) + 3 / video**0.8
    return weights


def _ids(data: Any) -> list[int]:
    """Ids of a list of videos, bare or wrapped as ``data``; empty when there is none."""
    rows: Iterable[Any] = data.get("data", ()) if isinstance(data, dict) else data or ()
    return [int(row["id"]) for row in rows]


def _duration(detail: Any) -> int:
    """Seconds of a video by its detail answer; ten minutes when the catalogue does not say."""
    video = detail.get("video", detail) if isinstance(detail, dict) else {}
    return int(video.get("duration") or 600)
