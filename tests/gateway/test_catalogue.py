"""The catalogue in memory, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import catalogue as module
from gateway.catalogue import Catalogue
from gateway.envelope import HttpError
from gateway.workers import Workers
from models.errors import Unavailable
from models.stores.port import Film
from models.stores.sql import SqlStore


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'playtrail.db'}")
    store.create()
    yield store
    store.close()


@pytest.fixture
def catalogue(sql: SqlStore) -> Iterator[Catalogue]:
    workers = Workers("sql")
    yield Catalogue(workers, sql)
    workers.close()


def _film(number: int, audit: int = 0, owner: int = 1) -> Film:
    return Film(id=number, title=f"film {number}", owner_id=owner, audit_status=audit)


async def test_before_the_first_reading_it_says_so(catalogue: Catalogue) -> None:
    with pytest.raises(Unavailable):
        await catalogue.find(1)


async def test_pages_new_ids_and_withdrawals(
    sql: SqlStore, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    monkeypatch.setattr(module, "LOOKUPS", 0)
    sql.load([_film(n, audit=n % 5 == 0) for n in range(1, 11)])
    await catalogue.refresh()
    assert len(catalogue) == 8
    assert sorted(catalogue.sample(100)) == [1, 2, 3, 4, 6, 7, 8, 9]
    sql.load([_film(11, owner=9), _film(12, audit=1), _film(1, audit=1), _film(5)])
    await catalogue.refresh()
    assert (await catalogue.find(11)).owner_id == 9
    assert (await catalogue.find(1)).owner_id == 1  # a full reading is not due yet
    monkeypatch.setattr(catalogue, "_next_full", float("-inf"))
    monkeypatch.setattr(module, "TURN_SECONDS", 0)
    for _ in range(4):  # one page a turn, and all of them are taken when the reading is whole
        assert (await catalogue.find(1)).owner_id == 1
        await catalogue.refresh()
    await catalogue.refresh()
    assert sorted(catalogue.sample(100)) == [2, 3, 4, 5, 6, 7, 8, 9, 11]
    with pytest.raises(HttpError):
        await catalogue.find(1)


async def test_an_unknown_id_is_looked_up(sql: SqlStore, catalogue: Catalogue) -> None:
    sql.load([_film(5)])
    await catalogue.refresh()
    sql.load([_film(3, owner=4), _film(9), _film(10, audit=1)])
    assert (await catalogue.find(3)).owner_id == 4
    assert await catalogue.find(9)
    for number in (10, 11):
        with pytest.raises(HttpError):
            await catalogue.find(number)


async def test_a_failed_reading_leaves_all_as_it_was(
    sql: SqlStore, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.load([_film(n) for n in range(1, 5)])
    await catalogue.refresh()

    def away(*_: object) -> None:
        raise Unavailable("sql", "switched off by the test")

    monkeypatch.setattr(sql, "entries", away)
    monkeypatch.setattr(catalogue, "_next_full", float("-inf"))
    with pytest.raises(Unavailable):
        await catalogue.refresh()
    assert len(catalogue) == 4
    assert await catalogue.find(4)
