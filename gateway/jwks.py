"""The public keys of a token issuer: a JWKS at a URL or in a file, cached, fetched again when a key is unknown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from models.errors import Unavailable
from models.settings import without_password

log = structlog.get_logger()

RETRY_SECONDS: Final = 30.0
"""How often an unknown key may make us fetch: anybody can invent key ids."""
STALE_SECONDS: Final = 600.0
"""Age at which keys are fetched again, so that a key that the issuer withdrew stops working."""
MAX_BYTES: Final = 1 << 20
MIN_RSA_BITS: Final = 2048


class Key(NamedTuple):
    """A public key, and the one algorithm that it may verify."""

    kid: str | None
    algorithm: str
    key: Any


class KeySet(msgspec.Struct):
    """RFC 7517, section 5."""

    keys: list[dict[str, Any]]


class Jwks:
    """
    Keys by id and algorithm.

    Args:
        source: An http(s) URL, a ``file:`` URL or a path.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: list[Key] | None = None
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """
        The key, or None when the issuer has none such. A token without ``kid`` fits the only key of its algorithm.

        Raises Unavailable while no key set could be read at all.
        """
        if self._due(kid, algorithm):
            async with self._lock:
                if self._due(kid, algorithm):  # nobody fetched while this one waited for the lock
                    await self._fetch()
        if self._keys is None:
            raise Unavailable("jwks", "the issuer's keys could not be read", RETRY_SECONDS)
        return self._look(kid, algorithm)

    def _due(self, kid: str | None, algorithm: str) -> bool:
        limit = RETRY_SECONDS if self._look(kid, algorithm) is None else STALE_SECONDS
        return asyncio.get_running_loop().time() - self._tried >= limit

    def _look(self, kid: str | None, algorithm: str) -> Key | None:
        fitting = [k for k in self._keys or () if k.algorithm == algorithm and kid in (None, k.kid)]
        return fitting[0] if len(fitting) == 1 else None

    async def _fetch(self) -> None:
        self._tried = asyncio.get_running_loop().time()
        try:
            self._keys = parse(await self._read())
        except (OSError, ValueError, aiohttp.ClientError, TimeoutError) as error:
            reason = f"{type(error).__name__}: {error}".replace(self._source, without_password(self._source))
            log.warning("jwks not read", reason=reason)

    async def _read(self) -> bytes:
        if not self._source.startswith(("http://", "https://")):
            return await asyncio.to_thread(Path(self._source.removeprefix("file://")).read_bytes)
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(self._source) as response,
        ):
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
            return body


def parse(text: bytes) -> list[Key]:
    """The usable keys: RS256 with 2048 bits or more, ES256. Raises ValueError when it is no key set."""
    keys = []
    for raw in msgspec.json.decode(text, type=KeySet).keys:
        key = _key(raw)
        if key is not None:
            keys.append(key)
    return keys


def _key(raw: dict[str, Any]) -> Key | None:
    """
    The algorithm follows from the kind of key alone, never from the token.

    A key that may only encrypt, or a symmetric one, is none: a public file must not hold secrets.
    """
    algorithm = {"RSA None": "RS256", "EC P-256": "ES256"}.get(f"{raw.get('kty')} {raw.get('crv')}")
    if algorithm is None or raw.get("use", "sig") != "sig" or raw.get("alg", algorithm) != algorithm:
        return None
    kid = raw.get("kid")
    try:
        key = PyJWK(raw, algorithm).key
    except (PyJWTError, ValueError, TypeError) as error:  # a number that is none, a field of another type
        log.warning("jwks key left out", kid=kid, reason=str(error))
        return None
    if getattr(key, "key_size", 0) < MIN_RSA_BITS and algorithm == "RS256":
        return None
    return Key(kid if isinstance(kid, str) else None, algorithm, key)
