"""
What every SQL store promises; an adapter's test subclasses SqlStoresContract and gives it a fixture ``url``: the URL
of a fresh database without tables.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from models.errors import Unavailable
from models.stores.port import SqlStores
from models.stores.sql import SqlStore
from models.stores.versions import Versions
from tests.contract.sql_base import Opener, opened
from tests.contract.sql_catalogue import SqlCatalogueContract
from tests.contract.sql_positions import SqlPositionsContract
from tests.contract.sql_reactions import SqlReactionsContract
from tests.contract.sql_versions import SqlVersionsContract


class SqlStoresContract(SqlPositionsContract, SqlReactionsContract, SqlCatalogueContract, SqlVersionsContract):
    """Everything behind one URL."""

    def connect(self, url: str) -> SqlStores:
        return SqlStore(url)

    def test_create_by_many_at_once(self, another: Opener) -> None:
        stores = [another() for _ in range(5)]
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda store: store.create(), stores))
        for store in stores:
            store.ping()
            opened(store)

    def test_missing_tables_are_named(self, another: Opener) -> None:
        store = another()
        with suppress(Unavailable):  # a SQLite file whose folder is not there
            names = set(store.missing())
            assert {"content_main", "content_like", "consumer_offset", "dead_letter", "read_model"} <= names
        store.create()
        assert store.missing() == []

    def test_missing_tables_of_the_active_version_are_named(self, store: SqlStores) -> None:
        assert isinstance(store, Versions)
        row = store.version("reactions")
        store.change("reactions", row, row.changed(active=2))
        assert "content_like_v2" in store.missing()
        store.make("reactions", 2)
        assert store.missing() == []

    def test_it_says_what_it_is(self, store: SqlStores) -> None:
        about = store.about()
        assert re.search(r"(SQLite|MySQL|MariaDB)", about.version)
        assert about.now_ms is None or abs(about.now_ms - time.time() * 1000) < 60_000

    def test_create_again_keeps_what_is_there(self, store: SqlStores, another: Opener) -> None:
        opened(store)
        another().create()
        assert len(another().positions("reactions", "behavior.reactions")) == 1
