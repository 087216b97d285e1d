"""How fast a topic is read again, beside what Kafka's users have for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.report import Table
from benchmarks.stage import Env, Stage
from models.events import PLAYS
from tests.real.chaos.filling import fill
from tests.real.install import KAFKA_LIB, tool
from tests.real.processes import java
from tests.running import ROOT

TITLE: Final = "Replay of a topic"
ABOUT: Final = """
A million plays of a real Kafka topic, read from its first record to its end by a process started for it; its start
counts. kcat (librdkafka, in C) and Kafka's own console consumer write the values as they are; Playtrail decodes and
checks each one. Pipes end in /dev/null; Parquet is written to files, sorted by date and event, zstd, with checksums.
"""
COUNT: Final = int(os.environ.get("BENCH_EVENTS", "1000000"))
PEER: Final = "kcat"


class Taken(NamedTuple):
    """Seconds from start to end, processor seconds, and the largest resident size in MB (10^6 bytes)."""

    seconds: float
    cpu: float
    memory: float


Reading = Callable[[Path], Sequence[str]]
"""The command that reads the topic; what it writes beside stdout is in the folder."""


async def run(stage: Stage) -> Sequence[Table]:
    """Every reader in turn, round by round."""
    env = await stage.real()
    address = (await stage.kafka()).address
    stage.note(f"{COUNT:,} plays into Kafka")
    await fill(address, PLAYS, COUNT)
    found: dict[str, list[Taken]] = {name: [] for name in _readings(address)}
    for number in range(stage.rounds):
        for name, reading in _readings(address).items():
            stage.note(f"replay, round {number + 1}: {name}")
            folder = stage.folder()
            found[name].append(await asyncio.to_thread(_measure, reading(folder), env))
            shutil.rmtree(folder)
    return [_table(found)]


def _readings(address: str) -> Mapping[str, Reading]:
    ours = (sys.executable, "-m", "playtrail", "replay", PLAYS)
    console = ("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", address, "--topic", PLAYS,
               "--from-beginning", "--max-messages", str(COUNT))  # fmt: skip
    return {
        PEER: lambda _: (tool("kcat"), "-C", "-e", "-q", "-b", address, "-t", PLAYS),
        "Kafka's console consumer": lambda _: java(KAFKA_LIB, *console, heap="512m"),
        "playtrail replay": lambda _: ours,
        "playtrail replay --where": lambda _: (*ours, "--where", "play_time > 20 and event = 'ping'"),
        "playtrail replay -o, Parquet": lambda folder: (*ours, "-o", str(folder / "out")),
    }


def _measure(command: Sequence[str], env: Env) -> Taken:
    begun = time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Taken(time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def _table(found: Mapping[str, Sequence[Taken]]) -> Table:
    peer = statistics.median(taken.seconds for taken in found[PEER])
    rows = []
    for name, turns in found.items():
        seconds = statistics.median(taken.seconds for taken in turns)
        cpu = statistics.median(taken.cpu for taken in turns)
        rows.append((name, peer / seconds, round(COUNT / seconds), cpu / COUNT * 1e6, max(t.memory for t in turns)))
    columns = "reader", f"times as fast as {PEER}", "events/s", "CPU, µs an event", "resident, MB at most"
    return Table(columns, rows)
