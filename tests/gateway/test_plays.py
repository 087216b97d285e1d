"""Heartbeats over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.conftest import Gateway, error, ok

SESSION = "0190A5B2-0000-7000-8000-00000000000F"
BODY: dict[str, Any] = {"type": "start", "session": SESSION, "seq": 0, "play_time": 0, "cur_time": 0}


@pytest.mark.parametrize("route", ["play", "destroy"])
@pytest.mark.parametrize(("kind", "next_ping"), [("start", 15), ("ping", 15), ("stop", 15), ("end", 0)])
@pytest.mark.parametrize("user", [7, None])
async def test_a_heartbeat(gateway: Gateway, route: str, kind: str, next_ping: int, user: int | None) -> None:
    body = {**BODY, "type": kind, "seq": "3", "play_time": 7.99, "cur_time": 31.5}
    headers = {"Content-Type": "text/plain", **(gateway.bearer(user) if user else {})}
    response = await gateway.client.post(f"/video/{route}/4", data=json.dumps(body), headers=headers)
    assert await ok(response) == {"session": SESSION.lower(), "next_ping": next_ping}
    (event,) = await gateway.events("behavior.plays")
    assert response.headers["X-Position"].startswith("behavior.plays/")
    assert event == {
        "event": kind,
        "event_id": event["event_id"],
        "occurred_at": event["occurred_at"],
        "schema": 1,
        "user_id": user,
        "url": f"/video/{route}/4",
        "method": "post",
        "msg": f"video play {kind}",
        "video_id": 4,
        "session": SESSION.lower(),
        "seq": 3,
        "play_time": 7,
        "cur_time": 31.5,
    }


async def test_a_form_and_what_may_be_left_out(gateway: Gateway) -> None:
    form = {"type": "ping", "session": SESSION, "seq": "1", "play_time": "15", "cur_time": ""}
    await ok(await gateway.client.post("/video/play/4", data=form))
    (event,) = await gateway.events("behavior.plays")
    assert (event["play_time"], event["cur_time"]) == (15, None)


WRONG = [
    ("type", ["", "pause", 1, None, ["start"]]),
    ("session", ["", "x", SESSION[:-1], SESSION + "0", SESSION.replace("-", ""), SESSION + "\n", 7, None]),
    ("seq", [-1, 1.5, "x", None, 2**31, 10**30]),
    ("play_time", [-0.5, -1, 604_801, "x", None, "nan", "inf", 10**400, {}]),
    ("cur_time", [-1, "x", 604_801, [], "-inf"]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG for value in values])
async def test_a_wrong_field_is_named(gateway: Gateway, field: str, value: object) -> None:
    body = json.dumps({**BODY, field: value})
    answer = await error(await gateway.client.post("/video/play/4", data=body), 400, "bad_field")
    assert answer["field"] == field
    assert answer["allowed"]
    assert await gateway.events("behavior.plays") == []


@pytest.mark.parametrize("field", ["type", "session", "seq", "play_time"])
async def test_a_missing_field_is_named(gateway: Gateway, field: str) -> None:
    for body in (BODY, {}):
        data = {name: value for name, value in body.items() if name != field}
        answer = await error(await gateway.client.post("/video/play/4", json=data), 400, "bad_field")
        assert (answer["field"], answer["value"]) == (field if data else "type", None)


async def test_no_such_video(gateway: Gateway) -> None:
    await error(await gateway.client.post("/video/play/13", json=BODY), 404, "not_found")
    await error(await gateway.client.post("/video/play/x", json=BODY), 400, "bad_field")
