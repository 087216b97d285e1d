"""`playtrail lag` as a script and a person meet it: exit codes, one line for what is away, the table, the JSON."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from commands import lag
from models import topics
from models.eventlog.port import Identity, Message
from models.eventlog.sqlite import SqliteLog
from models.events import REACTIONS
from models.lag.report import Report
from models.stores.sql import SqlStore
from playtrail import cli
from tests.running import Process, command, eventually

ONE = ("lag", "--projection", "reactions")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "SECONDS", 0.05)


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"PLAYTRAIL_DATA": str(folder)})


def applied(folder: Path) -> Path:
    assert run(folder, "topics", "apply").exit_code == 0
    return folder


def waiting(folder: Path, *seconds: float) -> None:
    """Records that came that long ago."""

    async def append() -> None:
        async with SqliteLog(folder / "events.db", topics.load()).writer() as writer:
            for age in seconds:
                at_ms = time.time_ns() // 1_000_000 - round(age * 1000)
                await writer.append(Message(REACTIONS, b"1", b"{}", [], at_ms))

    asyncio.run(append())


def opened(folder: Path) -> None:
    """Positions at the beginning, as after a consumer that has folded nothing."""

    async def identity() -> Identity:
        async with SqliteLog(folder / "events.db", topics.load()).reader() as reader:
            return await reader.identity(REACTIONS)

    found = asyncio.run(identity())
    with closing(SqlStore(f"sqlite:///{folder / 'playtrail.db'}")) as sql:
        for number in range(found.partitions):
            sql.open("reactions", REACTIONS, number, found, 0)


@pytest.mark.parametrize(("ages", "code"), [((), 0), ((1,), 0), ((10, 1), 1), ((100, 10), 2)])
def test_the_exit_code_is_by_the_targets_of_topics_yaml(tmp_path: Path, ages: Sequence[float], code: int) -> None:
    opened(applied(tmp_path))
    waiting(tmp_path, *ages)
    result = run(tmp_path, *ONE, "--json")
    report = msgspec.json.decode(result.stdout, type=Report)
    assert (result.exit_code, report.level, report.projections[0].lag) == (code, code, len(ages))
    assert result.stderr == ""
    assert report.projections[0].window_seconds > 0


def test_no_position_is_2_unless_there_is_no_record(tmp_path: Path) -> None:
    applied(tmp_path)
    assert run(tmp_path, "lag").exit_code == 0
    waiting(tmp_path, 1)
    result = run(tmp_path, "lag")
    assert result.exit_code == 2
    assert "reactions is at its target page, or unknown" in result.stdout


def test_the_table_has_a_row_for_each_partition_and_their_sum(tmp_path: Path) -> None:
    opened(applied(tmp_path))
    waiting(tmp_path, 10, 9, 8)
    result = run(tmp_path, *ONE)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert [row[1] for row in rows] == ["all", *map(str, range(6))]
    assert [row[3] for row in rows].count("3") == 2
    assert rows[0][:4] == ["reactions", "all", "STOP", "3"]
    assert {row[-1] for row in rows[1:]} == {"nobody"}
    assert max(map(len, result.stdout.splitlines())) <= lag.WIDTH
    assert "reactions: 6 without an owner" in result.stdout


def test_what_is_away_is_one_line_and_code_3(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        result = run(tmp_path, "lag", "--events", f"kafka://127.0.0.1:{nobody.getsockname()[1]}")
    assert result.exit_code == 3
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: views, reactions, plays: log is unavailable: ")


def test_one_store_away_hides_no_other(tmp_path: Path) -> None:
    applied(tmp_path)
    result = run(tmp_path, "lag", "--json", "--plays", f"sqlite:///{tmp_path / 'empty.db'}")
    report = msgspec.json.decode(result.stdout, type=Report)
    assert [found.projection for found in report.projections] == ["views", "reactions"]
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: plays: plays is unavailable: ")


async def test_watch_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    env = {"PLAYTRAIL_DATA": str(tmp_path)}
    await command("topics", "apply", env=env)
    async with Process(*ONE, "--watch", "--json", env=env) as process:

        async def two() -> bool:
            return len(process.output().splitlines()) >= 2

        await eventually(two, "two lines")
        assert process._process is not None
        process._process.send_signal(signal.SIGINT)
        assert await process.wait(20) == 0
        for line in process.output().splitlines():
            msgspec.json.decode(line, type=Report)
