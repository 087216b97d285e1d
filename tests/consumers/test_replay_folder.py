"""What an export leaves in its folder: the same from every log, and so shown on the embedded one."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from consumers.replay.manifest import Manifest
from models.events import PLAYS, VIEWS
from tests.consumers.test_replay import collector, stage
from tests.contract.replay_export import rows_of
from tests.contract.replay_stage import BROKEN, Stage, manifest_of

__all__ = ["collector", "stage"]


def test_lists_maps_and_fields_that_an_event_does_not_have(stage: Stage, tmp_path: Path) -> None:
    result = stage.run(VIEWS, "-o", tmp_path, "--fields", "event_id,video_id,video_ids,key,headers")
    assert f"{len(BROKEN)} records are no events" in result.stderr
    views = {s.event.event_id: s.values() for s in stage.stored[VIEWS] if s.event is not None}
    for event_id, *found in rows_of(tmp_path, "event_id, video_id, video_ids, headers['ce_type']"):
        value = views.pop(event_id)
        assert found == [value.get("video_id"), value.get("video_ids"), f"playtrail.{value['event']}"]
    assert not views


@pytest.mark.parametrize(("kind", "suffix"), [("parquet", "parquet"), ("json", "jsonl"), ("csv", "csv")])
def test_the_manifest_says_what_is_there(stage: Stage, tmp_path: Path, kind: str, suffix: str) -> None:
    folder = tmp_path / "views"
    assert stage.run(VIEWS, "-o", folder, "--format", kind).exit_code == 0
    manifest = manifest_of(folder)
    files = [file for chunk in manifest["chunks"] for file in chunk["files"]]
    assert {f"{file['path']}" for file in files} == {
        path.relative_to(folder).as_posix() for path in folder.rglob(f"*.{suffix}")
    }
    for file in files:
        content = (folder / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    broken = [str(s.position) for s in stage.stored[VIEWS] if s.event is None]
    assert manifest["undecodable"] == {"count": len(BROKEN), "positions": broken}
    assert (manifest["records"], manifest["events"]) == (len(stage.stored[VIEWS]), len(stage.stored[VIEWS]) - 4)
    ends = Counter(s.position.partition for s in stage.stored[VIEWS])
    assert manifest["head"]["bounds"] == {str(p): [0, ends[p]] for p in range(6)}
    assert set(path.name for path in folder.iterdir()) == {
        "manifest.json",
        *(p.name for p in folder.glob("date=*")),
    }


def test_a_second_export_overwrites_itself(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "plays"
    assert stage.run(PLAYS, "-o", folder, "--event", "ping", "--event", "end").exit_code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    assert stage.run(PLAYS, "-o", folder, "--event", "ping", "--event", "end").exit_code == 0
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before
    assert stage.run(PLAYS, "-o", folder, "--event", "ping").exit_code == 0
    kept = {path: content for path, content in before.items() if "event=ping" in str(path)}
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == kept
    assert not list(folder.glob("date=*/event=end"))


def test_resuming_what_is_whole_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    for _ in range(2):
        assert stage.run(VIEWS, "-o", tmp_path, "--resume").exit_code == 0
        before = manifest_of(tmp_path)
    assert manifest_of(tmp_path) == before


def test_other_options_are_not_gone_on_with(stage: Stage, tmp_path: Path) -> None:
    assert stage.run(VIEWS, "-o", tmp_path).exit_code == 0
    result = stage.run(VIEWS, "-o", tmp_path, "--resume", "--event", "hot")
    assert (result.exit_code, result.stderr) == (1, (
        f"Error: --resume is {str(tmp_path)!r}; allowed: the options that the export was begun with\n"
    ))  # fmt: skip
    result = stage.run(PLAYS, "-o", tmp_path)
    assert result.exit_code == 1
    assert "another folder for another export" in result.stderr


def test_a_folder_of_something_else_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    result = stage.run(VIEWS, "-o", tmp_path)
    assert result.exit_code == 1
    assert "a folder that is new, empty, or of an earlier replay" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_one_export_at_a_time(stage: Stage, tmp_path: Path) -> None:
    other = Manifest(tmp_path)
    other.open()
    result = stage.run(VIEWS, "-o", tmp_path)
    assert result.exit_code == 1
    assert "no other replay writes to" in result.stderr
    other.close()
    assert stage.run(VIEWS, "-o", tmp_path).exit_code == 0


def test_a_limit_takes_the_same_events_each_time(stage: Stage, tmp_path: Path) -> None:
    assert stage.run(PLAYS, "-o", tmp_path, "--limit", 17).exit_code == 0
    first = {s.values()["event_id"] for s in stage.stored[PLAYS][:17]}
    assert {row[0] for row in rows_of(tmp_path, "event_id")} == first
