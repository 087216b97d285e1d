"""How often one may: the buckets against the plain definition, and both limits over HTTP."""

from __future__ import annotations

import asyncio
import uuid

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.envelope import HttpError
from gateway.rates import BURST_SECONDS, Rates, address_of
from tests.gateway.conftest import ORIGIN, Gateway, Make, Start, error, ok
from tests.gateway.served import served


class Clock:
    """Seconds that a test advances."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def allows(rates: Rates, key: int | str) -> bool:
    try:
        rates.take(key)
    except HttpError:
        return False
    return True


STEPS = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([0, 0, 0, 0.125, 0.25, 1, 3.75, 4, 9, 100])), max_size=200
)


@given(st.sampled_from([1, 2, 8]), STEPS)
def test_it_is_a_token_bucket_for_each_key(per_second: int, steps: list[tuple[int, float]]) -> None:
    clock = Clock()
    rates, most = Rates("user", per_second, clock), per_second * BURST_SECONDS
    tokens: dict[int, tuple[float, float]] = {}
    for key, pause in steps:
        clock.seconds += pause
        left, at = tokens.get(key, (most, clock.seconds))
        left = min(most, left + per_second * (clock.seconds - at))
        assert allows(rates, key) == (left >= 1)
        tokens[key] = (left - 1 if left >= 1 else left), clock.seconds


def test_retry_after_is_when_the_next_is_allowed() -> None:
    clock = Clock()
    rates = Rates("user", 1, clock)
    for _ in range(4):
        rates.take(7)
    with pytest.raises(HttpError) as refusal:
        rates.take(7)
    assert refusal.value.answer.code == 429
    assert (refusal.value.answer.field, refusal.value.answer.allowed) == ("user", "1 a second, 4 at once")
    clock.seconds += int(refusal.value.headers["Retry-After"])
    rates.take(7)


def test_idle_keys_are_forgotten() -> None:
    clock = Clock()
    rates = Rates("address", 10, clock)
    for turn in range(50):
        for key in range(1000):
            rates.take(f"{turn}.{key}")
        clock.seconds += BURST_SECONDS
    assert len(rates) <= 2000


def test_memory_is_bounded_when_all_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.rates.MAX_KEYS", 100)
    rates = Rates("address", 10, Clock())
    for key in range(10_000):
        rates.take(str(key))
    assert len(rates) <= 200


def test_0_is_no_limit() -> None:
    rates = Rates("user", 0, Clock())
    assert all(allows(rates, 7) for _ in range(10_000))
    assert len(rates) == 0


class _From:
    def __init__(self, remote: str | None) -> None:
        self.remote = remote


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        (None, ""),
    ],
)
def test_an_address_is_ipv4_or_a_whole_customer(remote: str | None, address: str) -> None:
    assert address_of(_From(remote)) == address  # type: ignore[arg-type]  # all that is looked at


def like(gateway: Gateway, user: int) -> asyncio.Task[aiohttp.ClientResponse]:
    return asyncio.ensure_future(gateway.client.post("/video/like/3", data="like=1", headers=gateway.bearer(user)))


async def test_a_user_who_writes_too_often(start: Start) -> None:
    gateway = await start(rate_user="1")
    responses = await asyncio.gather(*(like(gateway, 7) for _ in range(40)))
    good = [response for response in responses if response.status == 200]
    assert 4 <= len(good) < 40
    for response in responses:
        if response.status != 200:
            answer = await error(response, 429, "too_many_requests")
            assert (answer["field"], answer["allowed"]) == ("user", "1 a second, 4 at once")
            assert 1 <= int(response.headers["Retry-After"]) <= 4
    assert len(await gateway.events("behavior.reactions")) == len(good)
    for path in ("/video/like/3", "/video/hot", "/video/detail/3"):
        assert (await gateway.client.get(path, headers=gateway.bearer(7))).status == 200
    await ok(await like(gateway, 8))
    beat = {"type": "start", "session": str(uuid.uuid4()), "seq": 0, "play_time": 0}
    await ok(await gateway.client.post("/video/play/3", json=beat))
    assert await gateway.metric("playtrail_rates_remembered") == 2


async def test_all_kinds_of_writes_count_together(start: Start) -> None:
    gateway = await start(rate_user="1")
    bodies = {"like": "like=1", "collect": "collect=1", "follow": "follow=1", "play": "", "destroy": ""}
    calls = (
        gateway.client.post(f"/video/{kind}/3", data=body, headers=gateway.bearer())
        for _ in range(8)
        for kind, body in bodies.items()
    )
    assert sum(response.status == 429 for response in await asyncio.gather(*calls)) >= 1


async def test_an_address_that_asks_too_often(make_parts: Make) -> None:
    parts = await make_parts(rate_address="1")
    paths = ["/video/hot", "/nowhere", "/", "/openapi.json", "/video/like/3"]
    async with served(parts) as url, aiohttp.ClientSession() as http:

        async def ask(number: int) -> int:
            headers = {"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}", "Origin": ORIGIN}
            async with http.get(url + paths[number % len(paths)], headers=headers) as response:
                if response.status == 429:
                    assert (await error(response, 429, "too_many_requests"))["field"] == "address"
                    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
                    assert int(response.headers["Retry-After"]) >= 1
                return response.status

        assert sum(status == 429 for status in await asyncio.gather(*map(ask, range(60)))) >= 1
        elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(connector=elsewhere) as other, other.get(url + "/video/hot") as response:
            await ok(response)
