"""playtrail doctor on real Kafka, MariaDB and HBase: nothing made yet, all well, folded from another log."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from models import events
from models.eventlog.port import Identity
from models.stores.plays_hbase import HBasePlays
from models.stores.sql import SqlStore
from tests.real.test_end_to_end import env
from tests.running import Process, command

pytestmark = pytest.mark.real
__all__ = ["env"]

OTHER = Identity("another cluster", "another topic", 6)


async def doctor(env: dict[str, str], code: int) -> dict[str, list[tuple[str, str]]]:
    """(level, what) by part."""
    async with Process("doctor", "--json", env=env) as process:
        assert await process.wait(60) == code, process.output()
        answer = json.loads(process.output())
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in answer["findings"]:
        found.setdefault(finding["part"], []).append((finding["level"], finding["what"]))
    return found


async def test_what_is_missing_what_is_well_and_what_is_another_log(env: dict[str, str]) -> None:
    before = await doctor(env, 2)
    assert sum("is not there" in what for _, what in before["topics"]) == 4
    assert any("without the tables" in what and "consumer_offset" in what for _, what in before["sql"])
    assert any("without the tables" in what and "video_top" in what for _, what in before["plays"])
    await command("topics", "apply", env=env)
    after = await doctor(env, 1)
    assert after["topics"] == [("ok", "4 topics are as topics.yaml says")]
    ((level, log),) = after["log"]
    assert (level, "Kafka 4.1 or later" in log) == ("ok", True)
    assert "MariaDB" in after["sql"][0][1]
    assert "HBase" in after["plays"][0][1]
    assert ("ok", "that of sql is that of this machine, within 2 s") in after["clock"]
    assert after["views"] == after["plays"][1:] == [("warn", "nothing was folded yet")]
    with closing(SqlStore(env["PLAYTRAIL_DB"])) as sql, closing(HBasePlays(env["PLAYTRAIL_PLAYS"])) as plays:
        sql.open("views", events.VIEWS, 0, OTHER, 0)
        plays.open("plays", events.PLAYS, 0, OTHER, 0)
    other = await doctor(env, 2)
    for lines in (other["views"], other["plays"][1:]):
        ((level, what),) = lines
        assert level == "fail"
        assert "another cluster" in what
