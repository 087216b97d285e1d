"""One process that folds a backlog, ours or a peer's, and what it took."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import aiohttp

from benchmarks.report import Cell
from benchmarks.stage import Env, Stage
from benchmarks.usage import cpu_seconds
from tests.real.processes import free_port
from tests.running import ROOT, Process, eventually

PEER_SECONDS: Final = 300
"""A peer that takes longer is killed and reported."""

FOLD_SECONDS: Final = 600.0


class Run(NamedTuple):
    """
    From the first event read to the last one applied and durable.

    Attributes:
        events: How many were folded.
        seconds: Wall time.
        cpu: Processor seconds of the process, user and system.
        peak: Largest resident memory of its life, MB.
        servers: Processor seconds that Kafka, HBase and MariaDB took from the start of the process to its end.
    """

    events: int
    seconds: float
    cpu: float
    peak: float
    servers: float = 0.0

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_us(self) -> float:
        """Processor time of an event, µs."""
        return self.cpu / self.events * 1e6

    @property
    def servers_us(self) -> float:
        """Processor time of the servers for an event, µs."""
        return self.servers / self.events * 1e6


class Outcome(NamedTuple):
    """A line of a table: the median of some runs, or why there is none."""

    name: str
    state: str
    run: Run | None
    result: str


class PeerFailed(Exception):  # noqa: N818 -- the reason is its text
    """A peer that ended badly, in one line."""


def middle(runs: Sequence[Run]) -> Run:
    """The median of each figure."""
    return Run(runs[0].events, *(median(values) for values in list(zip(*runs, strict=True))[1:]))


def rows(outcomes: Sequence[Outcome], base: Run) -> list[Sequence[Cell]]:
    """Lines of a table with COLUMNS; ``base`` is what the ratios are of."""
    found: list[Sequence[Cell]] = []
    for name, state, run, result in outcomes:
        if run is None:
            found.append([name, *["–"] * 6, state, result])
        else:
            ratios = run.rate / base.rate, run.cpu_us / base.cpu_us
            figures = round(run.rate), run.cpu_us, run.servers_us, round(run.peak)
            found.append([name, *ratios, *figures, state, result])
    return found


COLUMNS: Final = (
    "rate, of ours", "CPU an event, of ours", "events/s", "CPU µs an event", "the servers' CPU µs", "peak MB", "state",
    "result",
)  # fmt: skip


async def ours(env: Env, projection: str, count: int) -> Run:
    """Run ``playtrail consume`` from the beginning of the log until its sink has all of ``count`` events."""
    address = f"127.0.0.1:{free_port()}"
    async with (
        Process("consume", projection, "--metrics", address, env=env) as process,
        aiohttp.ClientSession() as http,
    ):
        health = Health(http, address, projection)
        await eventually(health.begins, f"{projection} to begin")
        begun, before = time.monotonic(), cpu_seconds(process.pid)
        await health.reached(count, process)
        seconds, cpu = time.monotonic() - begun, cpu_seconds(process.pid) - before
        return Run(count, seconds, cpu, peak_mb(process.pid))


class Health:
    """What a consumer says at /health; positions there are of what is durable."""

    def __init__(self, http: aiohttp.ClientSession, address: str, projection: str) -> None:
        self._http, self._url, self._projection = http, f"http://{address}/health", projection

    async def partitions(self) -> Mapping[str, Mapping[str, Any]]:
        """State and position by partition; empty until it answers."""
        try:
            async with self._http.get(self._url) as answer:
                found: Mapping[str, Any] = (await answer.json())["projections"][self._projection]["partitions"]
                return found
        except aiohttp.ClientConnectionError:
            return {}

    async def begins(self) -> bool:
        """Whether a partition is about to read the log, or does; a little early rather than late."""
        return any(one["state"] in ("ready", "running") for one in (await self.partitions()).values())

    async def past(self, positions: Mapping[str, int]) -> bool:
        """Whether a partition has moved on from where it was restored."""
        return any((one["position"] or 0) > positions[number] for number, one in (await self.partitions()).items())

    async def position(self) -> int:
        """The sum over the partitions: the number of events applied, since real Kafka's offsets have no gaps here."""
        return sum(one["position"] or 0 for one in (await self.partitions()).values())

    async def reached(self, count: int, process: Process) -> None:
        """Wait until ``count`` events are applied; raises what the consumer said when they are not."""
        deadline = time.monotonic() + FOLD_SECONDS
        while await self.position() < count:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{count} events not folded within {FOLD_SECONDS:.0f} s:\n{process.output()[-2000:]}"
                )
            await asyncio.sleep(0.1)  # each question costs the consumer about a millisecond


async def peer(command: Sequence[str], folder: Path, count: int) -> Run:
    """
    Run a peer's program, which writes FOLDER/result.json: ``seconds``, ``cpu`` in seconds, ``peak`` in bytes.

    Raises PeerFailed.
    """
    log = folder / "peer.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, cwd=ROOT)
        try:
            code = await asyncio.wait_for(process.wait(), PEER_SECONDS)
        except TimeoutError:
            raise PeerFailed(f"not done within {PEER_SECONDS} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if code:
        raise PeerFailed((log.read_text(errors="replace").strip().splitlines() or [f"exit code {code}"])[-1])
    result = json.loads((folder / "result.json").read_text())
    return Run(count, result["seconds"], result["cpu"], result["peak"] / 1e6)


async def with_servers(stage: Stage, run: Awaitable[Run]) -> Run:
    """The run, with what the servers took meanwhile."""
    servers = await stage.kafka(), await stage.hbase(), await stage.mariadb()
    pids = [process.pid for server in servers for process in server.processes]
    before = sum(cpu_seconds(pid) for pid in pids if pid)
    result = await run
    return result._replace(servers=sum(cpu_seconds(pid) for pid in pids if pid) - before)


def peak_mb(pid: int) -> float:
    """The largest resident memory that a process has had, in MB (10^6 bytes)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def compared(want: Mapping[int, Any], found: Mapping[int, Any]) -> str:
    """For the column ``result``: exact, or how many entries differ."""
    wrong = sum(want.get(key) != found.get(key) for key in want.keys() | found.keys())
    return f"wrong: {wrong:,} of {len(want):,} videos" if wrong else "exact"
