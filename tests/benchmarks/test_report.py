"""The Markdown of benchmarks: how numbers are shown, and that one section can be renewed alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.report import Section, Table

ORDER = ("likes", "reads", "memory")


@pytest.fixture(autouse=True)
def heading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the versions of servers, which a machine of embedded tests need not have."""
    monkeypatch.setattr(report, "heading", lambda: "# Heading")


def _section(name: str, value: float) -> Section:
    table = Table(("what", "ratio", "events/s"), [("a", value, 12_345)], "A note.")
    return Section(name, name.title(), "About it.", [table], datetime(2026, 1, 2, 3, 4, tzinfo=UTC), 1.25, 5, 6)


def test_a_table_rounds_for_reading() -> None:
    table = Table(("a", "b"), [("x", 0.0034567), (1_234_567, 0.8567), (5, 45.678), (0, 1234.5678), (0, 0.0)])
    lines = table.markdown().splitlines()
    assert lines[:2] == ["| a | b |", "| --- | --- |"]
    assert lines[2:] == ["| x | 0.0035 |", "| 1,234,567 | 0.86 |", "| 5 | 45.7 |", "| 0 | 1,235 |", "| 0 | 0.00 |"]


def test_sections_stand_in_order_and_one_is_renewed_alone(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    report.write(path, [_section("memory", 3.0)], ORDER)
    report.write(path, [_section("likes", 1.0), _section("reads", 2.0)], ORDER)
    report.write(path, [_section("reads", 9.0)], ORDER)
    text = path.read_text()
    places = [text.index(part) for part in ("# Heading", "## Likes", "| a | 1.00 | 12,345 |", "## Reads", "## Memory")]
    assert places == sorted(places)
    assert text.count("## Reads") == 1
    assert "| a | 9.00 | 12,345 |" in text
    assert "| a | 2.00 | 12,345 |" not in text
    assert "2026-01-02 03:04 UTC, 5 rounds of 6 s, load average 1.2 before." in text


def test_a_section_that_is_no_more_goes(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    report.write(path, [_section("gone", 1.0)], ("gone",))
    report.write(path, [_section("likes", 1.0)], ORDER)
    assert "Gone" not in path.read_text()
