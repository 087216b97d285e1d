"""Replay of a real Kafka; kcat and Kafka's own console consumer read the same records."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from models import events, topics
from models.eventlog.kafka import KafkaLog
from models.eventlog.plan import carry_out
from models.events import BY_TOPIC, DEAD, PLAYS
from tests.contract.replay import ReplayContract
from tests.contract.replay_export import ExportContract
from tests.contract.replay_stage import Stage, collector, manifest_of, table
from tests.real.install import KAFKA_LIB
from tests.real.kafka import Kafka
from tests.real.processes import java
from tests.running import Process, eventually

pytestmark = pytest.mark.real
__all__ = ["collector"]

MANY = 200_000
"""Records of the export that is killed, so that there is time to."""


def _stage(kafka: Kafka, folder: Path) -> Stage:
    """Empty topics."""
    contract = topics.load(replication=1)
    env = {"PLAYTRAIL_EVENTS": kafka.url, "PLAYTRAIL_DATA": str(folder), "PLAYTRAIL_REPLICATION": "1"}
    stage = Stage(KafkaLog(kafka.address, contract), env)

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
        await admin.start()
        try:
            await admin.delete_topics(list(set(await admin.list_topics()) & {*BY_TOPIC, DEAD}))
        finally:
            await admin.close()
        async with stage.log.admin() as ours:
            await carry_out(ours, contract)

    asyncio.run(create())
    return stage


@pytest.fixture(scope="module")
def stage(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Topics of our own, filled."""
    stage = _stage(kafka, tmp_path_factory.mktemp("replay"))
    asyncio.run(stage.fill())
    return stage


class TestReplayReal(ReplayContract):
    def test_kcat_and_the_console_consumer_read_the_same(self, stage: Stage, kafka: Kafka) -> None:
        ours = sorted(stage.run(PLAYS).stdout_bytes.splitlines())
        servers = kafka.address
        kcat = ["kcat", "-C", "-e", "-q", "-b", servers, "-t", PLAYS]
        assert sorted(_output(kcat).splitlines()) == ours
        tool = ("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", servers, "--topic", PLAYS,
                "--from-beginning", "--max-messages", str(len(ours)), "--timeout-ms", "20000")  # fmt: skip
        assert sorted(_output(java(KAFKA_LIB, *tool, heap="256m", quick=True)).splitlines()) == ours

    def test_no_group_is_touched(self, stage: Stage, kafka: Kafka) -> None:
        async def groups() -> list[str]:
            admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
            await admin.start()
            try:
                return sorted(str(group) for group in await admin.list_consumer_groups())
            finally:
                await admin.close()

        before = asyncio.run(groups())
        assert stage.run(PLAYS).exit_code == 0
        assert asyncio.run(groups()) == before


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout


class TestExportReal(ExportContract):
    pass


def test_a_transaction_of_another_writer_is_read_to_its_end(kafka: Kafka, tmp_path: Path) -> None:
    stage = _stage(kafka, tmp_path)

    async def write() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.address, transactional_id="another")
        await producer.start()
        try:
            for value, error in ((events.encode(stage.play(1)), None), (events.encode(stage.play(2)), KeyError)):
                with contextlib.suppress(KeyError):
                    async with producer.transaction():
                        await producer.send_and_wait(PLAYS, value, partition=3)
                        if error is not None:
                            raise error
        finally:
            await producer.stop()

    asyncio.run(write())
    (row,) = stage.rows(PLAYS)  # the other was taken back; both have left marks behind them
    assert row["event"] == "ping"
    assert "partition 3: offsets 0 to 4" in stage.run(PLAYS, "--dry-run").stdout


def test_an_export_that_was_killed_goes_on(kafka: Kafka, tmp_path: Path) -> None:
    stage = _stage(kafka, tmp_path)
    lines = [events.encode(stage.play(number)) for number in range(1_000)]
    (tmp_path / "lines").write_bytes(b"\n".join(lines * (MANY // len(lines))))
    _output(["kcat", "-P", "-b", kafka.address, "-t", PLAYS, "-l", str(tmp_path / "lines")])
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    done = asyncio.run(_kill_in_the_middle(stage, killed))
    assert not (killed / "manifest.json").exists()
    for folder in (killed, whole):
        result = stage.run(PLAYS, "-o", folder, "--resume")
        assert result.exit_code == 0, result.stderr
    found, expected = ({**manifest_of(folder), "finished": ""} for folder in (killed, whole))
    assert found == expected
    assert 0 < done < len(found["chunks"])
    assert table(f"SELECT count(*), count(DISTINCT event_id) FROM '{killed}/**/*.parquet'") == [(MANY, len(lines))]


async def _kill_in_the_middle(stage: Stage, folder: Path) -> int:
    """How many chunks were done when an export was killed."""
    progress = folder / "progress.jsonl"

    async def begun() -> bool:
        return progress.exists() and progress.read_bytes().count(b"\n") > 1

    async with Process("replay", PLAYS, "-o", str(folder), env=stage.env) as process:
        await eventually(begun, "the first chunk")
        await process.kill9()
    return progress.read_bytes().count(b"\n") - 1
