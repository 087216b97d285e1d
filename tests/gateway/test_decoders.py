"""Every decoder of what strangers send, given anything: an answer that was foreseen, never another exception."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.auth import BadToken, Verifier
from gateway.bodies import MAX_BYTES, Body, CollectBody, FollowBody, LikeBody, PlayBody
from gateway.cookies import POSITION, TOKEN, cookie
from gateway.envelope import HttpError, failed
from gateway.jwks import parse
from gateway.reactions import KINDS, KindOf
from models.clock import SystemClock
from models.errors import Refused
from models.eventlog.port import Position
from tests.gateway.conftest import SECRET

BODIES: list[Body[Any]] = [Body(struct) for struct in (LikeBody, CollectBody, FollowBody, PlayBody)]
FIELDS = ["like", "collect", "follow", "type", "session", "seq", "play_time", "cur_time", "x", ""]
WORDS = st.sampled_from(
    ["0", "1", "start", "0190a5b2-0000-7000-8000-00000000000f", "1e999", "NaN", "-0", "null", "\ud800"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS
NESTED = st.recursive(VALUES, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3))
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), NESTED, max_size=8)
FORMS = st.lists(st.tuples(st.sampled_from(FIELDS), st.text(max_size=9) | WORDS), max_size=8)
AS_JSON = OBJECTS.map(lambda value: json.dumps(value).encode())
AS_FORM = FORMS.map(lambda pairs: "&".join(f"{k}={v}" for k, v in pairs).encode(errors="surrogatepass"))


@given(st.sampled_from(BODIES), st.binary(max_size=200) | AS_JSON | AS_FORM)
@example(BODIES[3], b'{"a":' + b"[" * (MAX_BYTES - 5))
@example(BODIES[3], b"&" * MAX_BYTES)
@example(BODIES[0], b"like=" + b"9" * (MAX_BYTES - 5))
@example(BODIES[0], b'{"like":' + b"9" * (MAX_BYTES - 9) + b"}")
def test_a_body(decoder: Body[Any], body: bytes) -> None:
    try:
        decoded = decoder.parse(body)
    except HttpError as error:
        response = failed(error)  # and it can be sent
        assert response.status == 400
        assert isinstance(response.body, bytes)
        assert len(response.body) < 1000
    else:
        assert isinstance(decoded, decoder.struct)
        if isinstance(decoded, PlayBody):
            assert 0 <= decoded.play_time <= 604_800
            assert decoded.cur_time is None or 0 <= decoded.cur_time <= 604_800
        else:
            assert decoded.on in (0, 1)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("on", [0, 1])
def test_the_usual_body_is_read_as_any_other(kind: KindOf, on: int) -> None:
    usual = kind.body.parse(f"{kind.kind}={on}".encode())
    assert usual == kind.body.parse(f"{kind.kind}={on}&x=y".encode()) == kind.body.struct(on)


CLAIMS = st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "x"]), NESTED, max_size=6)
PARTS = st.text("abcXYZ019-_=.", max_size=60) | st.text(max_size=30)


@given(PARTS | st.tuples(PARTS, PARTS, PARTS).map(".".join) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
async def test_a_token(token: str) -> None:
    with pytest.raises(BadToken):
        await Verifier(SECRET, None, SystemClock()).user_id(token)


@given(CLAIMS | NESTED)
@example({"sub": "7", "exp": 1e308})
@example({"sub": "7", "exp": 10**400})
@example({"sub": "7", "exp": 10**18, "nbf": -(10**300)})
async def test_claims_that_are_signed(claims: Any) -> None:
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), SECRET, algorithm="HS256")
    try:
        user_id = await Verifier(SECRET, None, SystemClock()).user_id(token)
    except BadToken:
        return
    assert str(user_id) == claims["sub"]


@given(st.binary(max_size=200) | NESTED.map(lambda v: json.dumps(v).encode()) | st.lists(
    st.dictionaries(st.sampled_from(["kty", "crv", "kid", "use", "alg", "n", "e", "x", "y"]),
                    st.sampled_from(["RSA", "EC", "P-256", "sig", "RS256", "AQAB", "", "!"]) | NESTED),
    max_size=3).map(lambda keys: json.dumps({"keys": keys}).encode()))  # fmt: skip
def test_a_key_set(text: bytes) -> None:
    try:
        parse(text)
    except ValueError:
        return


@given(st.text(max_size=60) | st.from_regex(r"\A[a-z.]{1,9}/[0-9]{1,7}@[0-9]{1,20}\Z"))
def test_a_position(text: str) -> None:
    try:
        position = Position.parse(text)
    except Refused:
        return
    assert Position.parse(str(position)) == position
    assert position.offset < 10**19


class _With:
    def __init__(self, header: str) -> None:
        self.headers = CIMultiDict({"Cookie": header})


@given(st.text(max_size=80) | st.lists(st.text('abc=;" ', max_size=9), max_size=5).map(f"{TOKEN}=".join))
def test_a_cookie(header: str) -> None:
    for name in (TOKEN, POSITION):
        value = cookie(_With(header), name)  # type: ignore[arg-type]  # all that is looked at
        assert value is None or (";" not in value and value in header)
