"""Every command block of the README, run as it stands in a copy of the checkout; only the port is another."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.running import ROOT, eventually, ready

BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
COMMANDS = [text for kind, text in BLOCKS if kind == "sh"]


class Shell:
    """bash in the copy, its children in a process group of their own, so that all of them can be ended."""

    def __init__(self, script: str, cwd: Path, port: int) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("PLAYTRAIL_") and k != "VIRTUAL_ENV"}
        env |= {"PLAYTRAIL_PORT": str(port), "PLAYTRAIL_METRICS": "127.0.0.1:0"}
        script = script.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        self._process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=cwd, env=env, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def output(self) -> str:
        """All that a block which ends by itself printed."""
        out, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, out
        return out

    def line(self, pattern: str, within: float) -> tuple[str, float]:
        """The first line that matches, and after how many seconds; the block goes on."""
        start, seen = time.monotonic(), ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            seen += line
            if re.search(pattern, line):
                return line, time.monotonic() - start
            assert time.monotonic() - start < within, seen
        raise AssertionError(f"no {pattern!r} in:\n{seen}")

    def stop(self) -> None:
        """Ctrl-C to the whole group, and the end of whatever ignores it for 20 s."""
        for number in (signal.SIGINT, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(timeout=20)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What git has, without what was built: what a clone of it would be."""
    target = tmp_path_factory.mktemp("readme") / "playtrail"
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    yield target
    shutil.rmtree(target)


async def is_ready(port: int) -> None:
    async with aiohttp.ClientSession() as http:
        await ready(http, f"http://127.0.0.1:{port}")


@pytest.mark.timeout(300)
def test_the_first_screen(checkout: Path, unused_tcp_port: int) -> None:
    run = Shell(COMMANDS[0], checkout, unused_tcp_port)
    try:
        run.line("Playtrail is at", within=90)
        asyncio.run(is_ready(unused_tcp_port))
        printed = Shell(COMMANDS[1], checkout, unused_tcp_port).output()
        post, get, statistics = (line for line in printed.replace("}{", "}\n{").splitlines() if line)
        assert re.fullmatch(r'.*"点赞成功".*"position":"behavior.reactions/\d+@\d+","durable":"log".*', post)
        assert '"like":1' in get
        assert "time_x_data" in statistics
    finally:
        run.stop()


@pytest.mark.real
@pytest.mark.timeout(300)
def test_the_real_servers(checkout: Path, unused_tcp_port: int) -> None:
    stack = Shell(COMMANDS[2], checkout, unused_tcp_port)
    try:
        stack.line(r"\.stack/env", within=240)
        service = Shell(COMMANDS[3] + "\nwait", checkout, unused_tcp_port)
        try:
            service.line("Playtrail is at", within=60)
            asyncio.run(is_ready(unused_tcp_port))
            asyncio.run(hot_has_videos(unused_tcp_port))
        finally:
            service.stop()
    finally:
        stack.stop()


async def hot_has_videos(port: int) -> None:
    async with aiohttp.ClientSession() as http:

        async def eight() -> bool:
            async with http.get(f"http://127.0.0.1:{port}/video/hot") as answer:
                return len((await answer.json())["data"]) == 8

        await eventually(eight, "eight hot videos")


def test_every_block_is_run() -> None:
    assert len(COMMANDS) == 4, "a new block needs a test here"
