"""A read that brings the position of a write shows it, or says that it does not."""

from __future__ import annotations

import uuid

import pytest

from tests.gateway.conftest import Gateway, error, ok, until


@pytest.fixture(params=["header", "query", "cookie"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _read(gateway: Gateway, path: str, position: str, how: str, user: int = 7) -> tuple[object, bool]:
    headers = gateway.bearer(user)
    if how == "header":
        headers["X-Position"] = position
    query = {"position": position} if how == "query" else None
    if how != "cookie":
        gateway.client.session.cookie_jar.clear()
    response = await gateway.client.get(path, headers=headers, params=query)
    return await ok(response), response.headers.get("X-Stale") == "true"


@pytest.mark.usefixtures("consumers")
@pytest.mark.parametrize("kind", ["like", "collect", "follow"])
async def test_each_write_is_seen_by_the_next_read(gateway: Gateway, how: str, kind: str) -> None:
    await _warm(gateway)
    for on in (1, 0, 1, 1, 0):
        data = await ok(await gateway.client.post(f"/video/{kind}/3", json={kind: on}, headers=gateway.bearer()))
        assert await _read(gateway, f"/video/{kind}/3", data["position"], how) == ({kind: on}, False)


@pytest.mark.usefixtures("consumers")
async def test_statistics_and_detail_show_what_was_played(gateway: Gateway, how: str) -> None:
    await _warm(gateway)
    body = {"type": "start", "session": str(uuid.uuid4()), "seq": 0, "play_time": 12.9}
    response = await gateway.client.post("/video/play/4", json=body)
    position = response.headers["X-Position"]
    statistics, stale = await _read(gateway, "/video/statistics", position, how)
    assert isinstance(statistics, dict)
    assert (statistics["time_x_data"], statistics["time_y_data"][0]["value"], stale) == (["4"], 12, False)
    if how != "cookie":
        detail, stale = await _read(gateway, "/video/detail/4", position, how)
        assert isinstance(detail, dict)
        assert (detail["plays"], detail["seconds"], stale) == (1, 12, False)


async def test_without_consumers_the_answer_is_stale(gateway: Gateway, how: str) -> None:
    data = await ok(await gateway.client.post("/video/like/3", json={"like": 1}, headers=gateway.bearer()))
    assert await _read(gateway, "/video/like/3", data["position"], how) == ({"like": 0}, True)


async def test_without_a_position_nothing_waits(gateway: Gateway) -> None:
    await ok(await gateway.client.post("/video/like/3", json={"like": 1}, headers=gateway.bearer()))
    gateway.client.session.cookie_jar.clear()
    response = await gateway.client.get("/video/like/3", headers=gateway.bearer())
    assert await ok(response) == {"like": 0}
    assert "X-Stale" not in response.headers


async def test_a_position_of_another_topic_does_not_matter(gateway: Gateway) -> None:
    headers = {**gateway.bearer(), "X-Position": "behavior.plays/0@5"}
    response = await gateway.client.get("/video/like/3", headers=headers)
    assert "X-Stale" not in response.headers


@pytest.mark.parametrize("text", ["x", "behavior.reactions/0", "a/b@c", "other/0@1", "behavior.plays/0@1,", "/0@1"])
@pytest.mark.parametrize("place", ["header", "query"])
@pytest.mark.parametrize("path", ["/video/like/3", "/video/statistics", "/video/detail/3"])
async def test_a_malformed_position_is_named(gateway: Gateway, text: str, place: str, path: str) -> None:
    headers = {**gateway.bearer(), **({"X-Position": text} if place == "header" else {})}
    query = {"position": text} if place == "query" else None
    body = await error(await gateway.client.get(path, headers=headers, params=query), 400, "bad_field")
    assert body["field"] == "position"


async def test_a_malformed_cookie_is_taken_away(gateway: Gateway) -> None:
    headers = {**gateway.bearer(), "Cookie": "playtrail_position=x"}
    response = await gateway.client.get("/video/like/3", headers=headers)
    await error(response, 400, "bad_field")
    assert response.cookies["playtrail_position"]["max-age"] == "0"


async def test_too_many_positions_are_refused(gateway: Gateway) -> None:
    headers = {"X-Position": ",".join(f"behavior.plays/{i}@1" for i in range(9))}
    await error(await gateway.client.get("/video/statistics", headers=headers), 400, "bad_field")


async def _warm(gateway: Gateway) -> None:
    """Wait until every projection has its partitions: the first read of one after a start may be stale."""

    async def assigned() -> bool:
        reactions = gateway.sql.positions("reactions", "behavior.reactions")
        plays = gateway.plays.positions("plays", "behavior.plays")
        views = gateway.sql.positions("views", "behavior.views")
        return all(len(found) == 6 for found in (reactions, plays, views))

    await until(assigned)
