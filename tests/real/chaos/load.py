"""Several viewers at once, who write down every action that was answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import aiohttp

from gateway.auth import issue

CLIENTS: Final = 4
PAUSE: Final = 0.03
"""Seconds between two actions of a client: a hundred actions a second in all."""

RETRY: Final = 0.1
VIDEOS: Final = tuple(range(1, 52))
"""The demo's catalogue."""

Answer: TypeAlias = Literal["log", "spool", "refused", "none"]
_users = itertools.count(1)


@dataclass
class Acknowledged:
    """
    The actions that were answered as durable. No action is sent twice, so each is found in the log by its fields.

    Attributes:
        likes: Status by (user, video).
        beats: (session, seq).
        answers: How many actions had which answer; ``none`` is a broken connection or no answer in time.
        slowest: Seconds of the slowest of them.
    """

    likes: dict[tuple[int, int], int] = field(default_factory=dict)
    beats: set[tuple[str, int]] = field(default_factory=set)
    answers: dict[Answer, int] = field(default_factory=lambda: {"log": 0, "spool": 0, "refused": 0, "none": 0})
    slowest: float = 0.0

    def __len__(self) -> int:
        return len(self.likes) + len(self.beats)


class Load:
    """Likes, plays and a few page views, until left; an async context manager."""

    def __init__(self, url: str, secret: str, clients: int = CLIENTS) -> None:
        self._url, self._secret, self._clients = url, secret, clients
        self.done = Acknowledged()
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._client(next(_users))) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Let each client end its action."""
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _client(self, number: int) -> None:
        rng = random.Random(number)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            for action in itertools.count():
                if self._stop.is_set():
                    return
                user = number * 100_000 + action // len(VIDEOS)
                http.headers["Authorization"] = f"Bearer {_token(self._secret, user)}"
                video = VIDEOS[action % len(VIDEOS)]
                await self._like(http, user, video, int(rng.random() < 0.7))
                await self._play(http, rng)
                if action % 5 == 0:
                    await self._ask(http, "GET", f"/video/detail/{video}", None)
                await asyncio.sleep(PAUSE)

    async def _like(self, http: aiohttp.ClientSession, user: int, video: int, like: int) -> None:
        if await self._act(http, f"/video/like/{video}", {"like": like}):
            self.done.likes[user, video] = like

    async def _play(self, http: aiohttp.ClientSession, rng: random.Random) -> None:
        session, video = str(uuid.UUID(int=rng.getrandbits(128))), rng.choice(VIDEOS)
        for seq, kind in enumerate(("start", "stop")):
            body = {"type": kind, "session": session, "seq": seq, "play_time": seq * rng.randint(1, 300)}
            if await self._act(http, f"/video/play/{video}", body):
                self.done.beats.add((session, seq))

    async def _act(self, http: aiohttp.ClientSession, path: str, body: dict[str, object]) -> bool:
        begin = time.monotonic()
        answer = await self._ask(http, "POST", path, json.dumps(body))
        self.done.answers[answer] += 1
        if answer in ("none", "refused"):
            await asyncio.sleep(RETRY)
            return False
        self.done.slowest = max(self.done.slowest, time.monotonic() - begin)
        return True

    async def _ask(self, http: aiohttp.ClientSession, method: str, path: str, data: str | None) -> Answer:
        try:
            async with http.request(method, self._url + path, data=data) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return "none"
        answers: dict[int, Answer] = {200: "log", 202: "spool"}
        return answers.get(answer.status, "refused")


def _token(secret: str, user: int) -> str:
    return issue(secret, user, 3600, time.time_ns() // 1_000_000)
