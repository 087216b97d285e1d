"""The top ten over HTTP."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.statistics import merged
from models.stores.port import Top, stamp_of
from tests.gateway.conftest import BreakablePlays, Gateway, Start, error, ok, until


@pytest.fixture(autouse=True)
def no_answer_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test sees what it put a moment ago."""
    monkeypatch.setattr("gateway.statistics.SECONDS", 0.0)


async def test_nothing_watched_yet(gateway: Gateway) -> None:
    response = await gateway.client.get("/video/statistics")
    data = await ok(response)
    assert set(data) == {"time_x_data", "time_y_data", "counts_x_data", "counts_y_data", "valid_through"}
    assert data["time_x_data"] == data["time_y_data"] == data["counts_x_data"] == data["counts_y_data"] == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["valid_through"])


async def test_partitions_are_merged(start: Start) -> None:
    gateway = await start()
    gateway.plays.put(0, stamp_of(1, 9), {}, Top(((1, 5), (2, 3)), ((2, 90), (1, 10))))
    gateway.plays.put(4, stamp_of(1, 7), {}, Top(((3, 5),), ((3, 50),)))
    data = await ok(await gateway.client.get("/video/statistics"))
    assert data["time_x_data"] == ["2", "3", "1"]
    assert [(bar["value"], bar["name"]) for bar in data["time_y_data"]] == [
        (90, "影片 2"),
        (50, "影片 3"),
        (10, "影片 1"),
    ]
    assert data["counts_x_data"] == ["1", "3", "2"]
    assert [bar["value"] for bar in data["counts_y_data"]] == [5, 5, 3]
    assert all(re.fullmatch("#[0-9a-f]{6}", bar["itemStyle"]["color"]) for bar in data["counts_y_data"])
    assert set(data["counts_y_data"][0]) == {"value", "name", "itemStyle"}


async def test_the_last_good_answer_while_the_store_is_away(start: Start) -> None:
    gateway = await start()
    gateway.plays.put(0, stamp_of(1, 9), {}, Top(((1, 5),), ((1, 10),)))
    good = await ok(await gateway.client.get("/video/statistics"))
    gateway.plays.away = True
    again = await ok(await gateway.client.get("/video/statistics?position=behavior.plays/0@0"))
    assert again == good


async def test_the_last_good_answer_while_the_store_hangs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.statistics.WAIT_SECONDS", 0.05)
    monkeypatch.setattr("gateway.workers.SECONDS", 100.0)
    hangs, go, original = False, threading.Event(), BreakablePlays.tops

    def tops(store: BreakablePlays) -> Mapping[int, Top]:
        if hangs:
            go.wait(100)
        return original(store)

    monkeypatch.setattr(BreakablePlays, "tops", tops)
    gateway = await start()
    gateway.plays.put(0, stamp_of(1, 9), {}, Top(((1, 5),), ((1, 10),)))
    good = await ok(await gateway.client.get("/video/statistics"))
    assert good["counts_x_data"] == ["1"]
    hangs = True
    again = await ok(await gateway.client.get("/video/statistics"))
    assert again["counts_x_data"] == ["1"]
    go.set()
    gateway.plays.put(0, stamp_of(1, 10), {}, Top(((2, 6),), ((2, 10),)))

    async def newer() -> bool:
        return bool((await ok(await gateway.client.get("/video/statistics")))["counts_x_data"] == ["2"])

    await until(newer)


async def test_it_is_read_ahead(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks finds an answer that nobody has asked for, however old it may be."""
    monkeypatch.setattr("gateway.statistics.SECONDS", 1000.0)
    gateway = await start()
    first = await ok(await gateway.client.get("/video/statistics"))

    async def renewed() -> bool:
        return bool(first != await ok(await gateway.client.get("/video/statistics")))

    await until(renewed)


async def test_503_when_there_was_none(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BreakablePlays, "away", True)
    gateway = await start()
    response = await gateway.client.get("/video/statistics")
    await error(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) >= 1


async def test_ids_serve_as_names_while_sql_is_away(start: Start) -> None:
    gateway = await start()
    gateway.plays.put(0, stamp_of(1, 9), {}, Top(((1, 5),), ((1, 10),)))
    gateway.sql.away = True
    data = await ok(await gateway.client.get("/video/statistics"))
    assert data["time_y_data"][0]["name"] == "1"


@given(st.dictionaries(st.integers(1, 99), st.integers(1, 9), max_size=60))
def test_the_merge_of_top_tens_is_the_top_ten(values: dict[int, int]) -> None:
    order = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    lists = [[pair for pair in order if pair[0] % 6 == partition][:10] for partition in range(6)]
    assert merged(lists) == order[:10]
