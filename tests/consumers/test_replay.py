"""Replay of the embedded log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from models import topics
from models.eventlog.plan import carry_out
from models.eventlog.sqlite import SqliteLog
from tests.contract.replay import ReplayContract
from tests.contract.replay_export import ExportContract
from tests.contract.replay_stage import Stage, collector

__all__ = ["collector"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder: Path = tmp_path_factory.mktemp("replay")
    contract = topics.load()
    stage = Stage(SqliteLog(folder / "events.db", contract), {"PLAYTRAIL_DATA": str(folder)})

    async def fill() -> None:
        async with stage.log.admin() as admin:
            await carry_out(admin, contract)
        await stage.fill()

    asyncio.run(fill())
    return stage


class TestReplay(ReplayContract):
    pass


class TestExport(ExportContract):
    pass
