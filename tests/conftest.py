"""The order of all tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with real servers come first: they take longest, and what is short fills the gaps at the end."""
    items.sort(key=lambda item: item.get_closest_marker("real") is None)
