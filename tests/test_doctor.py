"""playtrail doctor on the embedded default: all well, each thing that can be wrong, and that nothing is changed."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import playtrail
from commands import machine
from consumers.epochs import new_epoch
from models import events, settings
from models.clock import SystemClock
from models.eventlog.port import Message
from models.eventlog.spool_file import SpoolFile
from models.stores.port import DeadLetter
from models.topics import PROJECTIONS
from playtrail import cli
from tests.consumers.making import message


def doctor(env: dict[str, str], *arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["doctor", *arguments], env=env)
    assert isinstance(result.exception, SystemExit | None), result.output
    return result


def found(env: dict[str, str]) -> dict[str, list[tuple[str, str, str]]]:
    """(level, what, mend) of each part, as --json has them; the exit code is that of the worst."""
    result = doctor(env, "--json")
    answer = json.loads(result.output)
    levels = ["ok", "warn", "fail"]
    assert (
        result.exit_code == levels.index(answer["level"]) == max(levels.index(f["level"]) for f in answer["findings"])
    )
    parts: dict[str, list[tuple[str, str, str]]] = {}
    for finding in answer["findings"]:
        parts.setdefault(finding["part"], []).append((finding["level"], finding["what"], finding["mend"]))
    return parts


def wrong(env: dict[str, str]) -> dict[str, list[tuple[str, str, str]]]:
    """Only the parts that are not well; the disk of the machine that tests run on is not judged."""
    return {
        part: lines
        for part, lines in found(env).items()
        if part != "disk" and any(level != "ok" for level, _, _ in lines)
    }


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_SPOOL": "1"}


@pytest.fixture
def folded(env: dict[str, str], template: Path) -> dict[str, str]:
    """A deployment whose consumers have run."""
    shutil.copytree(template, env["PLAYTRAIL_DATA"])
    return env


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder with topics, tables and positions."""
    folder = tmp_path_factory.mktemp("data")
    env = {"PLAYTRAIL_DATA": str(folder)}
    assert CliRunner().invoke(cli, ["topics", "apply"], env=env).exit_code == 0
    config = settings.read(env)
    log, sql, plays = playtrail.open_log(config, playtrail.contract_of(config)), *stores(config)
    with closing(sql), closing(plays):
        for name in PROJECTIONS:
            topic = playtrail.contract_of(config).of_projection(name).name
            asyncio.run(new_epoch(log, plays if name == "plays" else sql, name, topic))
    return folder


def stores(config: settings.Settings) -> tuple[Any, Any]:
    return playtrail.open_sql(config), playtrail.open_plays(config)


def appended(env: dict[str, str], *messages: Message) -> None:
    config = settings.read(env)

    async def append() -> None:
        async with playtrail.open_log(config, playtrail.contract_of(config)).writer() as writer:
            for each in messages:
                await writer.append(each)

    asyncio.run(append())


def changed(env: dict[str, str], file: str, *statements: str) -> None:
    with closing(sqlite3.connect(Path(env["PLAYTRAIL_DATA"]) / file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_all_is_well(folded: dict[str, str]) -> None:
    assert wrong(folded) == {}
    result = doctor(folded)
    assert "mend" not in result.output
    assert "fold" in result.output
    assert "SQLite" in result.output


def test_before_anything_is_there_nothing_is_made(env: dict[str, str]) -> None:
    parts = wrong(env)
    assert set(parts) == {"log", "sql", "plays"}
    assert all(lines[0][0] == "warn" and "playtrail up" in lines[0][2] for lines in parts.values())
    assert not Path(env["PLAYTRAIL_DATA"]).exists()


def test_nothing_is_changed(folded: dict[str, str]) -> None:
    def dumped() -> list[str]:
        files = ("events.db", "playtrail.db", "plays.db")
        lines = []
        for file in files:
            with closing(sqlite3.connect(Path(folded["PLAYTRAIL_DATA"]) / file)) as connection:
                lines += list(connection.iterdump())
        return lines

    before, files = dumped(), sorted(Path(folded["PLAYTRAIL_DATA"]).iterdir())
    doctor(folded)
    assert dumped() == before
    assert {file.name for file in files} == {file.name for file in Path(folded["PLAYTRAIL_DATA"]).iterdir()}


def _again(env: dict[str, str]) -> None:
    changed(env, "events.db", "UPDATE topic SET created = 'x' WHERE name = 'behavior.plays'")


def _moved(env: dict[str, str]) -> None:
    changed(env, "playtrail.db", "UPDATE consumer_offset SET next_offset = 7 WHERE projection = 'views'")


def _letter(env: dict[str, str]) -> None:
    sql, _ = stores(settings.read(env))
    with closing(sql):
        sql.put_dead([DeadLetter("views", events.VIEWS, 0, n, "junk", None, b"junk", "[]", 1) for n in (1, 2)])


@pytest.mark.parametrize(
    ("spoil", "part", "level", "what", "mend"),
    [
        (_again, "plays", "fail", "topic id", "playtrail consume plays --new-epoch"),
        (_moved, "views", "fail", "is at offset 7, but the log ends at 0", "playtrail rebuild views"),
        (_letter, "dead letters", "warn", "2 of views", "playtrail deadletters list"),
        (
            lambda env: changed(env, "playtrail.db", "DELETE FROM consumer_offset WHERE partition_id = 3"),
            "reactions", "warn", "partitions 3 were never folded", "playtrail consume reactions",
        ),
        (
            lambda env: changed(env, "playtrail.db", "DROP TABLE content_like"),
            "sql", "fail", "without the tables content_like", "playtrail topics apply",
        ),
        (
            lambda env: changed(env, "plays.db", "DROP TABLE video_top"),
            "plays", "fail", "without the tables video_top", "playtrail topics apply",
        ),
        (
            lambda env: changed(env, "playtrail.db", "UPDATE read_model SET active = 2 WHERE projection = 'reactions'"),
            "sql", "fail", "content_collect_v2, content_like_v2", "playtrail topics apply",
        ),
        (
            lambda env: changed(env, "playtrail.db", "UPDATE read_model SET building = 2 WHERE projection = 'views'"),
            "views", "warn", "version 2 is being built beside version 1", "playtrail rebuild views",
        ),
        (
            lambda env: changed(env, "events.db", "UPDATE topic SET config = '{}' WHERE name = 'behavior.views'"),
            "topics", "warn", "retention.ms - instead of 2592000000", "playtrail topics apply",
        ),
        (
            lambda env: changed(env, "events.db", "DELETE FROM topic WHERE name = 'behavior.dead'"),
            "topics", "fail", "behavior.dead is not there", "playtrail topics apply",
        ),
        (
            lambda env: changed(env, "events.db", "UPDATE topic SET partitions = 3 WHERE name = 'behavior.views'"),
            "topics", "fail", "partitions 3 instead of 6", "a new topic and a rebuild",
        ),
        (
            lambda env: Path(env["PLAYTRAIL_DATA"], "events.db").write_bytes(b"no database at all" * 99),
            "log", "fail", "PLAYTRAIL_EVENTS is", "set it right",
        ),
        (
            lambda env: Path(env["PLAYTRAIL_DATA"], "spool-2.db").write_bytes(b"no database at all" * 99),
            "spool", "fail", "spool-2.db", "table `waiting`",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_mends_it(
    folded: dict[str, str], spoil: Callable[[dict[str, str]], None], part: str, level: str, what: str, mend: str
) -> None:
    spoil(folded)
    lines = wrong(folded)[part]
    assert any(at == level and what in said and mend in remedy for at, said, remedy in lines), lines


def test_a_log_that_was_replaced_is_told_by_its_last_event(folded: dict[str, str]) -> None:
    appended(folded, message(events.Like, user=7, video_id=1))
    changed(
        folded, "playtrail.db",
        "UPDATE consumer_offset SET next_offset = 1, last_event_id = 'other' WHERE projection = 'reactions'",
    )  # fmt: skip
    levels = [(level, what) for level, what, _ in wrong(folded)["reactions"]]
    assert any(level == "fail" and "folded event other at offset 0, but the log has" in what for level, what in levels)


def test_a_record_of_the_future_is_a_clock_that_is_wrong(folded: dict[str, str]) -> None:
    late = round(time.time() * 1000) + 60_000
    appended(folded, message(events.Detail, video_id=1)._replace(timestamp=late))
    assert set(wrong(folded)) == {"clock", "lag"}
    ((level, what, mend),) = wrong(folded)["clock"]
    assert (level, mend) == ("warn", "set the clocks of all machines by NTP")
    assert "the newest record of behavior.views is" in what


def test_what_waits_in_spools_and_what_the_log_refused(folded: dict[str, str]) -> None:
    config = settings.read(folded)

    async def spool() -> None:
        file = SpoolFile(playtrail.spool_of(config, 1), clock=SystemClock(), max_bytes=1 << 20)
        await file.open()
        try:
            for user in (1, 2, 3):
                await file.put(message(events.Like, user=user, video_id=1))
            await file.remove([], [((await file.peek(1))[0], "too large")])
            assert [finding.level for finding in machine.spooled(config)] == ["warn", "warn"]  # while it is in use
        finally:
            await file.close()

    asyncio.run(spool())
    (waiting, aside) = wrong(folded)["spool"]
    assert "2 events wait in spool-1.db, the first since 20" in waiting[1]
    assert "the log has refused 1 events of spool-1.db" in aside[1]


def test_servers_that_are_away_are_named_without_their_passwords(env: dict[str, str], unused_tcp_port: int) -> None:
    env |= {
        "PLAYTRAIL_EVENTS": f"kafka://127.0.0.1:{unused_tcp_port}",
        "PLAYTRAIL_DB": f"mysql+pymysql://me:sesame@127.0.0.1:{unused_tcp_port}/x",
        "PLAYTRAIL_PLAYS": f"hbase://127.0.0.1:{unused_tcp_port}",
    }
    parts = wrong(env)
    assert {part: lines[0][0] for part, lines in parts.items()} == {"log": "fail", "sql": "fail", "plays": "fail"}
    assert "PLAYTRAIL_DB" in parts["sql"][0][2]
    assert "sesame" not in str(parts)


def test_packages_that_are_missing_or_old(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.packages()[0].level == "ok"
    demanded = [
        "click>=8.1",
        "nothing-of-that-name>=1",
        "msgspec[x]>=99.1; sys_platform != 'win32'",
        "q>=1; extra == 'd'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: demanded)
    lines = wrong(env)["packages"]
    assert [(level, mend) for level, _, mend in lines] == [
        ("fail", "pip install 'nothing-of-that-name>=1'"),
        ("fail", "pip install 'msgspec>=99.1'"),
    ]
    assert "nothing-of-that-name is missing" in lines[0][1]


def test_releases_are_compared_as_numbers() -> None:
    assert machine._release("0.26") == machine._release("0.26.0")
    assert machine._release("1.9") < machine._release("1.10rc1") < machine._release("2")


def test_a_full_disk(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings.read({**env, "PLAYTRAIL_SPOOL": "1000"})

    def free(size: int) -> str:
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": size}))
        return machine.disk(config).level

    assert [free(size << 20) for size in (10, 999, 1001)] == ["fail", "warn", "ok"]
