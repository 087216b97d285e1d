"""Who calls: JWTs in the Authorization header or a cookie, verified once and remembered until they expire."""

from __future__ import annotations

import re
from typing import Any, Final

import jwt
import msgspec
from aiohttp import web
from jwt.exceptions import PyJWTError
from msgspec import Struct

from gateway import cookies
from gateway.envelope import forbidden_origin, unauthorized
from gateway.jwks import Jwks
from gateway.rates import Rates
from models.clock import Clock

AUDIENCE: Final = "playtrail"
LEEWAY_SECONDS: Final = 10
MAX_REMEMBERED: Final = 65_536
REMEMBERED_SECONDS: Final = 600.0
"""After it a token is verified again, so that one whose key the issuer withdrew stops working."""
_USER_ID: Final = re.compile(r"[1-9][0-9]{0,9}")
_jws = jwt.PyJWS()


class Claims(Struct, frozen=True):
    """What is read of a token; times are seconds since 1970. Other types than these are refused."""

    sub: str
    exp: int | float
    nbf: int | float | None = None
    iat: int | float | None = None
    aud: str | list[str] | None = None


_claims = msgspec.json.Decoder(Claims)


class BadToken(Exception):  # noqa: N818 -- the reason is its text
    """Why a token is not accepted; never contains the token."""


def issue(secret: str, user_id: int, ttl_seconds: int, now_ms: int) -> str:
    """An HS256 token for a user, good for ``ttl_seconds`` from ``now_ms``."""
    now = now_ms // 1000
    claims = {"sub": str(user_id), "iat": now, "exp": now + ttl_seconds, "aud": AUDIENCE}
    return jwt.encode(claims, secret, algorithm="HS256")


class Verifier:
    """
    Verifies tokens by a shared secret (HS256), by an issuer's key set (RS256, ES256), or by either.

    Which key is tried follows from the token's ``alg``, and each key verifies one algorithm only: a public key can
    never be taken for a secret. A verified token is remembered for a while by its whole text, since a signature costs
    as much as the rest of a request.
    """

    def __init__(self, secret: str | None, jwks: Jwks | None, clock: Clock) -> None:
        self._secret, self._jwks, self._clock = secret, jwks, clock
        self._known: dict[str, tuple[int, float]] = {}

    @property
    def remembered(self) -> int:
        """How many tokens are remembered."""
        return len(self._known)

    def known(self, token: str) -> int | None:
        """The user, when the token was verified before."""
        known = self._known.get(token)
        return known[0] if known is not None and self._clock.now_ms() < known[1] * 1000 else None

    async def user_id(self, token: str) -> int:
        """The user; raises BadToken, or Unavailable when the key set cannot be read."""
        known = self.known(token)
        if known is not None:
            return known
        self._known.pop(token, None)
        claims = await self._verified(token)
        now = self._clock.now_ms() / 1000
        user_id = _user_of(claims, now)
        if len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[token] = user_id, min(claims.exp + LEEWAY_SECONDS, now + REMEMBERED_SECONDS)
        return user_id

    async def _verified(self, token: str) -> Claims:
        try:
            header = _jws.get_unverified_header(token)
            key = await self._key(header.get("alg"), header.get("kid"))
            payload = _jws.decode(token, key[1], algorithms=[key[0]])
        except (PyJWTError, ValueError) as error:
            raise BadToken("a token signed by this service's issuer") from error
        try:
            return _claims.decode(payload)
        except ValueError as error:
            raise BadToken(f"a token with sub (text) and exp (number): {error}") from error

    async def _key(self, algorithm: object, kid: str | None) -> tuple[str, Any]:
        if algorithm == "HS256" and self._secret is not None:
            return "HS256", self._secret
        if (algorithm == "RS256" or algorithm == "ES256") and self._jwks is not None:
            key = await self._jwks.find(kid, algorithm)
            if key is not None:
                return algorithm, key.key
            raise BadToken("a token signed by one of the issuer's keys")
        accepted = (["HS256"] if self._secret else []) + (["RS256", "ES256"] if self._jwks else [])
        raise BadToken(f"a token with alg {' or '.join(accepted)}")


def _user_of(claims: Claims, now: float) -> int:
    """The user in claims that hold now (seconds); raises BadToken."""
    if now >= claims.exp + LEEWAY_SECONDS:
        raise BadToken("a token that has not expired")
    if not _USER_ID.fullmatch(claims.sub):
        raise BadToken("a token whose sub is a user id, 1 to 9999999999")
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if audience is not None and AUDIENCE not in audience:
        raise BadToken(f"a token whose aud is {AUDIENCE}, or has none")
    for begin in (claims.nbf, claims.iat):
        if begin is not None and begin > now + LEEWAY_SECONDS:
            raise BadToken("a token that is valid already")
    return int(claims.sub)


class Gate:
    """Decides who a request is from, whether its page may write, and whether its user does so too often."""

    def __init__(self, verifier: Verifier, origins: tuple[str, ...], writes: Rates) -> None:
        self._verifier, self._origins, self._writes = verifier, frozenset(origins), writes

    async def viewer(self, request: web.Request) -> int | None:
        """
        The user id, or None for a guest; raises HttpError 401 or 403.

        A bad token is refused on public routes too: were it taken for a guest's, a viewer whose login ran out would
        go on unnoticed and leave no trail. The Authorization header goes before the cookie. A browser adds a cookie
        by itself, whatever page makes it write; so a write by cookie must come from an allowed origin.
        """
        header = request.headers.get("Authorization")
        if header is None:
            token = cookies.cookie(request, cookies.TOKEN)
            if not token:
                return None
            if request.method == "POST" and not self.allows(request, request.headers.get("Origin")):
                raise forbidden_origin(request.headers.get("Origin"))
        else:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise unauthorized("Authorization: Bearer TOKEN", token_given=True)
        token = token.strip()
        user_id = self._verifier.known(token)
        if user_id is None:
            user_id = await self._verified(token)
        if request.method == "POST":
            self._writes.take(user_id)
        return user_id

    async def _verified(self, token: str) -> int:
        try:
            return await self._verifier.user_id(token)
        except BadToken as error:
            raise unauthorized(str(error), token_given=True) from error

    async def user(self, request: web.Request) -> int:
        """The user id; raises HttpError 401 or 403."""
        viewer = await self.viewer(request)
        if viewer is None:
            raise unauthorized(f"Authorization: Bearer TOKEN, or the cookie {cookies.TOKEN}", token_given=False)
        return viewer

    async def cookie_holder(self, request: web.Request) -> int | None:
        """The user of the request's cookie, None when there is none or it is not valid."""
        token = cookies.cookie(request, cookies.TOKEN)
        try:
            return await self._verifier.user_id(token) if token else None
        except BadToken:
            return None

    def allows(self, request: web.BaseRequest, origin: str | None) -> bool:
        """Whether a page of this origin may call with a viewer's cookie: our own, or one from the settings."""
        if origin is None:
            return False
        return origin in self._origins or origin == f"{request.scheme}://{request.host}"

    def foreign(self, origin: str) -> bool:
        """Whether an origin is one from the settings: then a browser wants to see that said in the answer."""
        return origin in self._origins
