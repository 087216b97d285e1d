"""The command itself: what it refuses, and what is missing."""

from __future__ import annotations

import asyncio
import builtins
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from models import topics, upcast
from models.eventlog.plan import carry_out
from models.eventlog.sqlite import SqliteLog
from models.events import DEAD, PLAYS, REACTIONS, VIEWS
from tests.contract.replay_stage import Stage, collector, manifest_of, table

__all__ = ["collector"]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """An embedded log with its topics, and nothing in them."""
    contract = topics.load()
    stage = Stage(SqliteLog(tmp_path / "events.db", contract), {"PLAYTRAIL_DATA": str(tmp_path)})

    async def create() -> None:
        async with stage.log.admin() as admin:
            await carry_out(admin, contract)

    asyncio.run(create())
    return stage


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["behavior.play"], "TOPIC is 'behavior.play'; allowed: behavior.views, behavior.reactions, behavior.plays"),
        ([PLAYS, "--from", "yesterday"], "--from is 'yesterday'; allowed: a time such as 2026-11-24"),
        ([PLAYS, "--from", "@0:1"], "--from is '@0:1'; allowed: an offset of partition 0, 0 to 0"),
        ([PLAYS, "--partition", "6"], "--partition is 6; allowed: a partition, 0 to 5"),
        ([PLAYS, "--slack", "1"], "--slack is '1'; allowed: a time such as 90s"),
        ([PLAYS, "--event", "like"], "--event is 'like'; allowed: events of behavior.plays: start, ping, stop, end"),
        ([PLAYS, "--fields", "seq,colour"], "--fields is 'colour'; allowed: fields of behavior.plays: event, event_id"),
        ([PLAYS, "--where", "seq >"], "--where, position 6: what is there is 'the end'; allowed: a number"),
        ([DEAD, "--user", "1"], "TOPIC is 'behavior.dead'; allowed: for --event, --user and --video: behavior.views"),
        ([PLAYS, "--format", "parquet"], "--format is 'parquet'; allowed: with -o FOLDER"),
        ([PLAYS, "--resume"], "--resume is True; allowed: with -o FOLDER"),
        ([PLAYS, "-o", "x", "--resume", "--limit", "1"], "--resume is True; allowed: without --limit"),
        ([PLAYS, "-o", "x", "--tail", "1"], "-o is 'x'; allowed: with neither --tail, --follow, --dry-run nor"),
        ([PLAYS, "--tail", "1", "--limit", "1"], "--tail is 1; allowed: without --limit"),
        ([PLAYS, "--follow", "--to", "now"], "--follow is True; allowed: with neither --to nor --dry-run"),
        ([PLAYS, "--pseudonymise"], "--pseudonymise is True; allowed: with --pseudonymise-key FILE; `openssl rand"),
        ([PLAYS, "--pseudonymise", "--pseudonymise-key", "/"], "--pseudonymise-key is '/'; allowed: a file with 32"),
        (
            [DEAD, "--pseudonymise", "--pseudonymise-key", __file__],
            "--pseudonymise is 'behavior.dead'; allowed: topics",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(stage: Stage, arguments: list[str], told: str) -> None:
    result = stage.run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {told}")
    assert len(result.stderr.splitlines()) == 1


def test_a_short_key_is_refused_and_not_shown(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short secret\n")
    result = stage.run(PLAYS, "--pseudonymise", "--pseudonymise-key", tmp_path / "key")
    assert "(12 bytes)" in result.stderr
    assert "short secret" not in result.stderr


def test_an_empty_topic_is_an_empty_answer(stage: Stage, tmp_path: Path) -> None:
    assert stage.rows(PLAYS) == []
    assert stage.run(PLAYS, "--format", "csv", "--fields", "seq").stdout_bytes == b"seq\r\n"
    assert stage.run(PLAYS, "--tail", 3).stdout == ""
    assert stage.run(PLAYS, "-o", tmp_path / "out").exit_code == 0
    assert manifest_of(tmp_path / "out")["events"] == 0


def test_without_pyarrow_parquet_says_what_to_install(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return found(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "consumers.replay.arrow", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    result = stage.run(PLAYS, "-o", tmp_path / "out")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "pip install 'playtrail[parquet]'" in result.stderr
    assert not (tmp_path / "out").exists()
    assert stage.run(PLAYS, "-o", tmp_path / "out", "--format", "json").exit_code == 0


def test_old_versions_come_out_as_the_newest(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def zero(event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "user_id": event.pop("user")}

    monkeypatch.setitem(upcast.STEPS, 0, zero)
    new = stage.reaction(1)
    old = json.loads(json.dumps(_builtins(new)))
    old = {**{k: v for k, v in old.items() if k != "user_id"}, "user": old["user_id"], "schema": 0}
    asyncio.run(stage.append(REACTIONS, [(new, stage.now), (json.dumps(old).encode(), stage.now)]))
    first, second = stage.rows(REACTIONS)
    assert first == second == _builtins(new)
    assert stage.run(REACTIONS, "-o", tmp_path / "out").exit_code == 0
    assert table(f"SELECT user_id, schema FROM '{tmp_path}/out/**/*.parquet'") == [(new.user_id, 1)] * 2


def test_json_over_several_lines_becomes_one(stage: Stage) -> None:
    pretty = json.dumps(_builtins(stage.reaction(1)), indent=2).encode()
    asyncio.run(stage.append(REACTIONS, [(stage.reaction(2), stage.now), (pretty, stage.now)]))
    assert len(stage.rows(REACTIONS)) == 2


def test_a_field_of_a_newer_writer_stays(stage: Stage) -> None:
    newer = {**_builtins(stage.reaction(1)), "colour": "blue", "schema": 7}
    asyncio.run(stage.append(REACTIONS, [(json.dumps(newer).encode(), stage.now)]))
    assert stage.rows(REACTIONS) == [newer]


def test_times_of_a_broken_clock_have_a_place(stage: Stage, tmp_path: Path) -> None:
    asyncio.run(stage.append(PLAYS, [(stage.play(1), -1), (stage.play(2), 1 << 60)]))
    assert "-1 ms" in stage.run(PLAYS, "--format", "text").stdout
    assert stage.run(PLAYS, "-o", tmp_path / "out").exit_code == 0
    asyncio.run(stage.append(PLAYS, [(stage.play(3), 86_400_000)]))
    assert stage.run(PLAYS, "-o", tmp_path / "out").exit_code == 0
    query = f"SELECT CAST(date AS VARCHAR), epoch_ms(timestamp) FROM read_parquet('{tmp_path}/out/**/*.parquet')"
    assert sorted(table(query), key=str) == [("1970-01-02", 86_400_000), (None, None), (None, None)]


def test_dead_letters_are_shown_as_they_are(stage: Stage, tmp_path: Path) -> None:
    asyncio.run(stage.append(DEAD, [(b"\xff not text", stage.now), (b'{"a":1}', stage.now)]))
    assert [row["value"] for row in stage.rows(DEAD)] == ["\\xff not text", '{"a":1}']
    assert [row["key"] for row in stage.rows(DEAD, "--where", "value = '{\"a\":1}'")] == ["1"]
    assert "value={" in stage.run(DEAD, "--format", "text").stdout
    assert stage.run(DEAD, "-o", tmp_path / "out").exit_code == 0
    assert table(f"SELECT value FROM '{tmp_path}/out/**/*.parquet' ORDER BY \"offset\"")[1] == ('{"a":1}',)


def test_what_others_write_into_headers_is_left_out_of_pseudonyms(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 32)
    asyncio.run(stage.append(VIEWS, [(json.dumps(_builtins(stage.view(0))).encode(), stage.now)]))
    options = ("--pseudonymise", "--pseudonymise-key", tmp_path / "key")
    (row,) = stage.rows(VIEWS, *options)
    assert len(row["user_id"]) == 32
    (row,) = stage.rows(VIEWS, *options, "--fields", "key,headers,user_id")
    assert len(row["key"]) == 32
    assert row["headers"] == {}


def _builtins(event: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event if isinstance(event, bytes) else _encode(event))
    return found


def _encode(event: Any) -> bytes:
    from models.events import encode

    return encode(event)
