"""
A thousand simulated worlds, each decided by its seed; and what the simulator is worth: it finds planted mistakes.

``python -m tests.simulator --seeds 10000`` runs more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from consumers.plays import PartitionFold
from consumers.rowcache import RowCache
from tests.simulator.__main__ import report
from tests.simulator.memory_sql import MemorySql
from tests.simulator.run import simulate

BLOCKS, EACH = 10, 100
ENOUGH = 300
"""Seeds within which every planted mistake has to show."""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_read_models_are_a_fold_of_the_log(block: int) -> None:
    for seed in range(block * EACH, (block + 1) * EACH):
        outcome = simulate(seed)
        assert not outcome.violations, report(seed, outcome)


def test_a_seed_does_the_same_each_time() -> None:
    for seed in range(8):
        assert simulate(seed, tracing=True) == simulate(seed, tracing=True)


def no_compare_and_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemorySql, "_compare_position", lambda self, step: None)


def no_row_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowCache, "_guard", lambda self, stamp: 0)


def checkpoint_before_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    flush, save = PartitionFold.flush, PartitionFold._save

    def reversed_flush(self: PartitionFold, next_offset: int, last_event_id: str) -> None:
        save(self, next_offset, last_event_id)
        # In this object alone: others may flush while this one stands still.
        vars(self)["_save"] = lambda *_: None
        flush(self, next_offset, last_event_id)
        del vars(self)["_save"]

    monkeypatch.setattr(PartitionFold, "flush", reversed_flush)


@pytest.mark.parametrize("mutate", [no_compare_and_swap, no_row_guard, checkpoint_before_rows])
def test_a_protection_taken_away_is_found(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert first_failing(range(ENOUGH)) is not None


def first_failing(seeds: Iterable[int]) -> int | None:
    return next((seed for seed in seeds if simulate(seed).violations), None)
