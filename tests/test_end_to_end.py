"""The pipeline on the embedded default."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.crash import CrashContract
from tests.contract.pipeline import SECRET, PipelineContract


class TestEmbedded(PipelineContract):
    @pytest.fixture
    def env(self, tmp_path: Path) -> dict[str, str]:
        return {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_SECRET": SECRET}

    async def foreign_records(self, env: Mapping[str, str], topic: str) -> list[dict[str, Any]]:
        """By SQLite's own SQL: the view ``records`` is what an analyst has without our code."""
        script = "import sqlite3, sys; [print(v.decode()) for v, in sqlite3.connect(sys.argv[1]).execute("
        script += "'SELECT value FROM records WHERE topic = ? ORDER BY partition, record_offset', (sys.argv[2],))]"
        path = str(Path(env["PLAYTRAIL_DATA"]) / "events.db")
        process = await asyncio.create_subprocess_exec(
            "python3", "-c", script, path, topic, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return [json.loads(line) for line in out.splitlines()]


class TestCrashEmbedded(CrashContract):
    @pytest.fixture
    def env(self, tmp_path: Path) -> dict[str, str]:
        return {"PLAYTRAIL_DATA": str(tmp_path / "data")}
