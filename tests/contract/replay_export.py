"""What an export to files promises, on any log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from consumers.replay.files import Files
from consumers.replay.ranges import Span
from consumers.replay.sinks import Tally
from models.errors import Unavailable
from models.events import PLAYS, rfc3339
from tests.contract.replay_stage import HOUR, Stage, Stored, manifest_of, table


def rows_of(folder: Path, columns: str) -> list[tuple[Any, ...]]:
    """Columns of all Parquet files in a folder."""
    return table(f"SELECT {columns} FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)")


class ExportContract:
    """Subclasses give the fixture ``stage``, filled; it may be shared, since nothing here changes what is in it."""

    def test_parquet_is_the_log_as_a_table(self, stage: Stage, tmp_path: Path) -> None:
        result = stage.run(PLAYS, "-o", tmp_path)
        assert result.exit_code == 0, result.stderr
        columns = 'event, user_id, video_id, session, play_time, cur_time, partition, "offset"'
        rows = rows_of(tmp_path, f"{columns}, epoch_ms(timestamp), CAST(date AS VARCHAR)")
        assert sorted(rows, key=lambda row: row[6:8]) == [_row(stored) for stored in stage.stored[PLAYS]]

    def test_an_export_that_was_broken_off_goes_on(
        self, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("consumers.replay.files.CHUNK", 100)
        broken, whole = tmp_path / "broken", tmp_path / "whole"
        asked = (PLAYS, "--from", stage.now - 50 * HOUR, "--where", "play_time > 10")
        assert stage.run(*asked, "-o", whole).exit_code == 0
        with monkeypatch.context() as patched:
            _break_off_after(9, patched)
            result = stage.run(*asked, "-o", broken)
        assert result.exit_code == 1
        assert "goes on where this one was" in result.stderr
        assert not (broken / "manifest.json").exists()
        done = {path: path.stat().st_mtime_ns for path in _noted(broken)}
        damaged = min(done)
        damaged.write_bytes(b"half")
        asyncio.run(stage.append(PLAYS, [(stage.play(1), stage.now)]))  # after the ends were pinned
        assert stage.run(*asked, "-o", broken, "--resume").exit_code == 0
        assert _contents(broken) == _contents(whole)
        again = {path.name for path, when in done.items() if path.stat().st_mtime_ns != when}
        assert again == {damaged.name}  # one chunk's files have one name
        assert _told(broken) == _told(whole)


def _row(stored: Stored) -> tuple[Any, ...]:
    value = stored.values()
    own = tuple(value[name] for name in ("event", "user_id", "video_id", "session", "play_time", "cur_time"))
    return (*own, stored.position.partition, stored.position.offset, stored.ms, rfc3339(stored.ms)[:10])


def _break_off_after(chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left, end = [chunks], Files.end

    async def broken(self: Files, span: Span, tally: Tally) -> None:
        if not left[0]:
            raise Unavailable("log", "unplugged")
        left[0] -= 1
        await end(self, span, tally)

    monkeypatch.setattr(Files, "end", broken)


def _noted(folder: Path) -> list[Path]:
    """The files of the chunks that are done."""
    _, *chunks = map(json.loads, (folder / "progress.jsonl").read_text().splitlines())
    assert 0 < len(chunks) <= 9  # some were being written
    return [folder / file["path"] for chunk in chunks for file in chunk["files"]]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


def _told(folder: Path) -> dict[str, Any]:
    """The manifest but for when it was written."""
    return {key: value for key, value in manifest_of(folder).items() if key != "finished"}
