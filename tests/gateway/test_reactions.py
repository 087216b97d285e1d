"""Like, collect and follow over HTTP."""

from __future__ import annotations

import json

import pytest

from models.eventlog.port import Position
from tests.gateway.conftest import Gateway, error, ok

KINDS = [("like", "点赞"), ("collect", "收藏"), ("follow", "关注")]
BODIES = [
    ("application/x-www-form-urlencoded", "{kind}={on}"),
    ("application/json", '{{"{kind}": {on}}}'),
    ("application/json", ' {{"{kind}": "{on}", "more": [1]}}'),
    ("text/plain;charset=UTF-8", '{{"{kind}": {on}}}'),
    ("application/octet-stream", "a=b&{kind}={on}"),
]


@pytest.mark.parametrize(("kind", "word"), KINDS)
@pytest.mark.parametrize("on", [1, 0])
@pytest.mark.parametrize(("content_type", "body"), BODIES)
async def test_post_is_durable_and_says_where(
    gateway: Gateway, kind: str, word: str, on: int, content_type: str, body: str
) -> None:
    headers = {**gateway.bearer(), "Content-Type": content_type}
    response = await gateway.client.post(f"/video/{kind}/3", data=body.format(kind=kind, on=on), headers=headers)
    data = await ok(response)
    assert (await response.json())["msg"] == f"{'' if on else '取消'}{word}成功"
    position = Position.parse(data["position"])
    assert data == {kind: on, "position": str(position), "durable": "log"}
    assert response.headers["X-Position"] == str(position)
    assert response.cookies["playtrail_position"].value == str(position)
    (event,) = await gateway.events("behavior.reactions")
    followee = {"followee_id": 100} if kind == "follow" else {}
    assert event == {
        "event": kind if on else f"no_{kind}",
        "event_id": event["event_id"],
        "occurred_at": event["occurred_at"],
        "schema": 1,
        "user_id": 7,
        "url": f"/video/{kind}/3",
        "method": "post",
        "msg": f"video {kind}" if on else f"video cancel {kind}",
        "video_id": 3,
        **followee,
    }


@pytest.mark.parametrize(("kind", "word"), KINDS)
async def test_the_record_is_a_cloud_event(gateway: Gateway, kind: str, word: str) -> None:
    data = await ok(await gateway.client.post(f"/video/{kind}/3", json={kind: 1}, headers=gateway.bearer()))
    position = Position.parse(data["position"])
    async with gateway.log.reader() as reader:
        (record,) = await reader.read(position.topic, position.partition, position.offset, 1)
    event = json.loads(record.value)
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": event["event_id"].encode(),
        "ce_type": b"playtrail." + kind.encode(),
        "ce_source": f"/video/{kind}/3".encode(),
        "ce_time": event["occurred_at"].encode(),
        "content-type": b"application/json",
    }
    assert record.key == b"7"


@pytest.mark.parametrize(("kind", "word"), KINDS)
async def test_get_of_one_who_did_nothing(gateway: Gateway, kind: str, word: str) -> None:
    response = await gateway.client.get(f"/video/{kind}/3", headers=gateway.bearer())
    assert await ok(response) == {kind: 0}
    assert (await response.json())["msg"] == f"获取{word}信息成功"


@pytest.mark.parametrize("kind", ["like", "collect", "follow"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_guest_must_log_in(gateway: Gateway, kind: str, method: str) -> None:
    response = await gateway.client.request(method, f"/video/{kind}/3", data=f"{kind}=1")
    body = await error(response, 401, "unauthorized")
    assert body["msg"] == "请先登录"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert await gateway.events("behavior.reactions") == []


@pytest.mark.parametrize("kind", ["like", "collect", "follow"])
@pytest.mark.parametrize("value", ["2", "-1", "", "yes", "true", "null", "1.5", "99999999999999999999"])
async def test_only_0_and_1(gateway: Gateway, kind: str, value: str) -> None:
    response = await gateway.client.post(f"/video/{kind}/3", data=f"{kind}={value}", headers=gateway.bearer())
    body = await error(response, 400, "bad_field")
    assert (body["field"], body["value"], body["allowed"]) == (kind, value or None, "1 (on) or 0 (off)")
    assert await gateway.events("behavior.reactions") == []


@pytest.mark.parametrize("video", ["0", "-1", "abc", "1.0", "007", "10000000000", "%20", "１"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_wrong_id_is_named(gateway: Gateway, video: str, method: str) -> None:
    response = await gateway.client.request(method, f"/video/like/{video}", data="like=1", headers=gateway.bearer())
    body = await error(response, 400, "bad_field")
    assert (body["field"], body["allowed"]) == ("id", "a video id, 1 to 9999999999")


@pytest.mark.parametrize("video", [13, 15, 9_999_999_999])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_video_that_is_unknown_or_not_approved(gateway: Gateway, video: int, method: str) -> None:
    response = await gateway.client.request(method, f"/video/like/{video}", data="like=1", headers=gateway.bearer())
    body = await error(response, 404, "not_found")
    assert (body["msg"], body["field"], body["value"]) == ("视频不存在", "id", video)


async def test_nobody_follows_himself(gateway: Gateway) -> None:
    response = await gateway.client.post("/video/follow/3", data="follow=1", headers=gateway.bearer(100))
    body = await error(response, 400, "bad_field")
    assert (body["field"], body["msg"]) == ("follow", "不能关注自己")


async def test_the_cookie_keeps_the_positions_of_other_partitions(gateway: Gateway) -> None:
    for user in (7, 8, 9):
        await ok(await gateway.client.post("/video/like/3", data="like=1", headers=gateway.bearer(user)))
    cookie = gateway.client.session.cookie_jar.filter_cookies(gateway.client.make_url("/"))["playtrail_position"].value
    positions = [Position.parse(part) for part in cookie.split("|")]
    events = await gateway.events("behavior.reactions")
    assert len(events) == 3
    assert len({p.partition for p in positions}) == len(positions)
    assert sum(p.offset + 1 for p in positions) == 3
