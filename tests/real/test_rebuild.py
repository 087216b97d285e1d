"""Rebuilding on real Kafka, MariaDB and HBase, under load."""

from __future__ import annotations

import pytest

from tests.contract.rebuild import RebuildContract
from tests.real.test_end_to_end import env

pytestmark = pytest.mark.real
__all__ = ["env"]


class TestRebuildReal(RebuildContract):
    pass
