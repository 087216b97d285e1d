"""An issuer's key set: from a file, from a URL, renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway import jwks
from gateway.jwks import Jwks, parse
from models.errors import Unavailable
from tests.gateway.conftest import Start, error, ok
from tests.gateway.keys import EC, RSA, RSA_NEXT, jwks_file, key_set, public_jwk

Serve = Callable[[web.Application], Awaitable[TestServer]]


@pytest.mark.parametrize("prefix", ["", "file://"])
async def test_a_file(tmp_path: Path, prefix: str) -> None:
    keys = Jwks(prefix + str(jwks_file(tmp_path)))
    assert (await keys.find("rsa", "RS256")) is not None
    assert (await keys.find("ec", "ES256")) is not None
    assert (await keys.find("rsa", "ES256")) is None
    assert (await keys.find("ec", "RS256")) is None


async def test_a_url_is_asked_again_for_an_unknown_key(aiohttp_server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    body, asked = key_set(public_jwk(RSA, kid="old")), 0

    async def get(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/keys", get)
    keys = Jwks(str((await aiohttp_server(app)).make_url("/keys")))
    assert await keys.find("old", "RS256") is not None
    body = key_set(public_jwk(RSA_NEXT, kid="new"))
    found = await asyncio.gather(*(keys.find("new", "RS256") for _ in range(20)))
    assert (set(found), asked) == ({None}, 1)
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)
    found = await asyncio.gather(*(keys.find("new", "RS256") for _ in range(20)))
    assert all(key is not None for key in found)
    assert asked == 2
    monkeypatch.setattr(jwks, "STALE_SECONDS", 0.0)
    assert await keys.find("old", "RS256") is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"keys": [1]}', b" " * (jwks.MAX_BYTES + 1)])
async def test_what_is_no_key_set_leaves_the_old_keys(
    aiohttp_server: Serve, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "STALE_SECONDS", 0.0)
    served = key_set(public_jwk(RSA, kid="old"))

    async def get(_: web.Request) -> web.Response:
        return web.Response(body=served)

    app = web.Application()
    app.router.add_get("/keys", get)
    keys = Jwks(str((await aiohttp_server(app)).make_url("/keys")))
    assert await keys.find("old", "RS256") is not None
    served = body
    assert await keys.find("old", "RS256") is not None
    assert await keys.find("new", "RS256") is None


@pytest.mark.parametrize("source", ["/nowhere/keys.json", "http://127.0.0.1:9/keys"])
async def test_none_at_all_is_unavailable(source: str) -> None:
    with pytest.raises(Unavailable):
        await Jwks(source).find("x", "RS256")


def test_keys_that_are_left_out() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    other_curve = ec.generate_private_key(ec.SECP384R1())
    left_out: list[dict[str, Any]] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {"kid": "b"},
        {"kty": "RSA", "kid": "c"},
        {"kty": "RSA", "n": [], "e": 3},
        {"kty": ["RSA"], "crv": {}},
        public_jwk(RSA, kid="d", use="enc"),
        public_jwk(RSA, kid="e", alg="RS512"),
        public_jwk(weak, kid="f"),
        public_jwk(other_curve, kid="g"),
        public_jwk(EC, kid="h", alg="HS256"),
    ]
    assert [key.kid for key in parse(key_set(*left_out, public_jwk(RSA, kid="good")))] == ["good"]


async def test_over_http(start: Start, tmp_path: Path) -> None:
    import jwt

    gateway = await start(jwks=str(jwks_file(tmp_path)))
    claims = {"sub": "42", "exp": gateway.parts.clock.now_ms() // 1000 + 60}
    for key, algorithm, kid in ((RSA, "RS256", "rsa"), (EC, "ES256", "ec")):
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})
        headers = {"Authorization": f"Bearer {token}"}
        await ok(await gateway.client.post("/video/like/3", data="like=1", headers=headers))
    token = jwt.encode(claims, RSA_NEXT, algorithm="RS256", headers={"kid": "rsa"})
    response = await gateway.client.get("/video/hot", headers={"Authorization": f"Bearer {token}"})
    await error(response, 401, "unauthorized")


async def test_rotation_over_http(start: Start, aiohttp_server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The issuer adds a key, signs with it, and later withdraws the old one."""
    import jwt

    monkeypatch.setattr("gateway.auth.REMEMBERED_SECONDS", 0.0)
    published = [public_jwk(RSA, kid="old")]

    async def get(_: web.Request) -> web.Response:
        return web.Response(body=key_set(*published))

    issuer = web.Application()
    issuer.router.add_get("/keys", get)
    gateway = await start(jwks=str((await aiohttp_server(issuer)).make_url("/keys")))
    claims = {"sub": "42", "exp": gateway.parts.clock.now_ms() // 1000 + 600}

    async def like(key: rsa.RSAPrivateKey, kid: str) -> int:
        token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})
        headers = {"Authorization": f"Bearer {token}"}
        return (await gateway.client.post("/video/like/3", data="like=1", headers=headers)).status

    assert (await like(RSA, "old"), await like(RSA_NEXT, "new")) == (200, 401)
    published.append(public_jwk(RSA_NEXT, kid="new"))
    assert await like(RSA_NEXT, "new") == 401  # asked a moment ago: strangers cannot make us ask the issuer at will
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)
    assert (await like(RSA_NEXT, "new"), await like(RSA, "old")) == (200, 200)
    del published[0]
    monkeypatch.setattr(jwks, "STALE_SECONDS", 0.0)
    assert (await like(RSA_NEXT, "new"), await like(RSA, "old")) == (200, 401)


async def test_keys_that_cannot_be_read_are_503(start: Start) -> None:
    import jwt

    gateway = await start(jwks="/nowhere/keys.json")
    claims = {"sub": "42", "exp": gateway.parts.clock.now_ms() // 1000 + 60}
    token = jwt.encode(claims, RSA, algorithm="RS256", headers={"kid": "rsa"})
    response = await gateway.client.get("/video/hot", headers={"Authorization": f"Bearer {token}"})
    await error(response, 503, "unavailable")
