"""Health, metrics, OpenAPI, pages, and how the gateway starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable
from pathlib import Path

import aiohttp
import pytest

from gateway.app import make_app, serve
from models.errors import InvalidSetting
from tests.gateway.conftest import SECRET, Gateway, Make, Start, error, ok, until
from tests.models.fake_writer import FakeWriter

PARTS = {"log", "spool", "sql", "plays", "catalogue"}


async def test_live_and_ready(gateway: Gateway) -> None:
    assert await ok(await gateway.client.get("/health/live")) == {"live": True}
    assert await ok(await gateway.client.get("/health/ready")) == dict.fromkeys(PARTS, "ok")


@pytest.mark.parametrize("part", ["log", "sql", "plays"])
async def test_ready_names_what_is_away(start: Start, part: str) -> None:
    gateway = await start(FakeWriter("away") if part == "log" else None)
    gateway.sql.away, gateway.plays.away = part == "sql", part == "plays"
    response = await gateway.client.get("/health/ready")
    data = (await error(response, 503, "unavailable"))["data"]
    assert set(data) == PARTS
    assert [name for name, reason in data.items() if reason != "ok"] == [part]
    assert response.headers["Retry-After"] == "1"
    assert (await gateway.client.get("/health/live")).status == 200


async def test_metrics(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.client.get("/video/like/3", headers=gateway.bearer())
    await gateway.client.post("/video/like/4", data="like=1", headers=gateway.bearer())
    await gateway.client.get("/nowhere/1")
    await gateway.client.request("PROPFIND", "/nowhere/2")
    response = await gateway.client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    requests = "playtrail_http_requests_total"
    like = 'route="/video/like/{id}"'
    assert await gateway.metric(f'{requests}{{method="GET",{like},status="200"}}') == 3
    assert await gateway.metric(f'{requests}{{method="POST",{like},status="200"}}') == 1
    assert await gateway.metric(f'{requests}{{method="GET",route="unknown",status="404"}}') == 1
    assert await gateway.metric(f'{requests}{{method="OTHER",route="unknown",status="404"}}') == 1
    assert await gateway.metric(f'playtrail_http_request_seconds_count{{method="GET",{like}}}') == 3
    assert await gateway.metric('playtrail_gateway_events_total{outcome="log",topic="behavior.reactions"}') == 1
    assert await gateway.metric("playtrail_spool_events") == 0
    assert await gateway.metric("playtrail_tokens_remembered") >= 1
    assert await gateway.metric("playtrail_catalogue_videos") == 13


async def test_openapi_describes_what_is_served(gateway: Gateway) -> None:
    response = await gateway.client.get("/openapi.json")
    document = await response.json()
    assert document["openapi"] == "3.1.0"
    app = gateway.client.app
    assert app is not None
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert described == served
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    for name in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert name in schemas
    like = document["paths"]["/video/like/{id}"]["post"]
    assert set(like["responses"]) == {"200", "202", "400", "401", "403", "404", "413", "429", "503"}
    assert like["security"] == [{"bearer": []}, {"cookie": []}]
    assert {} in document["paths"]["/video/hot"]["get"]["security"]
    ids = [o["operationId"] for operations in document["paths"].values() for o in operations.values()]
    assert len(ids) == len(set(ids))


async def test_pages(gateway: Gateway) -> None:
    for path in ("/", "/docs"):
        response = await gateway.client.get(path)
        assert (response.status, response.content_type) == (200, "text/html")
        assert "script-src" not in response.headers["Content-Security-Policy"]  # default-src 'self' holds for scripts
        assert "Set-Cookie" not in response.headers
    response = await gateway.client.get("/static/api.js")
    assert (response.status, response.content_type) == (200, "application/javascript")


async def test_a_stranger_on_a_demo_can_like_at_once(start: Start) -> None:
    gateway = await start(demo=True)
    response = await gateway.client.get("/")
    cookie = response.cookies["playtrail_token"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    origin = {"Origin": str(gateway.client.make_url("/")).rstrip("/")}
    await ok(await gateway.client.post("/video/like/3", data="like=1", headers=origin))
    (event,) = await gateway.events("behavior.reactions")
    assert 9_000_000_000 <= event["user_id"] <= 9_999_999_999
    again = await gateway.client.get("/")
    assert "playtrail_token" not in again.cookies
    gateway.client.session.cookie_jar.clear()
    broken = await gateway.client.get("/", headers={"Cookie": "playtrail_token=x"})
    assert "playtrail_token" in broken.cookies


async def test_serve_until_stopped(make_parts: Make) -> None:
    app, stop, addresses = make_app(await make_parts()), asyncio.Event(), list[str]()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, ready=addresses.append, stop=stop))

    async def announced() -> list[str]:
        return addresses

    (address,) = await until(announced)
    async with aiohttp.ClientSession() as http, http.get(address + "/video/hot") as response:
        await ok(response)
    stop.set()
    await serving
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0


async def test_a_taken_port_is_one_clear_line(make_parts: Make) -> None:
    app = make_app(await make_parts())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSetting, match=f"127.0.0.1:{port}"):
            await serve(app, "127.0.0.1", port, stop=asyncio.Event())


async def test_an_append_under_way_is_finished_on_stopping(start: Start) -> None:
    writer = FakeWriter()
    writer.open.clear()
    gateway = await start(writer)
    like = gateway.client.post("/video/like/3", data="like=1", headers=gateway.bearer())
    request = asyncio.create_task(_quietly(like))

    async def under_way() -> bool:
        return len(writer.records) == 1

    await until(under_way)
    closing = asyncio.create_task(gateway.client.close())
    writer.open.set()
    await closing
    await request
    assert writer.left == 1


async def _quietly(request: Awaitable[object]) -> None:
    with contextlib.suppress(aiohttp.ClientError):  # the server goes away, which is the test's subject
        await request


async def test_no_way_to_verify_tokens_stops_the_start(start: Start) -> None:
    with pytest.raises(InvalidSetting, match="PLAYTRAIL_SECRET"):
        await start(secret=None, plays="hbase://127.0.0.1:9090")


async def test_the_secret_is_generated_when_all_is_embedded(start: Start, tmp_path: Path) -> None:
    gateway = await start(secret=None)
    assert len((tmp_path / "secret").read_text()) >= 32
    assert SECRET not in (tmp_path / "secret").read_text()
    assert (await gateway.client.get("/video/hot")).status == 200
