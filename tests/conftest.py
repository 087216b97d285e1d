"""The order of all tests, and their ports."""

from __future__ import annotations

import pytest

from tests.real.processes import free_port


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with real servers come first: they take longest, and what is short fills the gaps at the end."""
    items.sort(key=lambda item: item.get_closest_marker("real") is None)


@pytest.fixture
def unused_tcp_port() -> int:
    """A port that is still free after its server was stopped; pytest-asyncio's may be given to a connection."""
    return free_port()
