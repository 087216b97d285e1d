"""The README's SQL on exported Parquet, run as it stands."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import pytest

from models.events import PLAYS, rfc3339
from tests.consumers.test_replay import collector, stage
from tests.contract.replay_stage import Stage, table
from tests.running import ROOT

__all__ = ["collector", "stage"]


def test_the_readme_s_sql(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```sql\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) == 1, "a new block needs a test here"
    watched, retention = (query for query in blocks[0].split(";\n") if query.strip())
    monkeypatch.chdir(tmp_path)
    assert stage.run(PLAYS, "-o", "plays").exit_code == 0
    assert table(watched) == _watched(stage)
    assert table(retention) == _retention(stage)


def _watched(stage: Stage) -> list[tuple[int, int, int]]:
    longest: dict[tuple[int, str], int] = {}
    for value in (stored.values() for stored in stage.stored[PLAYS]):
        session = value["video_id"], value["session"]
        longest[session] = max(longest.get(session, 0), value["play_time"])
    seconds, plays = Counter[int](), Counter[int]()
    for (video, _), most in longest.items():
        seconds[video] += most
        plays[video] += 1
    ranked = sorted(seconds, key=lambda video: (-seconds[video], video))
    return [(video, seconds[video], plays[video]) for video in ranked[:10]]


def _retention(stage: Stage) -> list[tuple[date, int, int]]:
    days: dict[int, set[date]] = defaultdict(set)
    for stored in stage.stored[PLAYS]:
        if (user := stored.values()["user_id"]) is not None:
            days[user].add(date.fromisoformat(rfc3339(stored.ms)[:10]))
    found = Counter((min(seen), (day - min(seen)).days) for seen in days.values() for day in seen)
    return sorted((first, later, viewers) for (first, later), viewers in found.items())
