"""How often one user may write, and one address may ask."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

from aiohttp import web

from gateway.envelope import rate_exceeded

BURST_SECONDS: Final = 4.0
"""What is saved up, in seconds of the rate: a page that was offline sends its heartbeats at once."""
MAX_KEYS: Final = 100_000


class Rates:
    """
    A token bucket for each key, full at first: ``per_second`` flow in, four seconds' worth are kept.

    A bucket is one number, the time when it will be full again (the generic cell rate algorithm, ITU-T I.371). One
    that was not used while four seconds passed is full, and so may be forgotten: the keys are in two generations,
    of which the older is dropped. Past ``MAX_KEYS`` that happens early, and who is forgotten has a full bucket:
    bounded memory goes before exactness.

    Args:
        what: Which field the refusal names.
        per_second: 0 is no limit.
        now: Seconds, of a clock that never goes back.
    """

    def __init__(
        self, what: Literal["user", "address"], per_second: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self.per_second, self._now = what, per_second, now
        self._cost = 1 / per_second if per_second else 0.0
        self._most = BURST_SECONDS - self._cost + 1e-9
        self._recent: dict[int | str, float] = {}
        self._older: dict[int | str, float] = {}
        self._rotate_at = now() + BURST_SECONDS

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def take(self, key: int | str) -> None:
        """One more by ``key``; raises HttpError 429 when its bucket is empty."""
        if not self._cost:
            return
        now = self._now()
        if now >= self._rotate_at or len(self._recent) >= MAX_KEYS:
            # After a pause of two turns even what is recent is full.
            self._older = self._recent if now < self._rotate_at + BURST_SECONDS else {}
            self._recent, self._rotate_at = {}, now + BURST_SECONDS
        full_at = self._recent.get(key) or self._older.get(key, now)
        ahead = full_at - now
        if ahead > self._most:
            limit = f"{self.per_second} a second, {round(self.per_second * BURST_SECONDS)} at once"
            raise rate_exceeded(self._what, limit, math.ceil(ahead - self._most))
        self._recent[key] = (full_at if ahead > 0 else now) + self._cost


def address_of(request: web.BaseRequest) -> str:
    """
    Whom a request's connection comes from: an IPv4 address, or the /64 that one IPv6 customer has as a whole.

    Never from a header: X-Forwarded-For is what the client likes it to be.
    """
    address = request.remote or ""
    return _network(address) if ":" in address else address


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    parsed = ipaddress.IPv6Address(address)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
