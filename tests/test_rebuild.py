"""Rebuilding on the embedded default; and what a rebuild refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.pipeline import SECRET
from tests.contract.rebuild import RebuildContract


class TestRebuildEmbedded(RebuildContract):
    @pytest.fixture
    def env(self, tmp_path: Path) -> dict[str, str]:
        return {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_SECRET": SECRET}
