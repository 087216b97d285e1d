"""Runs ``playtrail`` commands as the processes that an operator runs, and waits for what they do."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parent.parent


async def eventually(check: Callable[[], Awaitable[Any]], what: str, within: float = 60.0) -> Any:
    """The first truthy answer of ``check``, asked again and again; else an assertion that names ``what``."""
    deadline = time.monotonic() + within
    while True:
        answer = await check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {within:.0f} s; last answer {answer!r}"
        await asyncio.sleep(0.05)


class Process:
    """One ``playtrail`` command. stdout and stderr go to one file, which a failing test shows."""

    def __init__(self, *arguments: str, env: Mapping[str, str]) -> None:
        self.arguments = arguments
        self._env = {**{k: v for k, v in os.environ.items() if not k.startswith("PLAYTRAIL_")}, **env}
        self._output = tempfile.NamedTemporaryFile(mode="wb", suffix=".log")  # noqa: SIM115 -- closed by __aexit__
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Process:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        self._output.close()

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "playtrail", *self.arguments,
            env=self._env, cwd=ROOT, stdout=self._output, stderr=self._output,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def wait(self, within: float) -> int:
        """The exit code of a command that ends by itself."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), within)

    def output(self) -> str:
        return Path(self._output.name).read_text(errors="replace")

    async def kill9(self) -> None:
        """SIGKILL, as a crash; waits until it is gone."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, as an operator; SIGKILL when that does not end it within 20 s, which fails the test."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), 20)
            except TimeoutError:
                await self.kill9()
                raise AssertionError(f"{self.arguments} did not stop within 20 s:\n{self.output()}") from None
        assert self._process.returncode is not None
        return self._process.returncode

    async def url(self) -> str:
        """The address that a gateway announces on its output, once it answers."""

        async def announced() -> str | None:
            assert self._process is not None
            assert self._process.returncode is None, f"{self.arguments} ended:\n{self.output()}"
            found = re.search(r"Playtrail is at (http://\S+)", self.output())
            return found[1] if found else None

        return str(await eventually(announced, f"the address of {self.arguments}"))


async def command(*arguments: str, env: Mapping[str, str]) -> str:
    """The output of a command that ends by itself; an assertion with that output when it fails."""
    async with Process(*arguments, env=env) as process:
        code = await process.wait(60)
        assert code == 0, f"{arguments} ended with {code}:\n{process.output()}"
        return process.output()


async def ready(http: aiohttp.ClientSession, url: str) -> None:
    """Wait until /health/ready is 200."""

    async def check() -> bool:
        try:
            async with http.get(url + "/health/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    await eventually(check, f"{url}/health/ready")


async def folding(http: aiohttp.ClientSession, url: str) -> None:
    """Wait until a consumer's /health says that every projection runs all its partitions."""

    async def check() -> bool:
        try:
            async with http.get(url + "/health") as answer:
                report = (await answer.json())["projections"]
        except aiohttp.ClientConnectionError:
            return False
        states = [[p["state"] for p in r["partitions"].values()] for r in report.values()]
        return all(of_one and set(of_one) == {"running"} for of_one in states)

    await eventually(check, f"{url}/health")
