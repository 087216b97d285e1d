"""Answers that refuse: shape, words and headers; and bodies that are meant to hurt."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from gateway import bodies
from tests.gateway.conftest import ORIGIN, Gateway, error, ok

WRITES = ["/video/like/3", "/video/collect/3", "/video/follow/3", "/video/play/3", "/video/destroy/3"]


NOWHERE = ["/nowhere", "/video", "/video/like", "/video/like/3/4", "/static/none", "/static/", "/static/../app.py"]


@pytest.mark.parametrize("path", [*NOWHERE, "/static/%2e%2e%2fapp.py", "/static/.x", "/video/like/"])
async def test_404(gateway: Gateway, path: str) -> None:
    response = await gateway.client.get(path, headers=gateway.bearer())
    if response.status == 400:  # an empty id
        await error(response, 400, "bad_field")
    else:
        await error(response, 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/video/hot", {"GET", "HEAD"}),
        ("PUT", "/video/like/3", {"GET", "HEAD", "POST"}),
        ("GET", "/video/play/3", {"POST"}),
        ("DELETE", "/video/rank", {"GET", "HEAD"}),
        ("PROPFIND", "/", {"GET", "HEAD"}),
    ],
)
async def test_405(gateway: Gateway, method: str, path: str, allow: set[str]) -> None:
    response = await gateway.client.request(method, path)
    await error(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(",")) == allow


@pytest.mark.parametrize("path", WRITES)
async def test_413(gateway: Gateway, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1024

    for body in (b"x" * (64 * 1024 + 1), chunks()):
        response = await gateway.client.post(path, data=body, headers=gateway.bearer())
        answer = await error(response, 413, "too_large")
        assert answer["field"] == "body"


async def test_exactly_64_kib_is_taken(gateway: Gateway) -> None:
    body = b"like=1&x=".ljust(64 * 1024, b"x")
    await ok(await gateway.client.post("/video/like/3", data=body, headers=gateway.bearer()))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("path", WRITES)
async def test_a_bomb_is_measured_unpacked(gateway: Gateway, encoding: str, path: str) -> None:
    """50 MB in 50 KB: refused after 64 KiB of them."""
    headers = {**gateway.bearer(), "Content-Encoding": encoding}
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    body = pack(b"like=1&x=".ljust(50_000_000, b"x"))
    assert len(body) < 64 * 1024
    tracemalloc.start()
    try:
        await error(await gateway.client.post(path, data=body, headers=headers), 413, "too_large")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    await ok(await gateway.client.get("/video/hot"))


async def test_a_bomb_nobody_reads_is_not_kept(gateway: Gateway) -> None:
    headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(b"x" * 50_000_000)
    tracemalloc.start()
    try:
        await error(await gateway.client.post("/video/like/3", data=body, headers=headers), 401, "unauthorized")
        response = await gateway.client.request("GET", "/video/hot", data=body, headers=headers)
        await ok(response)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


async def test_a_compressed_body(gateway: Gateway) -> None:
    for name, packed in (("gzip", gzip.compress(b"like=1")), ("deflate", zlib.compress(b"like=1"))):
        headers = {**gateway.bearer(), "Content-Encoding": name}
        await ok(await gateway.client.post("/video/like/3", data=packed, headers=headers))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_cannot_be_unpacked(gateway: Gateway, encoding: str) -> None:
    headers = {**gateway.bearer(), "Content-Encoding": encoding}
    response = await gateway.client.post("/video/like/3", data=b"not packed at all", headers=headers)
    await error(response, 400, "bad_body")


BROKEN_JSON = [
    b'{"like": 1',
    b"{",
    b'{"like": 1}x',
    b'{"like": 1}}',
    b'{"a":"\\ud800","like":1}',
    b'{"a":' + b"[" * 60_000,
]
BROKEN_FORMS = [b"like=%ff", b"\xff\xfe", b"&".join([b"a=1"] * 65)]


@pytest.mark.parametrize("body", [*BROKEN_JSON, *BROKEN_FORMS])
async def test_a_body_that_is_none(gateway: Gateway, body: bytes) -> None:
    response = await gateway.client.post("/video/like/3", data=body, headers=gateway.bearer())
    answer = await error(response, 400, "bad_body")
    assert answer["field"] == "body"
    assert answer["allowed"].startswith("a URL-encoded form or a JSON object")


def _head(gateway: Gateway) -> bytes:
    """The head of a like, by hand, of a body of six bytes."""
    lines = "POST /video/like/3 HTTP/1.1", "Host: x", f"Authorization: Bearer {gateway.token()}", "Content-Length: 6"
    return "\r\n".join([*lines, "", ""]).encode()


async def test_half_a_body_is_not_waited_for_long(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SECONDS", 0.2)
    url = gateway.client.make_url("/")
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(_head(gateway) + b"like")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()


async def test_a_viewer_who_goes_away_has_liked_all_the_same(gateway: Gateway) -> None:
    url = gateway.client.make_url("/")
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(_head(gateway) + b"like=1")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    for _ in range(500):
        if await gateway.events("behavior.reactions"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the like is not in the log")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["like", "collect", "follow", "type", "session", "seq", "play_time", "cur_time", "x"])
OBJECTS = st.dictionaries(FIELDS, JSON, max_size=8).map(lambda value: json.dumps(value).encode())
FORMS = st.lists(st.tuples(FIELDS, st.text()), max_size=8).map(lambda p: "&".join(f"{k}={v}" for k, v in p).encode())
TYPES = st.sampled_from(["", "application/json", "text/plain;charset=nonsense", "multipart/form-data", "x"])


@limits(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | OBJECTS | FORMS, content_type=TYPES, path=st.sampled_from(WRITES))
@example(body=b'{"like": 1e999}', content_type="x", path=WRITES[0])
@example(body=b'{"play_time": -0.0, "seq": 1e400}', content_type="x", path=WRITES[3])
async def test_no_body_ever_makes_a_5xx(gateway: Gateway, body: bytes, content_type: str, path: str) -> None:
    headers = {**gateway.bearer(), "Content-Type": content_type}
    response = await gateway.client.post(path, data=body, headers=headers)
    assert response.status in (200, 400), await response.text()
    answer = await response.json()
    assert answer["code"] == response.status
    if response.status == 400:
        assert answer["error"] in ("bad_field", "bad_body")
        assert answer["field"]
        assert answer["allowed"]


@limits(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60))
async def test_no_header_ever_makes_a_5xx(gateway: Gateway, text: str) -> None:
    for name in ("Authorization", "Cookie", "X-Position", "Origin"):
        value = f"playtrail_position={text}; playtrail_token={text}" if name == "Cookie" else text
        response = await gateway.client.get("/video/detail/3", headers={name: value})
        assert response.status in (200, 400, 401), (name, await response.text())


GETS = ["/video/hot", "/nowhere", "/docs", "/openapi.json", "/metrics", "/", "/static/api.js", "/health/ready"]
ANSWERS = [
    *(("GET", path, None) for path in GETS),
    *(("HEAD", path, None) for path in GETS),
    ("GET", "/video/like/x", None),
    ("GET", "/video/like/3", None),
    ("POST", "/video/like/3", b"like=1"),
    ("POST", "/video/like/3", b"like=2"),
    ("POST", "/video/like/3", b"x" * 70_000),
    ("PUT", "/video/like/3", None),
    ("OPTIONS", "/video/like/3", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ANSWERS)
@pytest.mark.parametrize("user", [7, None])
async def test_every_answer_has_the_security_headers(
    gateway: Gateway, method: str, path: str, body: bytes | None, user: int | None
) -> None:
    for origin in ({}, {"Origin": ORIGIN}, {"Origin": "https://evil.example"}):
        headers = {**(gateway.bearer(user) if user else {}), **origin}
        response = await gateway.client.request(method, path, data=body, headers=headers)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Vary"] == "Origin"
        assert response.headers["Server"] == "playtrail"
        if response.content_type == "application/json" and path.startswith("/video"):
            assert response.headers["Cache-Control"] == "no-store"
