"""How long what was seen of a version's row serves."""

from __future__ import annotations

import pytest

from models.stores import versions
from models.stores.versions import LEASE_SECONDS, Lately, Version

OLD, NEW = Version(changes=1), Version(active=2, kept=1, changes=2)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its only item."""
    now = [1000.0]
    monkeypatch.setattr(versions, "monotonic", lambda: now[0])
    return now


def test_a_row_serves_for_the_lease_from_before_the_question(clock: list[float]) -> None:
    lately, asked = Lately(), list[float]()

    def slow() -> Version:
        asked.append(clock[0])
        clock[0] += LEASE_SECONDS / 2
        return OLD

    assert [lately.get(slow) for _ in range(3)] == [OLD] * 3
    assert len(asked) == 1
    clock[0] = 1000.0 + LEASE_SECONDS
    lately.get(slow)
    assert len(asked) == 2


def test_an_answer_that_comes_late_does_not_replace_what_came_after_it(clock: list[float]) -> None:
    lately = Lately()

    def overtaken() -> Version:
        lately.fresh(lambda: NEW)  # by another thread
        return OLD

    assert lately.fresh(overtaken) == OLD
    assert lately.get(lambda: OLD) == NEW
