"""The plays store in memory is no friendlier than a real one: it passes the same suite."""

from __future__ import annotations

import pytest

from models.stores.port import PlayStores
from tests.consumers.fakes import Cells, MemoryPlays
from tests.contract.play_stores import Make, PlayStoresContract


class TestMemoryPlays(PlayStoresContract):
    @pytest.fixture
    def make(self) -> Make:
        cells = Cells()

        def another() -> PlayStores:
            return MemoryPlays(cells)

        return another
