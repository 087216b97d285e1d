"""The SQL store on a real MariaDB: the contract, and what is a server's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pymysql
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from models.errors import Unavailable
from models.stores.port import Counts, Film, Kind, Pair, SqlStores
from models.stores.sql import SqlStore
from models.stores.sql_database import WRITERS
from models.stores.sql_reactions import _Statements
from tests.contract.sql_base import letter, opened, position, reaction, step, view_step, wins
from tests.contract.sql_reactions import SqlReactionsContract
from tests.contract.sql_stores import SqlStoresContract
from tests.real.mariadb import MariaDB

pytestmark = pytest.mark.real

Rows = list[tuple[Any, ...]]


class TestSqlStoreOnMariaDB(SqlStoresContract):
    """The contract on MariaDB."""

    @pytest.fixture
    def url(self, mariadb_url: str) -> str:
        return mariadb_url


class TestSqlStoreByTheNameOfMySQL(SqlReactionsContract):
    """Through SQLAlchemy's dialect of MySQL, which speaks to MariaDB too: the suite that has most statements."""

    def connect(self, url: str) -> SqlStores:
        return SqlStore(url)

    @pytest.fixture
    def url(self, mariadb_url: str) -> str:
        return mariadb_url.replace("mariadb+", "mysql+", 1)


class Foreign:
    """Another client of the same database, in a transaction of its own."""

    def __init__(self, url: str) -> None:
        parts = make_url(url)
        self._connection = pymysql.connect(
            host=parts.host, port=parts.port or 0, user="root", database=parts.database, read_timeout=30
        )

    def __call__(self, statement: str) -> Rows:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def foreign(mariadb_url: str) -> Iterator[Foreign]:
    with closing(Foreign(mariadb_url)) as client:
        yield client


@pytest.fixture
def store(mariadb_url: str) -> Iterator[SqlStores]:
    with closing(SqlStore(mariadb_url)) as store:
        store.create()
        opened(store)
        yield store


def until(condition: Callable[[], object]) -> None:
    """Wait for another thread or the server; the test's own time limit ends a wait for what never comes."""
    while not condition():
        time.sleep(0.01)


def waiting(mariadb: MariaDB) -> int:
    """
    How many transactions wait for a lock.

    Not asked of information_schema.innodb_trx, which shows an old picture to who looks ten times a second.
    """
    with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int((cursor.fetchone() or ("", 0))[1])


def waiting_for_locks(url: str, seconds: int) -> str:
    """The URL of a store whose statements wait so long for a lock."""
    return f"{url}?init_command=SET%20SESSION%20innodb_lock_wait_timeout%20=%20{seconds}"


def test_the_victim_of_a_deadlock_tries_again(store: SqlStores, foreign: Foreign, mariadb: MariaDB) -> None:
    store.apply_reactions(step(0, 1), [reaction(1, 1, 1, kind="collect"), reaction(1, 9, 9)])
    # The server gives up the transaction that has changed less: not this one.
    foreign(
        "INSERT INTO content_main (id, title, category, cover_url, video_url, duration, owner_id, status,"
        " audit_status, clicks, created_at) SELECT seq, 'x', 1, '', '', 0, 1, 0, 0, 0, 0 FROM seq_1_to_500"
    )
    foreign("SELECT 1 FROM content_like WHERE user_id = 9 FOR UPDATE")
    rows = [reaction(2, 1, 1, kind="collect", status=0), reaction(2, 9, 9, status=0)]
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(store.apply_reactions, step(1, 2), rows, [letter(1)])
        until(lambda: waiting(mariadb))
        deadlocks = "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'"
        before = foreign(deadlocks)
        foreign("SELECT 1 FROM content_collect WHERE user_id = 1 FOR UPDATE")
        assert foreign(deadlocks) != before
        foreign.rollback()
        applied.result()
    assert position(store) == 2
    assert store.counts([1, 9]) == {}
    assert store.dead() == [letter(1)]


def test_a_lock_that_stays_is_unavailable(mariadb_url: str, store: SqlStores, foreign: Foreign) -> None:
    foreign("SELECT 1 FROM consumer_offset FOR UPDATE")
    with (
        closing(SqlStore(waiting_for_locks(mariadb_url, 0))) as other,
        pytest.raises(Unavailable, match="Lock wait timeout exceeded"),
    ):
        other.apply_reactions(step(0, 1), [reaction(1, 1, 1)])
    foreign.rollback()
    store.apply_reactions(step(0, 1), [reaction(1, 1, 1)])
    assert store.counts([1]) == {1: Counts(likes=1)}


def test_connections_cut_by_the_server_are_replaced(store: SqlStores, foreign: Foreign) -> None:
    store.ping()
    for (connection,) in foreign(
        "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = DATABASE()"
    ):
        foreign(f"KILL {connection}")
    store.apply_reactions(step(0, 1), [reaction(1, 1, 1)])
    assert position(store) == 1


def test_a_connection_cut_within_a_transaction_is_unavailable(
    store: SqlStores, foreign: Foreign, mariadb: MariaDB
) -> None:
    foreign("SELECT 1 FROM consumer_offset FOR UPDATE")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(store.apply_reactions, step(0, 1), [reaction(1, 1, 1)])
        until(lambda: waiting(mariadb))
        found = foreign("SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
        foreign(f"KILL {found[0][0]}")
        with pytest.raises(Unavailable):
            applied.result()
    foreign.rollback()
    assert (position(store), store.counts([1])) == (0, {})


def test_a_pool_without_a_free_connection_is_unavailable(
    mariadb_url: str, store: SqlStores, foreign: Foreign, mariadb: MariaDB
) -> None:
    foreign("SELECT 1 FROM consumer_offset FOR UPDATE")
    with closing(SqlStore(waiting_for_locks(mariadb_url, 9))) as patient, ThreadPoolExecutor(WRITERS) as pool:
        applied = [pool.submit(wins, lambda: patient.apply_reactions(step(0, 1), [])) for _ in range(WRITERS)]
        until(lambda: waiting(mariadb) == WRITERS)
        with pytest.raises(Unavailable, match="every connection of the pool is in use"):
            patient.apply_reactions(step(0, 1), [])
        foreign.rollback()
        assert sorted(future.result() for future in applied) == [False] * (WRITERS - 1) + [True]


@pytest.mark.parametrize(
    "address",
    ["root:hush-hush@127.0.0.1:{closed}/x", "nobody:hush-hush@127.0.0.1:{port}/x", "root@127.0.0.1:{port}/absent"],
)
def test_a_server_that_is_away_or_refuses_is_unavailable(mariadb: MariaDB, address: str) -> None:
    url = "mariadb+pymysql://" + address.format(port=mariadb.port, closed=1)
    with closing(SqlStore(url)) as store:
        for use in (store.ping, store.create, lambda: store.rank(1), lambda: store.load([Film(title="a")])):
            with pytest.raises(Unavailable) as caught:
                use()
            assert "hush-hush" not in str(caught.value)
            assert "\n" not in str(caught.value)


def test_without_tables_it_is_unavailable(mariadb_url: str) -> None:
    with closing(SqlStore(mariadb_url)) as store, pytest.raises(Unavailable, match="content_main' doesn't exist"):
        store.rank(1)


def test_rank_and_statuses_use_their_index(store: SqlStores, foreign: Foreign) -> None:
    store.load(Film(title=f"film {n}", status=n % 2) for n in range(3000))
    store.apply_clicks(view_step(0, 1), {n: n % 97 for n in range(1, 3000)})
    store.apply_reactions(step(0, 1), [reaction(1, n, n) for n in range(1, 5000)])
    foreign("ANALYZE TABLE content_main, content_like")
    (rank,) = foreign("EXPLAIN SELECT id, title FROM content_main WHERE status = 0 ORDER BY clicks DESC, id LIMIT 10")
    assert rank[5] == "content_main_rank"
    assert "filesort" not in rank[-1]
    pairs = ", ".join(f"({n}, {n})" for n in range(1, 500))
    (look,) = foreign(f"EXPLAIN SELECT status FROM content_like WHERE (user_id, content_id) IN ({pairs})")
    assert (look[3], look[5]) == ("range", "PRIMARY")


def test_states_and_counts_are_one_query_by_their_indexes(store: SqlStores, foreign: Foreign) -> None:
    store.apply_reactions(step(0, 1), [reaction(1, n, n) for n in range(1, 5000)])
    asked: dict[Kind, list[Pair]] = {kind: [(n, n) for n in range(1, 20)] for kind in ("like", "collect", "follow")}
    queries = list(_Statements(1).states(create_engine("mysql+pymysql://").dialect, asked, range(1, 20)))
    assert len(queries) == 1
    foreign("ANALYZE TABLE content_like, content_collect, user_follow, reaction_count")
    looks = [row for row in foreign("EXPLAIN " + queries[0]) if row[2] and not row[2].startswith("<")]
    assert len(looks) == 5
    large = [(row[3], row[5]) for row in looks if row[2] in ("content_like", "reaction_count")]
    assert all(key == "PRIMARY" and kind in ("range", "ref") for kind, key in large), large

    def selects() -> int:
        return int(foreign("SHOW GLOBAL STATUS WHERE Variable_name = 'Com_select'")[0][1])

    before = selects()
    assert store.states(asked, range(1, 20)).counts[7] == Counts(likes=1)
    assert selects() - before <= 2  # the row that names the version may be one


def test_many_rows_are_few_statements(store: SqlStores, foreign: Foreign) -> None:
    """PyMySQL sends an upsert row by row when it does not recognise it."""

    def statements() -> int:
        rows = foreign("SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_insert', 'Com_select', 'Com_update')")
        return sum(int(value) for _, value in rows)

    rows = [reaction(1, user, user % 90 + 1) for user in range(1, 3001)]
    before = statements()
    store.apply_reactions(step(0, 1), rows)
    assert statements() - before < 12
