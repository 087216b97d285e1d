"""The SQL store on a SQLite file: the contract, and what is SQLite's own."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from models.errors import Unavailable
from models.stores.port import Film
from models.stores.sql import SqlStore
from tests.contract.sql_base import LOG, opened, position, reaction, step
from tests.contract.sql_stores import SqlStoresContract


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new folder' / 'playtrail.db'}"


class TestSqlStoreOnSQLite(SqlStoresContract):
    """The contract on a SQLite file."""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A database with tables and one film."""
    path = tmp_path / "a.db"
    with closing(SqlStore(f"sqlite:///{path}")) as store:
        store.create()
        opened(store)
        store.load([Film(id=1, title="a")])
        yield path


def take_steps(url: str, partition: int, steps: int) -> None:
    """Run in a process of its own."""
    with closing(SqlStore(url)) as store:
        store.create()
        store.open("reactions", "behavior.reactions", partition, LOG, 0)
        for offset in range(steps):
            rows = [reaction(offset, 100 * partition + user, 1) for user in range(1, 50)]
            store.apply_reactions(step(offset, offset + 1, partition), rows)


def test_processes_write_at_once_and_wait_for_each_other(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=take_steps, args=(url, partition, 40)) for partition in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with closing(SqlStore(url)) as store:
        assert [position(store, partition) for partition in range(4)] == [40] * 4
        assert store.counts([1])[1].likes == 4 * 49


def test_a_foreign_lock_is_unavailable_to_writers_and_nothing_to_readers(file: Path) -> None:
    with closing(SqlStore(f"sqlite:///{file}?timeout=0.1")) as store, closing(sqlite3.connect(file)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="sql is unavailable: database is locked"):
            store.apply_reactions(step(0, 1), [])
        assert store.rank(1) == [(1, "a")]
        foreign.rollback()
        store.apply_reactions(step(0, 1), [])


def test_the_file_has_a_write_ahead_log_and_every_commit_is_synced(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with closing(SqlStore(f"sqlite:///{file}")) as store:
        assert store._database.read(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar()) == 2


def test_rank_reads_the_index_in_order(file: Path) -> None:
    plan = "EXPLAIN QUERY PLAN SELECT id, title FROM content_main WHERE status = 0 ORDER BY clicks DESC, id LIMIT 10"
    with closing(sqlite3.connect(file)) as connection:
        steps = [row[3] for row in connection.execute(plan)]
    assert steps == ["SEARCH content_main USING INDEX content_main_rank (status=?)"]


def unavailable(path: Path, use: Callable[[SqlStore], object]) -> str:
    """What the store says about a database that cannot be used."""
    with closing(SqlStore(f"sqlite:///{path}")) as store, pytest.raises(Unavailable) as caught:
        use(store)
    return str(caught.value)


def test_a_file_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a database at all, but text " * 40)
    assert "no such table: content_main" in unavailable(tmp_path / "empty.db", lambda store: store.rank(1))
    assert "unable to open database file" in unavailable(tmp_path / "absent" / "a.db", SqlStore.ping)
    assert "file is not a database" in unavailable(text, SqlStore.create)
    assert "File exists" in unavailable(text / "a.db", SqlStore.create)


def test_nothing_is_touched_until_it_is_used(tmp_path: Path) -> None:
    SqlStore(f"sqlite:///{tmp_path / 'a' / 'b.db'}").close()
    assert list(tmp_path.iterdir()) == []
