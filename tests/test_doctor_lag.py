"""playtrail doctor on what waits to be folded, and on switches that did not end."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from commands import behind
from models import events
from tests.consumers.making import message
from tests.test_doctor import appended, changed, env, folded, found, template

__all__ = ["env", "folded", "template"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "SECONDS", 0.05)


def of(lines: Sequence[tuple[str, str, str]], projection: str) -> tuple[str, str, str]:
    (line,) = [line for line in lines if line[1].startswith(f"{projection}: ")]
    return line


def test_nothing_waits(folded: dict[str, str]) -> None:
    lines = found(folded)["lag"]
    assert [level for level, _, _ in lines] == ["ok"] * 3
    assert of(lines, "plays")[1] == "plays: 0 events behind, 0.0 s, state OK; nobody folds 6 of 6 partitions"


@pytest.mark.parametrize(
    ("age", "level", "target"),
    [(1, "warn", ""), (20, "warn", "target warn is 5 s"), (90, "fail", "target page is 60 s")],
)
def test_what_waits_is_judged_by_the_targets(folded: dict[str, str], age: int, level: str, target: str) -> None:
    at_ms = round((time.time() - age) * 1000)
    appended(folded, message(events.Like, user=7, video_id=1)._replace(timestamp=at_ms))
    lines = found(folded)["lag"]
    found_level, what, mend = of(lines, "reactions")
    assert (found_level, mend) == (level, "playtrail consume reactions")
    assert "reactions: 1 events behind" in what
    assert "state STOP; nobody folds 6 of 6 partitions" in what
    assert target in what
    assert of(lines, "views")[0] == "ok"


@pytest.mark.parametrize(("until", "overdue"), [(-60, True), (60, False)])
def test_a_switch_that_holds_the_consumers(folded: dict[str, str], until: int, overdue: bool) -> None:
    row = f"building = 2, switch_until = {round((time.time() + until) * 1000)}"
    changed(folded, "playtrail.db", f"UPDATE read_model SET {row} WHERE projection = 'views'")
    switch = next(line for line in found(folded)["views"] if "a switch holds the consumers until 20" in line[1])
    assert switch[0] == "warn"
    assert ("is overdue: who began it has died" in switch[1]) is overdue
    assert switch[2] == "playtrail rebuild views goes on with it"
