"""Tokens: what is accepted, and every way to cheat that we know."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.auth import AUDIENCE, MAX_REMEMBERED, BadToken, Verifier, issue
from gateway.jwks import Jwks
from models.clock import ManualClock
from tests.gateway.conftest import SECRET, Gateway, error, ok
from tests.gateway.keys import EC, RSA, jwks_file, key_set, public_jwk, public_pem

NOW = 1_700_000_000


def _token(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token; a claim that is None is left out."""
    claims = {"sub": "7", "exp": NOW + 60, **claims}
    kept = {name: value for name, value in claims.items() if value is not None}
    payload = json.dumps(kept).encode()
    return jwt.PyJWS().encode(payload, key, algorithm=algorithm, headers=headers)


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signed_by_hmac(key: bytes, header: dict[str, Any]) -> str:
    text = f"{_part(header)}.{_part({'sub': '7', 'exp': NOW + 60})}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW * 1000)


@pytest.fixture
def verifier(clock: ManualClock, tmp_path: Any) -> Verifier:
    return Verifier(SECRET, Jwks(str(jwks_file(tmp_path))), clock)


GOOD = {
    "plain": {},
    "aud": {"aud": AUDIENCE},
    "one aud of several": {"aud": ["other", AUDIENCE]},
    "times": {"iat": NOW - 5, "nbf": NOW - 5},
    "a clock that is a little ahead": {"iat": NOW + 9, "nbf": NOW + 9},
    "a clock that is a little behind": {"exp": NOW - 9},
    "exp with a fraction": {"exp": NOW + 0.5},
    "other claims": {"name": "x", "roles": [1]},
}


@pytest.mark.parametrize("claims", GOOD.values(), ids=GOOD.keys())
async def test_accepted(verifier: Verifier, claims: dict[str, Any]) -> None:
    for _ in range(2):  # the second time from memory
        assert await verifier.user_id(_token(**claims)) == 7


BAD = {
    "expired": {"exp": NOW - 11},
    "no exp": {"exp": None},
    "exp as text": {"exp": str(NOW + 60)},
    "exp true": {"exp": True},
    "no sub": {"sub": None},
    "sub as number": {"sub": 7},
    "sub empty": {"sub": ""},
    "sub a name": {"sub": "alice"},
    "sub zero": {"sub": "0"},
    "sub negative": {"sub": "-7"},
    "sub with a zero before it": {"sub": "07"},
    "sub with a space": {"sub": " 7"},
    "sub with a newline": {"sub": "7\n"},
    "sub of other digits": {"sub": "７"},
    "sub too large": {"sub": "10000000000"},
    "not yet valid": {"nbf": NOW + 60},
    "issued in the future": {"iat": NOW + 3600},
    "wrong aud": {"aud": "other"},
    "no aud among them": {"aud": ["other"]},
    "empty aud": {"aud": []},
    "aud of another type": {"aud": 7},
}


@pytest.mark.parametrize("claims", BAD.values(), ids=BAD.keys())
async def test_refused_claims(verifier: Verifier, claims: dict[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(BadToken):
            await verifier.user_id(_token(**claims))
    assert verifier.remembered == 0


FORGED = {
    "empty": "",
    "one part": "x",
    "three dots": "..",
    "not base64": "!.!.!",
    "alg none": f"{_part({'alg': 'none'})}.{_part({'sub': '7', 'exp': NOW + 60})}.",
    "alg None": f"{_part({'alg': 'None', 'typ': 'JWT'})}.{_part({'sub': '7', 'exp': NOW + 60})}.",
    "no alg": f"{_part({})}.{_part({'sub': '7', 'exp': NOW + 60})}.",
    "alg a list": f"{_part({'alg': ['HS256']})}.{_part({'sub': '7', 'exp': NOW + 60})}.",
    "header a list": f"{_part([])}.{_part({'sub': '7', 'exp': NOW + 60})}.",
    "another secret": _token("another secret of 32 bytes or more"),
    "another hash": _token(SECRET * 2, algorithm="HS512"),
    "RS256 key as HS256 secret": _signed_by_hmac(public_pem(RSA), {"alg": "HS256", "kid": "rsa"}),
    "EC key as HS256 secret": _signed_by_hmac(public_pem(EC), {"alg": "HS256", "kid": "ec"}),
    "unsigned but says RS256": f"{_part({'alg': 'RS256', 'kid': 'rsa'})}.{_part({'sub': '7', 'exp': NOW + 60})}.",
    "RSA by the EC key's id": _token(RSA, "RS256", {"kid": "ec"}),
    "an unknown key": _token(RSA, "RS256", {"kid": "nobody"}),
    "an RSA algorithm that we do not use": _token(RSA, "PS256", {"kid": "rsa"}),
    "crit": _token(headers={"crit": ["b64"], "b64": True}) + "x",
    "deep": f"{'W' * 4000}.{_part({})}.x",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
async def test_forged(verifier: Verifier, token: str) -> None:
    with pytest.raises(BadToken):
        await verifier.user_id(token)


async def test_a_changed_byte_is_noticed(verifier: Verifier) -> None:
    header, payload, signature = _token().split(".")
    other = _part({"sub": "8", "exp": NOW + 60})
    for token in (f"{header}.{other}.{signature}", f"{header}.{payload}.{signature[::-1]}"):
        with pytest.raises(BadToken):
            await verifier.user_id(token)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (RSA, "RS256", None)]
)
async def test_an_issuers_keys(verifier: Verifier, key: Any, algorithm: str, kid: str | None) -> None:
    assert await verifier.user_id(_token(key, algorithm, {"kid": kid} if kid else None)) == 7


async def test_a_secret_alone_takes_no_keys_and_keys_alone_take_no_secret(clock: ManualClock, tmp_path: Any) -> None:
    with pytest.raises(BadToken):
        await Verifier(SECRET, None, clock).user_id(_token(RSA, "RS256", {"kid": "rsa"}))
    with pytest.raises(BadToken):
        await Verifier(None, Jwks(str(jwks_file(tmp_path))), clock).user_id(_token())


async def test_what_is_remembered_expires(verifier: Verifier, clock: ManualClock) -> None:
    token = _token()
    assert await verifier.user_id(token) == 7
    clock.advance(69)
    assert await verifier.user_id(token) == 7
    clock.advance(1)
    for _ in range(2):
        with pytest.raises(BadToken):
            await verifier.user_id(token)
    assert verifier.remembered == 0


async def test_a_withdrawn_key_ends_its_tokens_within_ten_minutes(
    verifier: Verifier, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _token(RSA, "RS256", {"kid": "rsa"}, exp=NOW + 86_400)
    assert await verifier.user_id(token) == 7
    (tmp_path / "jwks.json").write_bytes(key_set(public_jwk(EC, kid="ec")))
    monkeypatch.setattr("gateway.jwks.STALE_SECONDS", 0.0)  # loop time, which stands still in this test
    clock.advance(599)
    assert await verifier.user_id(token) == 7
    clock.advance(1)
    with pytest.raises(BadToken):
        await verifier.user_id(token)
    assert verifier.remembered == 0


async def test_memory_is_bounded(verifier: Verifier, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_REMEMBERED < 100_000
    monkeypatch.setattr("gateway.auth.MAX_REMEMBERED", 10)
    for user in range(1, 30):
        assert await verifier.user_id(issue(SECRET, user, 60, clock.now_ms())) == user
    assert verifier.remembered == 10


PATHS = ["/video/hot", "/video/detail/3", "/video/like/3", "/video/collect/3", "/video/follow/3"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["header", "cookie"])
async def test_a_bad_token_is_401_on_public_routes_too(gateway: Gateway, path: str, how: str) -> None:
    token = gateway.token(seconds=-60)
    headers = {"Authorization": f"Bearer {token}"} if how == "header" else {"Cookie": f"playtrail_token={token}"}
    response = await gateway.client.get(path, headers=headers)
    body = await error(response, 401, "unauthorized")
    assert body["msg"] == "登录已失效，请重新登录"
    assert token not in await response.text()
    assert response.headers["WWW-Authenticate"].startswith("Bearer error=")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "bearer x", "Bearer a b c", "é"])
async def test_other_headers(gateway: Gateway, value: str) -> None:
    response = await gateway.client.get("/video/hot", headers={"Authorization": value})
    await error(response, 401, "unauthorized")


async def test_the_header_goes_before_the_cookie(gateway: Gateway) -> None:
    headers = {**gateway.bearer(8), "Cookie": f"playtrail_token={gateway.token(9)}"}
    await ok(await gateway.client.post("/video/like/3", data="like=1", headers=headers))
    assert [event["user_id"] for event in await gateway.events("behavior.reactions")] == [8]


async def test_play_and_statistics(gateway: Gateway) -> None:
    headers = {"Authorization": "Bearer x"}
    await error(await gateway.client.post("/video/play/3", headers=headers), 401, "unauthorized")
    await ok(await gateway.client.get("/video/statistics", headers=headers))  # asks nobody who he is
