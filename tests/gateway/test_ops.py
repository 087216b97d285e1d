"""The operator's page and the probes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

import playtrail
from consumers.deadletters import Limits, decoded
from consumers.reactions import Reactions
from models import events, settings
from models.clock import ManualClock
from models.eventlog.port import EventWriter
from models.lag.probe import Prober, is_probe
from models.topics import PROJECTIONS, load
from tests.consumers.making import MadeRecord
from tests.gateway.conftest import Start
from tests.running import Process, eventually


async def test_the_page_and_its_files_are_there(start: Start) -> None:
    gateway = await start()
    for path, word in (("/ops", "ops.js"), ("/static/ops.js", "/ops/lag"), ("/static/ops.css", ".plot")):
        answer = await gateway.client.get(path)
        assert answer.status == 200
        assert word in await answer.text()


async def test_a_projection_that_nobody_folds_is_not_known(start: Start) -> None:
    gateway = await start()
    answer = await gateway.client.get("/ops/lag")
    data = (await answer.json())["data"]
    assert [p["projection"] for p in data["report"]["projections"]] == list(PROJECTIONS)
    for projection in data["report"]["projections"]:
        assert (projection["state"], projection["lag"]) == ("unknown", None)
        assert data["history"][projection["projection"]][0][1:] == [None, None]
    assert data["probes"] == {}


async def test_what_was_seen_is_drawn_over_time(start: Start) -> None:
    gateway = await start()

    async def points() -> list[Any]:
        found = (await (await gateway.client.get("/ops/lag")).json())["data"]["history"]["reactions"]
        return found if len(found) >= 3 else []

    times = [point[0] for point in await eventually(points, "three looks")]
    assert times == sorted(set(times))


async def test_probes_are_measured_and_count_for_nothing(tmp_path: Path) -> None:
    env = {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_PROBE": "1"}
    async with Process("up", "--port", "0", env=env) as process, aiohttp.ClientSession(await process.url()) as http:

        async def probed() -> dict[str, Any]:
            async with http.get("/ops/lag") as answer:
                probes = (await answer.json())["data"]["probes"]
            return probes if probes and all(p["visible"] for p in probes.values()) else {}

        probes = await eventually(probed, "probes that are visible")
        assert set(probes) == set(PROJECTIONS)
        assert all(0 < p["append"] <= p["visible"] and not p["failure"] for p in probes.values())
        async with http.get("/metrics") as answer:
            text = await answer.text()
        async with http.get("/video/statistics") as answer:
            assert (await answer.json())["data"]["counts_x_data"] == []
    samples = {
        (s.name, s.labels.get("projection"), s.labels.get("stage")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    names = {name for name, _, _ in samples}
    assert {"playtrail_spool_limit_bytes", "playtrail_producer_replacements", "kafka_partition_latest_offset"} <= names
    for name in PROJECTIONS:
        assert samples["playtrail_probe_seconds_count", name, "visible"] >= 1
    sql = playtrail.open_sql(settings.read(env))
    assert list(await asyncio.to_thread(sql.dead)) == []
    sql.close()


def test_a_probe_is_no_dead_letter_and_no_event() -> None:
    prober = Prober(cast(EventWriter, None), {}, load(), ManualClock())
    made = [prober._message(events.REACTIONS) for _ in range(50)]
    assert all(is_probe(message.value) for message in made)
    records = [MadeRecord(m.topic, 0, n, m.timestamp, m.value) for n, m in enumerate(made)]
    found, dead = decoded("reactions", records, Reactions(None).decode, Limits())  # type: ignore[arg-type]
    assert (found, dead) == ([], [])
    assert not is_probe(b'{"event":"like"}')
    assert not is_probe(b"\xff")
