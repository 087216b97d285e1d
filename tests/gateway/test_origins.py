"""Who may call from a browser: origins, preflights, and writes by cookie."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import ORIGIN, Gateway, error, ok

WRITES = ["/video/like/3", "/video/collect/3", "/video/follow/3", "/video/play/3", "/video/destroy/3"]
BODY = (
    '{"like": 1, "collect": 1, "follow": 1, "type": "start", "seq": 0, "play_time": 0, '
    '"session": "0190a5b2-0000-7000-8000-00000000000f"}'
)


def _own(gateway: Gateway) -> str:
    return str(gateway.client.make_url("/")).rstrip("/")


@pytest.mark.parametrize("path", WRITES)
async def test_a_write_by_cookie_from_our_own_page_or_an_allowed_one(gateway: Gateway, path: str) -> None:
    for origin in (_own(gateway), ORIGIN):
        headers = {"Cookie": f"a=b; playtrail_token={gateway.token()}; c=d", "Origin": origin}
        await ok(await gateway.client.post(path, data=BODY, headers=headers))


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "https://pages.example.evil.example",
                                    "http://pages.example", "HTTPS://PAGES.EXAMPLE", "", ORIGIN + "/"])  # fmt: skip
async def test_a_write_by_cookie_from_elsewhere(gateway: Gateway, path: str, origin: str | None) -> None:
    headers = {"Cookie": f"playtrail_token={gateway.token()}"}
    if origin is not None:
        headers["Origin"] = origin
    response = await gateway.client.post(path, data=BODY, headers=headers)
    body = await error(response, 403, "forbidden_origin")
    assert (body["field"], body["value"]) == ("Origin", origin)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert await gateway.events("behavior.reactions") == []


BEACON = {"Content-Type": "text/plain;charset=UTF-8", "Sec-Fetch-Mode": "no-cors"}


@pytest.mark.parametrize("path", ["/video/play/3", "/video/destroy/3"])
async def test_a_beacon(gateway: Gateway, path: str) -> None:
    """What sendBeacon sends of a string: text/plain with the cookie, and no preflight asks before it."""
    cookie = {"Cookie": f"playtrail_token={gateway.token()}"}
    for origin in (_own(gateway), ORIGIN):
        response = await gateway.client.post(path, data=BODY, headers={**BEACON, **cookie, "Origin": origin})
        await ok(response)
        assert response.headers.get("Access-Control-Allow-Origin") == (ORIGIN if origin == ORIGIN else None)
        assert response.headers.get("Access-Control-Allow-Credentials") == ("true" if origin == ORIGIN else None)
    for origin in ("https://evil.example", "null"):
        response = await gateway.client.post(path, data=BODY, headers={**BEACON, **cookie, "Origin": origin})
        await error(response, 403, "forbidden_origin")
        assert "Access-Control-Allow-Origin" not in response.headers
    response = await gateway.client.post(path, data=BODY, headers={**BEACON, **cookie})
    await error(response, 403, "forbidden_origin")
    assert [event["user_id"] for event in await gateway.events("behavior.plays")] == [7, 7]


async def test_a_guests_beacon_carries_nobodys_name(gateway: Gateway) -> None:
    """Without a cookie there is nothing to steal: anybody may send a guest's heartbeat, from anywhere."""
    headers = {**BEACON, "Origin": "https://evil.example"}
    await ok(await gateway.client.post("/video/play/3", data=BODY, headers=headers))
    (event,) = await gateway.events("behavior.plays")
    assert event["user_id"] is None


async def test_a_read_by_cookie_needs_no_origin(gateway: Gateway) -> None:
    headers = {"Cookie": f"playtrail_token={gateway.token()}"}
    assert await ok(await gateway.client.get("/video/like/3", headers=headers)) == {"like": 0}


async def test_a_bearer_needs_no_origin(gateway: Gateway) -> None:
    headers = {**gateway.bearer(), "Origin": "https://evil.example"}
    await ok(await gateway.client.post("/video/like/3", data="like=1", headers=headers))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/video/hot", 200),
        ("GET", "/video/like/3", 401),
        ("POST", "/video/like/3", 401),
        ("POST", "/video/play/3", 400),
        ("GET", "/video/detail/99", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/video/hot", 405),
        ("POST", "/video/play/3", 413),
    ],
)
async def test_an_allowed_origin_is_echoed_on_errors_too(gateway: Gateway, method: str, path: str, status: int) -> None:
    body = "x" * 70_000 if status == 413 else None
    response = await gateway.client.request(method, path, data=body, headers={"Origin": ORIGIN})
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "X-Position" in response.headers["Access-Control-Expose-Headers"]
    assert response.headers["Vary"] == "Origin"


async def test_another_origin_is_told_nothing(gateway: Gateway) -> None:
    response = await gateway.client.get("/video/hot", headers={"Origin": "https://evil.example"})
    assert response.status == 200
    assert not [name for name in response.headers if name.startswith("Access-Control")]
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/video/hot", *WRITES])
async def test_preflight(gateway: Gateway, path: str) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    response = await gateway.client.options(path, headers=headers)
    assert (response.status, await response.read()) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert response.headers["Access-Control-Max-Age"] == "7200"


async def test_preflight_that_is_refused(gateway: Gateway) -> None:
    foreign = await gateway.client.options("/video/hot", headers={"Origin": "https://evil.example"})
    await error(foreign, 403, "forbidden_origin")
    nowhere = await gateway.client.options("/nowhere", headers={"Origin": ORIGIN})
    await error(nowhere, 404, "not_found")
    bare = await gateway.client.options("/video/hot")
    await error(bare, 405, "method_not_allowed")
