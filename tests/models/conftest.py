"""Fixtures that several tests of the models share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from models.lag.sampler import Sampler
from models.stores.sql import SqlStore
from tests.models.lagging import Bench, make_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'playtrail.db'}")) as sql:
        sql.create()
        yield await make_bench(tmp_path, sql)


@pytest.fixture
async def sampler(bench: Bench) -> AsyncIterator[Sampler]:
    async with bench.sampler() as entered:
        yield entered
