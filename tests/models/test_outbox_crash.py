"""The outbox before the embedded log, killed with -9 while it spools and while it drains: no answer was a lie."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from pathlib import Path

from models import topics
from models.clock import SystemClock
from models.eventlog.plan import wanted
from models.eventlog.port import LogReader
from models.eventlog.spool import Outbox
from models.eventlog.sqlite import SqliteLog
from tests.models.fake_writer import FakeWriter, message

TOPIC = "behavior.reactions"
CLIENTS = 8


def log_in(folder: Path) -> SqliteLog:
    return SqliteLog(folder / "events.db", topics.load())


async def run(folder: Path, log: str, first: int) -> None:
    """What the killed process does: clients that append for ever and say what was answered."""
    writer = FakeWriter("away") if log == "away" else log_in(folder).writer()
    async with Outbox(writer, folder / "spool.db", clock=SystemClock()) as outbox:
        await asyncio.gather(*(client(outbox, key, first) for key in range(CLIENTS)))


async def client(outbox: Outbox, key: int, first: int) -> None:
    for n in range(first, first + 100_000):
        receipt = await outbox.append(message(n, key=b"%d" % key))
        print(key, n, receipt.durable, flush=True)


async def killed_after(
    answers: int, folder: Path, log: str, first: int, and_seen: bytes = b""
) -> list[tuple[int, int, str]]:
    """Run the process until it has answered so often, and so once, kill it, and return all its answers."""
    command = [sys.executable, "-m", "tests.models.test_outbox_crash", str(folder), log, str(first)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    lines: list[bytes] = []
    while len(lines) < answers or not any(and_seen in line for line in lines):
        lines.append(await process.stdout.readline())
        assert lines[-1], f"ended by itself after {len(lines)} answers"
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    words = [line.split() for line in lines if line.endswith(b"\n")]
    return [(int(w[0]), int(w[1]), w[2].decode()) for w in words if len(w) == 3 and w[0].isdigit()]


async def values_by_key(reader: LogReader) -> dict[int, list[int]]:
    """Per key, the numbers in the log in the order in which each was first seen."""
    found: defaultdict[int, dict[int, None]] = defaultdict(dict)
    for partition, (start, end) in (await reader.bounds(TOPIC)).items():
        for record in await reader.read(TOPIC, partition, start, end - start) if end > start else ():
            assert record.key is not None
            found[int(record.key)].setdefault(int(record.value))
    return {key: list(numbers) for key, numbers in found.items()}


async def test_killed_again_and_again_every_answered_append_is_in_the_log_in_order(tmp_path: Path) -> None:
    async with log_in(tmp_path).admin() as admin:
        await admin.create(TOPIC, wanted(topics.load().by_name[TOPIC]))
    answered: list[tuple[int, int, str]] = []
    for turn, (log, answers) in enumerate([("away", 3_000), ("there", 50), ("away", 500)]):
        answered += await killed_after(answers, tmp_path, log, turn * 100_000)
    # How long draining takes is the machine's affair: the last turn goes on until the direct path is open again.
    answered += await killed_after(1_500, tmp_path, "there", 300_000, and_seen=b"log")
    assert {durable for _, _, durable in answered} == {"log", "spool"}

    last = Outbox(log_in(tmp_path).writer(), tmp_path / "spool.db", clock=SystemClock(), leave_seconds=60)
    async with last:
        pass  # leaving drains
    assert last.status().events == 0
    async with log_in(tmp_path).reader() as reader:
        found = await values_by_key(reader)
    assert not {(key, n) for key, n, _ in answered} - {(key, n) for key, ns in found.items() for n in ns}
    assert found == {key: sorted(ns) for key, ns in found.items()}


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
