"""Which events a replay shows, and how: the same on every log, and so shown on the embedded one."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

from models.events import PLAYS, REACTIONS, VIEWS
from tests.consumers.test_replay import collector, stage
from tests.contract.replay_stage import Stage, table

__all__ = ["collector", "stage"]


def test_events_users_videos_and_conditions(stage: Stage) -> None:
    for arguments, keep in (
        (["--event", "stop", "--event", "end"], lambda s: s.values()["event"] in ("stop", "end")),
        (["--user", "7"], lambda s: s.event.user_id == 7),
        (["--video", "3", "--video", "4"], lambda s: s.event.video_id in (3, 4)),
        (["--where", "play_time > 60"], lambda s: s.event.play_time > 60),
        (
            ["--event", "ping", "--user", "7", "--where", "cur_time is not null and not seq in (0, 1)"],
            lambda s: s.values()["event"] == "ping" and s.event.user_id == 7
            and s.event.cur_time is not None and s.event.seq not in (0, 1),
        ),
        (["--where", "user_id is null or offset < 3"], lambda s: s.event.user_id is None or s.position.offset < 3),
    ):  # fmt: skip
        assert stage.ids(PLAYS, *arguments) == stage.wanted(PLAYS, keep), arguments


def test_fields_as_json_and_csv(stage: Stage) -> None:
    names = "event,video_id,cur_time,topic,key,timestamp,headers"
    rows = stage.rows(PLAYS, "--fields", names, "--from", "@5", "--to", "@8", "--partition", 1)
    chosen = [s for s in stage.stored[PLAYS] if s.position.partition == 1 and 5 <= s.position.offset < 8]
    for row, stored in zip(rows, chosen, strict=True):
        own = {name: stored.values()[name] for name in ("event", "video_id", "cur_time")}
        headers = {name: value.decode() for name, value in stored.message.headers}
        beside = {"topic": PLAYS, "key": stored.message.key.decode(), "timestamp": stored.ms, "headers": headers}
        assert row == {**own, **beside}
    text = stage.run(PLAYS, "--format", "csv", "--fields", "offset,cur_time,event", "--partition", 1).stdout_bytes
    table = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert table[0] == ["offset", "cur_time", "event"]
    first = stage.stored[PLAYS][[s.position.partition for s in stage.stored[PLAYS]].index(1)]
    values = first.values()
    assert table[1] == ["0", "" if values["cur_time"] is None else str(values["cur_time"]), values["event"]]


def test_csv_keeps_quotes_line_ends_and_lists(stage: Stage) -> None:
    text = stage.run(VIEWS, "--format", "csv").stdout_bytes.decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    views = {s.event.event_id: s.values() for s in stage.stored[VIEWS] if s.event is not None}
    assert len(rows) == len(views)
    for row in rows:
        assert row["msg"] == views[row["event_id"]]["msg"]
        assert json.loads(row["video_ids"] or "null") == views[row["event_id"]].get("video_ids")


def test_text_is_a_line_that_commands_no_terminal(stage: Stage) -> None:
    lines = stage.run(VIEWS, "--format", "text", "--fields", "event,msg,video_ids").stdout.splitlines()
    assert len(lines) == sum(s.event is not None for s in stage.stored[VIEWS])
    assert all("\x1b" not in line and "\\x1b[31mred" in line for line in lines)
    assert re.search(r"^\d{4}-\d\d-\d\dT\S+Z  behavior\.views/\d@\d+ +hot ", "\n".join(lines), re.M)


def test_a_dry_run_counts(stage: Stage) -> None:
    result = stage.run(PLAYS, "--dry-run", "--where", "play_time > 60")
    kept = [s for s in stage.stored[PLAYS] if s.values()["play_time"] > 60]
    for name, count in Counter(s.values()["event"] for s in kept).items():
        assert f"{name}: {count}\n" in result.stdout
    assert f"{len(kept)} events of {len(stage.stored[PLAYS])} records" in result.stdout


def test_strict_stops_at_what_is_no_event(stage: Stage) -> None:
    result = stage.run(VIEWS, "--strict")
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: behavior\.views/\d@\d+: value is .*\n", result.stderr)


def test_one_person_has_one_pseudonym_within_a_key(stage: Stage, tmp_path: Path) -> None:
    keys = [tmp_path / name for name in ("one", "two")]
    for key in keys:
        key.write_text(key.name * 20)
    rows = stage.rows(REACTIONS, "--pseudonymise", "--pseudonymise-key", keys[0], "--fields",
                      "event_id,user_id,followee_id,key,headers")  # fmt: skip
    known: dict[int, str] = {}
    for row in rows:
        value = next(s.values() for s in stage.stored[REACTIONS] if s.values()["event_id"] == row["event_id"])
        assert known.setdefault(value["user_id"], row["user_id"]) == row["user_id"] == row["key"]
        if "followee_id" in value:
            assert known.setdefault(value["followee_id"], row["followee_id"]) == row["followee_id"]
    assert len(set(known.values())) == len(known)
    assert not any(re.search(r"\b900\d\d\b", json.dumps(row)) for row in rows)
    other = stage.rows(REACTIONS, "--pseudonymise", "--pseudonymise-key", keys[1])
    assert not {row["user_id"] for row in other} & set(known.values())
    whole = stage.run(REACTIONS, "-o", tmp_path / "out", "--pseudonymise", "--pseudonymise-key", keys[0],
                      "--user", 90_001, "--where", "user_id = 90001")  # fmt: skip
    assert whole.exit_code == 0, whole.stderr
    found = table(f"SELECT DISTINCT user_id FROM '{tmp_path}/out/**/*.parquet'")
    assert found == [(known[90_001],)]
    assert "90001" not in (tmp_path / "out" / "manifest.json").read_text()
