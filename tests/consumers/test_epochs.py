"""A log that is not the one that was folded stops the consumer; the command that its error names goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

import playtrail
from consumers.epochs import new_epoch
from models import events, settings, topics
from models.errors import LogMismatch
from models.eventlog.plan import carry_out
from models.eventlog.port import Identity
from models.settings import Settings
from models.stores.port import PositionStore, Top, stamp_of
from tests.running import command

PAIRS = [("reactions", events.REACTIONS), ("plays", events.PLAYS)]


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return settings.read({"PLAYTRAIL_DATA": str(tmp_path)})


def store_of(config: Settings, projection: str) -> PositionStore:
    store = playtrail.open_plays(config) if projection == "plays" else playtrail.open_sql(config)
    store.create()
    return store


async def identity_of(config: Settings, topic: str) -> Identity:
    log = playtrail.open_log(config, topics.load())
    async with log.admin() as admin:
        await carry_out(admin, topics.load())
    async with log.reader() as reader:
        return await reader.identity(topic)


@pytest.mark.parametrize(("projection", "topic"), PAIRS)
async def test_another_log_begins_at_its_first_record(config: Settings, projection: str, topic: str) -> None:
    store, log = store_of(config, projection), playtrail.open_log(config, topics.load())
    for partition in range(6):
        store.open(projection, topic, partition, Identity("gone", "gone", 6), 40)
    here = await identity_of(config, topic)
    with pytest.raises(LogMismatch, match=f"playtrail consume {projection} --new-epoch"):
        store.open(projection, topic, 0, here, 0)
    assert await new_epoch(log, store, projection, topic) == dict.fromkeys(range(6), 0)
    assert store.open(projection, topic, 3, here, 0).epoch == 2


@pytest.mark.parametrize(("projection", "topic"), PAIRS)
async def test_the_same_topic_goes_on_where_it_stood(config: Settings, projection: str, topic: str) -> None:
    store, log = store_of(config, projection), playtrail.open_log(config, topics.load())
    here = await identity_of(config, topic)
    before = Identity(here.cluster, here.topic, 4)
    for partition in range(4):
        store.open(projection, topic, partition, before, 0)
    with pytest.raises(LogMismatch, match="partitions"):
        store.open(projection, topic, 0, here, 0)
    assert await new_epoch(log, store, projection, topic) == dict.fromkeys(range(6), 0)
    assert store.open(projection, topic, 5, here, 0).next_offset == 0


async def test_rows_of_the_old_epoch_are_continued(config: Settings) -> None:
    store = playtrail.open_plays(config)
    store.create()
    store.put(0, stamp_of(1, 40), {7: (3, 90)}, Top())
    store.open("plays", events.PLAYS, 0, Identity("gone", "gone", 6), 40)
    await identity_of(config, events.PLAYS)
    await new_epoch(playtrail.open_log(config, topics.load()), store, "plays", events.PLAYS)
    assert store.rows([7])[7].stamp < stamp_of(2, 0)


async def test_the_command_wants_names(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="PROJECTIONS is ''; allowed: the projections that begin a new epoch"):
        await command("consume", "--new-epoch", env={"PLAYTRAIL_DATA": str(tmp_path)})
