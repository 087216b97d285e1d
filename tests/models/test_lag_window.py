"""The states by Burrow's rules, each reached, and what else follows from samples alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lag.window import (
    COUNT,
    STATES,
    TREND,
    WINDOW_MS,
    Rates,
    Sample,
    State,
    appended_ms,
    catch_up,
    kept,
    rates,
    state,
)

SECOND = 1_000


def window(*looks: tuple[int, int], owned: bool = True, every: float = 5.0) -> list[Sample]:
    """Samples at equal distances from (position, end) pairs."""
    return [Sample(round(n * every * SECOND), position, end, owned) for n, (position, end) in enumerate(looks)]


SEVEN = [(n, 100) for n in range(7)]

CASES: dict[str, tuple[State, Sequence[Sample]]] = {
    "no position": ("unknown", []),
    "nothing to fold": ("OK", window((0, 0), (0, 0))),
    "a first look with lag": ("OK", window((0, 100))),
    "lag that shrinks": ("OK", window((0, 100), (90, 101))),
    "caught up after a stop": ("OK", window((0, 9), (0, 9), (9, 9))),
    "lag was zero within the window": ("OK", window((5, 5), (5, 9), (5, 12), (5, 20), (5, 30))),
    "lag that only grows": ("WARN", window(*((n, 100 + 3 * n) for n in range(TREND)))),
    "lag that stays": ("WARN", window(*((n, 100 + n) for n in range(TREND)))),
    "too few looks for a trend": ("OK", window(*((n, 100 + 3 * n) for n in range(TREND - 1)))),
    "one look with less lag ends a warning": ("OK", window(*((n, 100 + 3 * n) for n in range(TREND)), (30, 101))),
    "an owner that stands still": ("STALL", window((5, 9), (5, 9), (5, 30))),
    "nobody there, ever": ("STOP", window((5, 9), (5, 9), owned=False)),
    "gone for longer than it was seen": ("STOP", [*window((1, 99), (2, 99)), Sample(20 * SECOND, 2, 99, False)]),
    "gone, but not for long": ("OK", [*window(*SEVEN), Sample(35 * SECOND, 6, 100, False)]),
    "moves though nobody is known": ("OK", window((1, 99), (9, 99), (30, 99), owned=False)),
    "slow topic: the record has only just come": ("OK", window((9, 9), (9, 9), (9, 10), owned=False)),
    "went back": ("REWIND", window((50, 60), (10, 60), (20, 60))),
    "went back and regained it": ("OK", window((50, 60), (10, 60), (55, 60))),
    "went back with nothing to fold": ("OK", window((50, 60), (10, 10))),
    "stopped comes before went back": ("STOP", [*window((50, 60), (10, 60)), Sample(60 * SECOND, 10, 60, False)]),
}


@pytest.mark.parametrize("name", CASES)
def test_state(name: str) -> None:
    expected, samples = CASES[name]
    assert state(samples) == expected


def test_each_state_is_reached() -> None:
    assert {expected for expected, _ in CASES.values()} == set(STATES)


@st.composite
def windows(draw: st.DrawFn) -> list[Sample]:
    """Any history: positions go anywhere, even above an end that was cut; time and end do not go back."""
    samples, at_ms, end = [], 0, draw(st.integers(0, 50))
    for _ in range(draw(st.integers(0, 12))):
        at_ms += draw(st.integers(1, 60_000))
        end += draw(st.integers(0, 30))
        samples.append(Sample(at_ms, draw(st.integers(0, end + 5)), end, draw(st.booleans())))
    return samples


@given(windows())
def test_unknown_is_no_position_and_no_lag_is_ok(samples: list[Sample]) -> None:
    found = state(samples)
    assert (found == "unknown") == (not samples)
    if samples and samples[-1].lag == 0:
        assert found == "OK"
    if found == "STALL":
        assert len({sample.position for sample in samples}) == 1
    if found in ("STALL", "WARN"):
        assert min(sample.lag for sample in samples) > 0


@given(windows())
def test_nothing_is_ever_negative(samples: list[Sample]) -> None:
    assert all(sample.lag >= 0 for sample in samples)
    speed = rates(samples)
    assert speed is None or min(speed) >= 0
    if samples:
        left = catch_up(samples[-1].lag, speed)
        assert left is None or left >= 0
        assert (left == 0) == (samples[-1].lag == 0)


@given(windows())
def test_an_estimated_time_is_within_what_was_seen(samples: list[Sample]) -> None:
    for sample in samples:
        found = appended_ms(samples, sample.position)
        assert (found is None) == (sample.position >= samples[-1].end)
        assert found is None or samples[0].at_ms <= found <= samples[-1].at_ms


def test_a_window_is_bounded_by_time_and_by_count() -> None:
    many = [Sample(n, n, n, True) for n in range(3 * COUNT)]
    assert kept(many, many[-1].at_ms) == many[-COUNT:]
    assert kept([Sample(0, 0, 0, True), Sample(1, 0, 0, True)], WINDOW_MS + 1) == [Sample(1, 0, 0, True)]


def test_rates_are_of_the_last_minute() -> None:
    samples = window(*((100 * n, 200 * n) for n in range(4)), *((300, 800) for _ in range(12)))
    assert rates(samples) == Rates(200 / 60, 0)
    assert rates(window((0, 0))) is None
    assert rates([]) is None
    assert rates(window((50, 50), (10, 60))) == Rates(2, 0)


def test_time_to_catch_up() -> None:
    assert catch_up(60, Rates(10, 40)) == 2
    assert catch_up(60, Rates(10, 10)) == math.inf
    assert catch_up(60, Rates(0, 0)) == math.inf
    assert catch_up(60, None) is None
    assert catch_up(0, None) == 0


def test_the_time_of_a_record_that_cannot_be_read_is_interpolated() -> None:
    samples = window((0, 100), (0, 100), (0, 200), every=10)
    assert appended_ms(samples, 149) == 15 * SECOND
    assert appended_ms(samples, 199) == 20 * SECOND
    assert appended_ms(samples, 99) == 0
    assert appended_ms(samples, 200) is None
