"""What the HTTP sections share: the peers, served; and the table of what wrk saw."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks.filling import hbase_of
from benchmarks.peers import python_of
from benchmarks.stage import SECRET, Env, Stage
from benchmarks.wrk import Run, Target
from tests.real.processes import free_port
from tests.running import ROOT, eventually

COLUMNS: Final = ("answers/s", "p50 ms", "p99 ms", "CPU µs", "not 2xx")
FLASK_WORKERS, FLASK_THREADS = 2, 8


@contextlib.asynccontextmanager
async def floor(env: Env) -> AsyncIterator[Target]:
    """Bare aiohttp, on the same Kafka."""
    port = free_port()
    line = [sys.executable, "-m", "benchmarks.floor", env["PLAYTRAIL_EVENTS"].removeprefix("kafka://"), str(port)]
    async with served(Target("bare aiohttp", f"http://127.0.0.1:{port}", 0), line, ROOT, {}) as target:
        yield target


@contextlib.asynccontextmanager
async def flask(stage: Stage, env: Env) -> AsyncIterator[Target]:
    """The Flask peer under gunicorn, on the same tables."""
    port = free_port()
    python = await asyncio.to_thread(python_of, "flask_peer")
    line = [
        *(str(python), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(FLASK_WORKERS)),
        *("--threads", str(FLASK_THREADS), "--timeout", "120", "--keep-alive", "75", "--log-level", "error", "app:app"),
    ]
    hbase, table = hbase_of(env)
    settings = {
        "PEER_DB": env["PLAYTRAIL_DB"],
        "PEER_HBASE": hbase,
        "PEER_TABLE": table,
        "PEER_SECRET": SECRET,
        "PEER_LOG": str(stage.folder() / "warnings.log"),
    }
    target = Target("Flask", f"http://127.0.0.1:{port}", 0)
    async with served(target, line, ROOT / "benchmarks" / "flask_peer", settings) as peer:
        yield peer


@contextlib.asynccontextmanager
async def served(target: Target, line: Sequence[str], folder: Path, settings: Env) -> AsyncIterator[Target]:
    """Run a server until the end; it is there when it answers anything at all."""
    process = await asyncio.create_subprocess_exec(
        *line, cwd=folder, env={**os.environ, **settings}, stdout=asyncio.subprocess.DEVNULL
    )

    async def answers() -> bool:
        assert process.returncode is None, f"{' '.join(line)} ended"
        try:
            async with http.get(target.url):
                return True
        except aiohttp.ClientConnectionError:
            return False

    try:
        async with aiohttp.ClientSession() as http:
            await eventually(answers, target.url)
        yield target._replace(pid=process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def rows(first: str, runs: Mapping[str, Run], base: str) -> list[tuple[str | float | int, ...]]:
    """Rows of a table: what, who, the rate as a ratio to ``base``'s, and the numbers of ``COLUMNS``."""
    return [(first, name, run.rate / runs[base].rate, *numbers(run)) for name, run in runs.items()]


def numbers(run: Run) -> tuple[int, float, float, float, int]:
    """The columns of ``COLUMNS``."""
    return round(run.rate), run.p50, run.p99, run.cpu, run.failed
