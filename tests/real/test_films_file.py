"""A real file of films, as others publish it: titles that are numbers or missing, empty cells, odd characters."""

from __future__ import annotations

import pytest

from models.films import BadRow, Film, read
from tests.real.install import FILMS

pytestmark = pytest.mark.real


def test_every_film_but_the_nameless_one_is_read() -> None:
    rows = list(read(FILMS))
    assert [str(row) for row in rows if isinstance(row, BadRow)] == [
        "element 3054: title is None; allowed: 1 to 255 characters"
    ]
    films = {row.title: row for row in rows if isinstance(row, Film)}
    assert len(rows) == 3201
    assert {"1776", "300", "9", "Alien³"} <= set(films)
    assert films["300"].duration == 117 * 60
    assert films["300"].facts["director"] == "Zack Snyder"
    assert films["300"].facts["category"] == "Action"
    assert films["300"].facts["rating"] == "7.8"
