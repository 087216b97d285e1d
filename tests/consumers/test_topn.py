"""The bounded list equals sorting everything, as long as values only grow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.topn import TopList

steps = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=80)


@given(steps)
def test_it_is_the_head_of_the_sorted_values(steps: list[tuple[int, int]]) -> None:
    values: dict[int, int] = {}
    top = TopList(kept=4)
    for item, growth in steps:
        values[item] = values.get(item, 0) + growth
        top.offer(item, values[item])
        ranked = sorted((-value, known) for known, value in values.items())
        assert top.pairs() == tuple((known, -value) for value, known in ranked[:4])


def test_a_smaller_value_is_older_and_changes_nothing() -> None:
    top = TopList([(1, 5), (2, 7)], kept=4)
    top.offer(2, 6)
    assert top.pairs() == ((2, 7), (1, 5))
