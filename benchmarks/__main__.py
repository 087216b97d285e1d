"""
``python -m benchmarks``: durable likes on real Kafka, the gateway beside the bare floor.

Starts Kafka, MariaDB and HBase of its own; drives one process at a time with wrk, 64 connections, 1,000 users. The two
take turns, and the median of the rounds counts, since a shared machine is never the same twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import aiohttp

from gateway.auth import issue
from tests.real.hbase import HBase
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB
from tests.running import ROOT, Process, command, ready

SECRET = "a benchmark's secret of 32 bytes or more"
USERS, CONNECTIONS = 1000, 64


class Run(NamedTuple):
    """What wrk saw: requests a second, latency in milliseconds; and processor time a request in microseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    failed: int


def script(folder: Path) -> Path:
    """A wrk script: each request of another user, with a token for the gateway and a header for the floor."""
    now = time.time_ns() // 1_000_000
    users = ",\n".join(f'{{"{n}", "{issue(SECRET, n, 3600, now)}"}}' for n in range(1, USERS + 1))
    path = folder / "likes.lua"
    path.write_text(
        f"""local users = {{{users}}}
local n = 0
request = function()
  n = n + 1
  local user = users[n % {USERS} + 1]
  local headers = {{["Authorization"] = "Bearer " .. user[2], ["X-User"] = user[1],
    ["Content-Type"] = "application/x-www-form-urlencoded"}}
  return wrk.format("POST", "/video/like/" .. (n % 50 + 1), headers, "like=" .. (n % 2))
end
"""
    )
    return path


def drive(url: str, lua: Path, seconds: int, pid: int) -> Run:
    """One wrk run against a process."""
    before = _cpu(pid)
    line = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", str(lua), url]
    out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    requests = int(re.search(r"(\d+) requests in", out)[1])  # type: ignore[index]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    cpu = (_cpu(pid) - before) / requests * 1e6
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]
    return Run(rate, _latency(out, "50%"), _latency(out, "99%"), cpu, int(failed[1]) if failed else 0)


def _latency(out: str, share: str) -> float:
    value, unit = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _cpu(pid: int) -> float:
    """Processor seconds of a process so far, user and system (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def gateway(env: Mapping[str, str]) -> AsyncIterator[tuple[str, int]]:
    async with Process("gateway", "--port", "0", env=env) as process, aiohttp.ClientSession() as http:
        url = await process.url()
        await ready(http, url)
        yield url, process.pid


@contextlib.asynccontextmanager
async def floor(bootstrap: str) -> AsyncIterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "benchmarks.floor", bootstrap, str(port)]
    process = await asyncio.create_subprocess_exec(*line, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        await process.wait()


async def compare(env: Mapping[str, str], lua: Path, rounds: int, seconds: int) -> dict[str, list[Run]]:
    """Gateway and floor in turns, after a short warm-up of each."""
    bootstrap = env["PLAYTRAIL_EVENTS"].removeprefix("kafka://")
    runs: dict[str, list[Run]] = {"gateway": [], "floor": []}
    async with gateway(env) as ours, floor(bootstrap) as bare:
        for url, pid in (ours, bare):
            await asyncio.to_thread(drive, url, lua, 2, pid)
        for _ in range(rounds):
            for name, (url, pid) in (("gateway", ours), ("floor", bare)):
                runs[name].append(await asyncio.to_thread(drive, url, lua, seconds, pid))
    return runs


def table(runs: Mapping[str, list[Run]]) -> str:
    """Markdown: ratio first, then the medians."""
    lines = [
        "| POST like | of the floor | likes/s | p50 ms | p99 ms | CPU µs | refused |",
        "|---|---|---|---|---|---|---|",
    ]
    base = median(run.rate for run in runs["floor"])
    for name, of_one in runs.items():
        rate, p50, p99, cpu = (median(values) for values in list(zip(*of_one, strict=True))[:4])
        failed = sum(run.failed for run in of_one)
        lines.append(f"| {name} | {rate / base:.2f} | {rate:,.0f} | {p50:.1f} | {p99:.1f} | {cpu:.0f} | {failed} |")
    return "\n".join(lines)


async def main(rounds: int, seconds: int) -> None:
    """Start the servers, run, print the table, stop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = Kafka(folder / "kafka"), MariaDB(folder / "mariadb"), HBase(folder / "hbase")
        try:
            for server in servers:
                await asyncio.to_thread(server.start)
            servers[1].execute("CREATE DATABASE bench CHARACTER SET utf8mb4")
            env = {
                "PLAYTRAIL_EVENTS": servers[0].url, "PLAYTRAIL_DB": servers[1].url + "/bench",
                "PLAYTRAIL_PLAYS": servers[2].url, "PLAYTRAIL_REPLICATION": "1", "PLAYTRAIL_SECRET": SECRET,
                "PLAYTRAIL_DATA": str(folder / "data"), "PLAYTRAIL_RATE_USER": "0", "PLAYTRAIL_RATE_ADDRESS": "0",
            }  # fmt: skip
            await command("topics", "apply", env=env)
            await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
            print(table(await compare(env, script(folder), rounds, seconds)))
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.rounds, chosen.seconds))
