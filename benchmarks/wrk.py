"""wrk, the load generator: its Lua scripts, and what it saw."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.stage import SECRET, Stage
from benchmarks.usage import cpu_seconds
from gateway.auth import issue

USERS: Final = 1000
CONNECTIONS: Final = 64
WARM_UP_SECONDS: Final = 2
LOOK_SECONDS, IDLE_SHARE, IDLE_SECONDS = 0.3, 0.2, 60.0


class Target(NamedTuple):
    """A server under load; ``pid`` is the process whose processor time counts, children included."""

    name: str
    url: str
    pid: int


class Run(NamedTuple):
    """What wrk saw: answers a second, latency in ms; processor time an answer in µs; answers that were not 2xx."""

    rate: float
    p50: float
    p99: float
    cpu: float
    failed: int


def script(path: Path, body: str) -> Path:
    """
    A wrk script whose ``request`` is ``body``, in Lua.

    ``n`` counts requests; ``user`` is {id, token} of the next of a thousand users; ``wrk.format`` makes the request.
    """
    now = time.time_ns() // 1_000_000
    users = ",\n".join(f'{{"{n}", "{issue(SECRET, n, 36_000, now)}"}}' for n in range(1, USERS + 1))
    path.write_text(
        f"local users = {{{users}}}\nlocal n = 0\nrequest = function()\n  n = n + 1\n"
        f"  local user = users[n % {USERS} + 1]\n{body}\nend\n",
        encoding="utf-8",
    )
    return path


async def turns(stage: Stage, targets: Sequence[Target], lua: Path | Mapping[str, Path]) -> dict[str, Run]:
    """The median of the rounds by target; they take turns, after a short warm-up of each."""
    runs: dict[str, list[Run]] = {target.name: [] for target in targets}
    for turn in range(-1, stage.rounds):
        for target in targets:
            stage.note(f"{target.name}: round {turn + 1} of {stage.rounds}")
            seconds = WARM_UP_SECONDS if turn < 0 else stage.seconds
            chosen = lua if isinstance(lua, Path) else lua[target.name]
            run = await asyncio.to_thread(drive, target, chosen, seconds)
            await _idle(target)
            if turn >= 0:
                runs[target.name].append(run)
    return {name: _median(of_one) for name, of_one in runs.items()}


async def _idle(target: Target) -> None:
    """Wait until a server no longer works on what it was asked: it would take the next one's processor time."""
    deadline = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < deadline:
        before = cpu_seconds(target.pid)
        await asyncio.sleep(LOOK_SECONDS)
        if cpu_seconds(target.pid) - before < LOOK_SECONDS * IDLE_SHARE:
            return


def _median(runs: Sequence[Run]) -> Run:
    rate, p50, p99, cpu = (median(values) for values in list(zip(*runs, strict=True))[:4])
    return Run(rate, p50, p99, cpu, sum(run.failed for run in runs))


def drive(target: Target, lua: Path, seconds: int) -> Run:
    """One run."""
    before = cpu_seconds(target.pid)
    line = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--timeout", "20", "--latency", "-s", str(lua)]
    out = subprocess.run([*line, target.url], check=True, capture_output=True, text=True).stdout
    answers = int(_one(r"(\d+) requests in", out))
    cpu = (cpu_seconds(target.pid) - before) / max(1, answers) * 1e6
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    rate = float(_one(r"Requests/sec:\s+([\d.]+)", out))
    return Run(rate, _latency(out, "50%"), _latency(out, "99%"), cpu, int(failed[1]) if failed else 0)


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, f"{pattern} is not in what wrk wrote:\n{text}"
    return found[1]


def _latency(out: str, share: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", out)
    assert found is not None, out
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
