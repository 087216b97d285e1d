"""What the gateway answers while a server is away."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from models.errors import Unavailable
from tests.gateway.conftest import Gateway, Start, error, ok, until
from tests.models.fake_writer import FakeWriter, State

PLAY = {"type": "ping", "session": str(uuid.uuid4()), "seq": 1, "play_time": 15}


@pytest.mark.parametrize("state", ["away", "unknown_lost"])
async def test_without_the_log_writes_go_to_the_spool_and_later_to_the_log(start: Start, state: State) -> None:
    writer = FakeWriter(state)
    gateway = await start(writer)
    response = await gateway.client.post("/video/like/3", data="like=1", headers=gateway.bearer())
    assert await ok(response, 202) == {"like": 1, "position": None, "durable": "spool"}
    assert (await response.json())["msg"] == "点赞成功"
    assert "X-Position" not in response.headers
    assert "playtrail_position" not in response.cookies
    response = await gateway.client.post("/video/play/3", json=PLAY)
    assert await ok(response, 202) == {"session": PLAY["session"], "next_ping": 15}
    assert await gateway.metric("playtrail_spool_events") == 2
    assert await gateway.metric('playtrail_gateway_events_total{outcome="spool",topic="behavior.reactions"}') == 1
    writer.state = "there"

    async def drained() -> bool:
        return await gateway.metric("playtrail_spool_events") == 0 and len(writer.records) == 2

    await until(drained)

    async def direct() -> bool:
        response = await gateway.client.post("/video/like/3", data="like=0", headers=gateway.bearer())
        return response.status == 200

    await until(direct)


async def test_a_view_is_dropped_or_unknown_but_answered(start: Start) -> None:
    writer = FakeWriter("away")
    gateway = await start(writer)
    await ok(await gateway.client.get("/video/detail/3"))
    dropped = 'playtrail_gateway_events_total{outcome="dropped",topic="behavior.views"}'
    await until(lambda: gateway.metric(dropped))
    writer.state = "unknown_landed"
    await ok(await gateway.client.get("/video/detail/3"))
    unknown = 'playtrail_gateway_events_total{outcome="unknown",topic="behavior.views"}'
    await until(lambda: gateway.metric(unknown))
    assert (len(writer.records), writer.calls) == (1, 2)  # not sent again


async def test_views_that_do_not_get_through_are_dropped_past_a_bound(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.emit.MAX_VIEWS", 5)
    monkeypatch.setattr("gateway.emit.VIEW_TASKS", 1)
    monkeypatch.setattr("gateway.emit.DRAIN_SECONDS", 0.1)
    writer = FakeWriter()
    writer.open.clear()
    gateway = await start(writer)
    for _ in range(10):
        await ok(await gateway.client.get("/video/detail/3"))
    assert await gateway.metric('playtrail_gateway_events_total{outcome="dropped",topic="behavior.views"}') == 4


async def test_too_many_appends_are_429(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.emit.MAX_APPENDING", 3)
    writer = FakeWriter()
    writer.open.clear()
    gateway = await start(writer)

    def like() -> Any:
        return gateway.client.post("/video/like/3", data="like=1", headers=gateway.bearer())

    waiting = [asyncio.create_task(like()) for _ in range(3)]

    async def under_way() -> bool:
        return len(writer.records) == 3

    await until(under_way)
    response = await like()
    await error(response, 429, "too_many_requests")
    assert int(response.headers["Retry-After"]) >= 1
    writer.open.set()
    for response in await asyncio.gather(*waiting):
        await ok(response)


async def test_neither_log_nor_spool_is_503(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await start(FakeWriter("away"))

    async def full(*_: object) -> None:
        raise Unavailable("spool", "full", 5)

    monkeypatch.setattr(gateway.parts.outbox._spool, "put", full)
    for path, body in (("/video/like/3", "like=1"), ("/video/play/3", PLAY)):
        kind = {"json": body} if isinstance(body, dict) else {"data": body}
        response = await gateway.client.post(path, headers=gateway.bearer(), **kind)
        answer = await error(response, 503, "unavailable")
        assert (answer["field"], response.headers["Retry-After"]) == ("spool", "5")


async def test_without_sql_writes_go_on_and_reads_are_503(gateway: Gateway) -> None:
    gateway.sql.away = True
    for kind in ("like", "collect", "follow"):
        headers = gateway.bearer()
        written = await ok(await gateway.client.post(f"/video/{kind}/3", data=f"{kind}=1", headers=headers))
        headers["X-Position"] = written["position"]
        response = await gateway.client.get(f"/video/{kind}/3", headers=headers)
        answer = await error(response, 503, "unavailable")
        assert answer["field"] == "sql"
        assert int(response.headers["Retry-After"]) >= 1
    await error(await gateway.client.get("/video/detail/3"), 503, "unavailable")
    for path in ("/video/hot", "/video/rank", "/video/statistics"):
        assert (await gateway.client.get(path)).status == 200
    await error(await gateway.client.get("/video/detail/77"), 404, "not_found")
    gateway.sql.away = False
    await ok(await gateway.client.get("/video/like/3", headers=gateway.bearer()))


async def test_without_hbase_a_detail_lacks_two_numbers(gateway: Gateway) -> None:
    gateway.plays.away = True
    data = await ok(await gateway.client.get("/video/detail/3"))
    assert (data["plays"], data["seconds"], data["clicks"]) == (None, None, 0)


async def test_started_without_sql(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("sql", "switched off by the test")

    with monkeypatch.context() as patched:
        patched.setattr("tests.gateway.conftest.BreakableSql.entries", away)
        gateway = await start()
        for path in ("/video/hot", "/video/rank", "/video/detail/3", "/video/like/3"):
            await error(await gateway.client.get(path, headers=gateway.bearer()), 503, "unavailable")
        ready = await gateway.client.get("/health/ready")
        assert (await error(ready, 503, "unavailable"))["data"]["catalogue"] == "not read yet"

    async def back() -> bool:
        return (await gateway.client.get("/video/hot")).status == 200

    await until(back)
