"""Hot, rank and detail over HTTP, and the views that they leave."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping

import msgspec
import pytest

from gateway.showcase import hot_lists
from models.stores.port import Film, PlayRow, Video
from tests.gateway.conftest import FILMS, BreakablePlays, Gateway, Start, error, ok, until

VIDEO = {"id", "title", "category", "cover_url", "video_url", "duration", "owner_id", "status", "audit_status",
         "clicks", "created_at"}  # fmt: skip


async def test_hot_is_eight_random_approved_videos(gateway: Gateway) -> None:
    seen: set[int] = set()
    for _ in range(60):
        response = await gateway.client.get("/video/hot")
        videos = await ok(response)
        assert len({v["id"] for v in videos}) == 8
        assert all(set(v) == VIDEO and v["audit_status"] == 0 for v in videos)
        seen |= {v["id"] for v in videos}
    assert (await response.json())["msg"] == "获取热点视频成功"
    assert seen == {*(f.id for f in FILMS), 14}
    assert await gateway.events("behavior.views") == []


async def test_hot_is_all_when_there_are_fewer(start: Start) -> None:
    gateway = await start(films=False)
    assert await ok(await gateway.client.get("/video/hot")) == []
    gateway.sql.load([Film(id=1, title="a"), Film(id=2, title="b"), Film(id=3, title="c", audit_status=2)])

    async def two() -> bool:
        return len(await ok(await gateway.client.get("/video/hot"))) == 2

    await until(two)


async def test_hot_of_a_user_is_an_event(gateway: Gateway) -> None:
    videos = await ok(await gateway.client.get("/video/hot", headers=gateway.bearer()))

    async def events() -> list[dict[str, object]]:
        return await gateway.events("behavior.views")

    (event,) = await until(events)
    expected = {"event": "hot", "user_id": 7, "url": "/video/hot", "method": "get", "msg": "video hot", "schema": 1}
    assert expected.items() <= event.items()
    assert event["video_ids"] == [v["id"] for v in videos]


@pytest.mark.parametrize("count", [0, 1, 8, 9, 256])
def test_every_video_is_in_as_many_hot_lists(count: int) -> None:
    pool = [Video(n, "t", 1, "", "", 0, 1, 0, 0, 0, "") for n in range(1, count + 1)]
    lists = hot_lists(pool)
    assert Counter(i for one in lists for i in one.ids) == dict.fromkeys(range(1, count + 1), min(8, count))
    assert all(len(set(one.ids)) == len(one.ids) == min(8, count) for one in lists)
    for one in lists:
        answer = msgspec.json.decode(one.body)
        assert [row["id"] for row in answer["data"]] == one.ids


async def test_rank(gateway: Gateway) -> None:
    response = await gateway.client.get("/video/rank")
    rank = await ok(response)
    assert (await response.json())["msg"] == "获取排行榜信息成功"
    assert len(rank) == 10
    assert all(set(line) == {"id", "title"} for line in rank)
    assert 14 not in [line["id"] for line in rank]


@pytest.mark.parametrize("user", [7, None])
async def test_detail_and_its_event(gateway: Gateway, user: int | None) -> None:
    headers = gateway.bearer(user) if user else {}
    data = await ok(await gateway.client.get("/video/detail/3", headers=headers))
    assert set(data) == VIDEO | {"likes", "collects", "plays", "seconds", "like", "collect", "follow"}
    assert (data["id"], data["title"], data["likes"], data["plays"], data["like"]) == (3, "影片 3", 0, 0, 0)

    async def events() -> list[dict[str, object]]:
        return await gateway.events("behavior.views")

    (event,) = await until(events)
    expected = {"event": "detail", "user_id": user, "url": "/video/detail/3", "method": "get", "msg": "video detail"}
    assert expected.items() <= event.items()
    assert event["video_id"] == 3


@pytest.mark.usefixtures("consumers")
async def test_detail_counts_clicks_and_shows_ones_own_state(gateway: Gateway) -> None:
    for kind in ("like", "collect", "follow"):
        await ok(await gateway.client.post(f"/video/{kind}/5", data={kind: "1"}, headers=gateway.bearer()))
    await ok(await gateway.client.post("/video/like/5", data={"like": "1"}, headers=gateway.bearer(8)))

    async def counted() -> bool:
        data = await ok(await gateway.client.get("/video/detail/5", headers=gateway.bearer()))
        state = data["likes"], data["collects"], data["like"], data["collect"], data["follow"]
        return data["clicks"] > 0 and state == (2, 1, 1, 1, 1)

    await until(counted)
    guest = await ok(await gateway.client.get("/video/detail/5"))
    assert (guest["likes"], guest["like"], guest["collect"], guest["follow"]) == (2, 0, 0, 0)


async def test_detail_does_not_wait_for_a_store_that_hangs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its play numbers are null then, of those too who find the queue full; the page is there before the store is."""
    go = threading.Event()

    def hanging(_: BreakablePlays, ids: Collection[int]) -> Mapping[int, PlayRow]:
        go.wait(100)
        return {video: PlayRow(3, 60, 1) for video in ids}

    monkeypatch.setattr(BreakablePlays, "rows", hanging)
    monkeypatch.setattr("gateway.views.PLAYS_SECONDS", 0.05)
    monkeypatch.setattr("gateway.workers.SECONDS", 100.0)
    monkeypatch.setattr("gateway.workers.MAX_WAITING", 2)
    gateway = await start()
    try:
        for video in range(1, 7):
            data = await ok(await gateway.client.get(f"/video/detail/{video}"))
            assert (data["id"], data["plays"], data["seconds"]) == (video, None, None)
    finally:
        go.set()

    async def known() -> bool:
        return bool((await ok(await gateway.client.get("/video/detail/3")))["plays"] == 3)

    await until(known)


async def test_head_leaves_no_trail(gateway: Gateway) -> None:
    for path in ("/video/hot", "/video/detail/3"):
        response = await gateway.client.head(path, headers=gateway.bearer())
        assert response.status == 200
    await ok(await gateway.client.get("/video/detail/4"))

    async def events() -> list[dict[str, object]]:
        return await gateway.events("behavior.views")

    (event,) = await until(events)
    assert event["video_id"] == 4


async def test_detail_of_no_video(gateway: Gateway) -> None:
    for video in (13, 15):
        await error(await gateway.client.get(f"/video/detail/{video}"), 404, "not_found")
    await error(await gateway.client.get("/video/detail/x"), 400, "bad_field")


async def test_a_video_loaded_a_moment_ago_works_at_once(gateway: Gateway) -> None:
    gateway.sql.load([Film(id=500, title="new"), Film(id=501, title="hidden", audit_status=1)])
    await ok(await gateway.client.post("/video/like/500", data="like=1", headers=gateway.bearer()))
    await error(await gateway.client.get("/video/detail/501"), 404, "not_found")


async def test_unknown_ids_do_not_become_as_many_queries(gateway: Gateway) -> None:
    asked: list[int] = []
    original = gateway.sql.videos

    def counting(ids):  # type: ignore[no-untyped-def]  # wraps the method as it is
        asked.extend(i for i in ids if i >= 1000)
        return original(ids)

    gateway.sql.videos = counting  # type: ignore[method-assign]
    began = time.monotonic()
    for video in range(1000, 1300):
        await error(await gateway.client.get(f"/video/like/{video}", headers=gateway.bearer()), 404, "not_found")
    assert len(asked) <= 21 + 20 * (time.monotonic() - began)
