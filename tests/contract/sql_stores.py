"""
What every SQL store promises; an adapter's test subclasses SqlStoresContract and gives it a fixture ``url``: the URL
of a fresh database without tables.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from models.stores.port import SqlStores
from models.stores.sql import SqlStore
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

    def test_create_again_keeps_what_is_there(self, store: SqlStores, another: Opener) -> None:
        opened(store)
        another().create()
        assert len(another().positions("reactions", "behavior.reactions")) == 1
