"""The pipeline on real Kafka, MariaDB and HBase; the log is read back by kcat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from models.events import BY_TOPIC, DEAD
from tests.contract.crash import CrashContract
from tests.contract.pipeline import SECRET, PipelineContract

pytestmark = pytest.mark.real


@pytest.fixture
async def env(tmp_path: Path, kafka_url: str, mariadb_url: str, hbase_url: str) -> dict[str, str]:
    """Settings of the real servers, with topics that nobody has written to."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_url.removeprefix("kafka://"))
    await admin.start()
    try:
        await admin.delete_topics(list(set(await admin.list_topics()) & {*BY_TOPIC, DEAD}))
    finally:
        await admin.close()
    return {
        "PLAYTRAIL_EVENTS": kafka_url,
        "PLAYTRAIL_DB": mariadb_url,
        "PLAYTRAIL_PLAYS": hbase_url,
        "PLAYTRAIL_REPLICATION": "1",
        "PLAYTRAIL_SECRET": SECRET,
        "PLAYTRAIL_DATA": str(tmp_path / "data"),
    }


class TestReal(PipelineContract):
    async def foreign_records(self, env: Mapping[str, str], topic: str) -> list[dict[str, Any]]:
        broker = env["PLAYTRAIL_EVENTS"].removeprefix("kafka://")
        process = await asyncio.create_subprocess_exec(
            "kcat", "-C", "-e", "-q", "-b", broker, "-t", topic, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return [json.loads(line) for line in out.splitlines()]


class TestCrashReal(CrashContract):
    pass
