"""Dead letters of real Kafka and MariaDB: put aside by a consumer, put back by an operator, folded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from models import events, topics
from models.eventlog.kafka import KafkaLog
from models.stores.sql import SqlStore
from tests.consumers.making import junk, message
from tests.consumers.test_retry import letter_of
from tests.contract.eventlog_base import until_ready
from tests.real.kafka import Kafka
from tests.running import Process, command, eventually

pytestmark = pytest.mark.real

USER, VIDEO = 8_700_001, 5


@pytest.fixture
def env(tmp_path: Path, kafka_url: str, mariadb_url: str) -> dict[str, str]:
    urls = {"PLAYTRAIL_EVENTS": kafka_url, "PLAYTRAIL_DB": mariadb_url, "PLAYTRAIL_REPLICATION": "1"}
    return urls | {"PLAYTRAIL_DATA": str(tmp_path)}


@pytest.fixture
def sql(mariadb_url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(mariadb_url)) as store:
        yield store


async def test_put_aside_put_back_and_folded(env: dict[str, str], kafka: Kafka, sql: SqlStore) -> None:
    await command("topics", "apply", env=env)
    unreadable = junk(events.REACTIONS, USER)._replace(timestamp=events.EventIds().next()[1])
    log = KafkaLog(kafka.address, topics.load(replication=1))
    async with log.writer() as writer:
        await until_ready(writer.ready)
        bad = await writer.append(unreadable)
    async with Process("consume", "reactions", "--metrics", "127.0.0.1:0", env=env):

        async def kept() -> bool:
            return bool(sql.dead_at(bad))

        await eventually(kept, "the letter")
        made = message(events.Like, user=USER, video_id=VIDEO)
        readable = letter_of(made, "reactions", offset=10**12)
        sql.put_dead([readable])
        async with Process("deadletters", "retry", str(bad), str(readable.position), env=env) as retry:
            assert await retry.wait(60) == 1
            assert f"{bad}  reactions  refused: value is b'junk'" in retry.output()
            assert f"{readable.position}  reactions  put back at behavior.reactions/" in retry.output()

        async def liked() -> bool:
            return sql.statuses("like", [(USER, VIDEO)]) == {(USER, VIDEO): 1}

        await eventually(liked, "the like")
    assert sql.dead_at(readable.position) == []
    await command("deadletters", "drop", str(bad), env=env)
    assert sql.dead_at(bad) == []
