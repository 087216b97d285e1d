"""The page at / and the one at /docs in headless Chromium, against the commands that an operator runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.browser import Page, chromium
from tests.running import Process, command, eventually, ready

SECRET = "a secret for tests that is long enough"
FILMS = [{"title": f"片名 {n}", "category": 1 + n % 2, "duration": 300 + n} for n in range(1, 7)]
LOADED = "document.querySelectorAll('#hot .card[data-id]').length === 6"
LIKE = "document.querySelector('#hot [data-id=\"3\"] .like')"
PRESSED = f"{LIKE}.getAttribute('aria-pressed')"

# Text that is shown, against the nearest background that is not transparent: WCAG contrast below 4.5 is listed.
FAINT = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data; };
  const light = (c) => [0, 1, 2].map((i) => c[i] / 255)
    .map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c; } return rgb('Canvas'); };
  return [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && !e.disabled && !e.closest('svg')
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).map((e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    return [e.className || e.tagName, e.textContent.slice(0, 20), +((a + .05) / (b + .05)).toFixed(2)];
  }).filter(([, , ratio]) => ratio < 4.5);
})()"""
SHIFT = """new Promise((done) => new PerformanceObserver((list) =>
  done(list.getEntries().reduce((sum, e) => sum + e.value, 0))).observe({type: 'layout-shift', buffered: true})
  || setTimeout(() => done(0), 1000))"""


@pytest.fixture
async def env(tmp_path: Path, unused_tcp_port: int) -> dict[str, str]:
    """Settings of a gateway with six videos."""
    env = {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_SECRET": SECRET, "PLAYTRAIL_PORT": str(unused_tcp_port)}
    films = tmp_path / "films.json"
    films.write_text(json.dumps(FILMS))
    await command("topics", "apply", env=env)
    await command("catalogue", "load", str(films), env=env)
    return env


@pytest.fixture
async def up(env: Mapping[str, str]) -> AsyncIterator[str]:
    """Address of `playtrail up`, where a stranger is a viewer at once."""
    async with Process("up", env=env) as process, aiohttp.ClientSession() as http:
        url = await process.url()
        await ready(http, url)
        yield url


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "chromium") as page:
        await page.size(1440, 900)
        yield page


async def statistics(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(url + "/video/statistics") as answer:
        data: dict[str, Any] = (await answer.json())["data"]
        return data


def by_id(data: Mapping[str, Any], kind: str) -> dict[str, int]:
    return {i: bar["value"] for i, bar in zip(data[f"{kind}_x_data"], data[f"{kind}_y_data"], strict=True)}


async def test_it_loads_without_a_problem(up: str, page: Page) -> None:
    await page.open(up + "/")
    await page.until(LOADED)
    await page.until("document.querySelectorAll('#lamps [data-state=ok]').length === 5")
    await page.until("document.querySelectorAll('#rank li').length === 6")
    await page.until("document.querySelector('#seconds').dataset.state === 'empty'")
    assert await page.run("document.querySelectorAll('#hot .cover svg').length") == 6
    assert await page.run(SHIFT) < 0.1
    assert page.problems == []


async def test_a_like_is_pressed_and_survives_a_reload(up: str, page: Page) -> None:
    await page.open(up + "/")
    await page.until(LOADED)
    assert await page.run(PRESSED) == "false"
    await page.run(f"{LIKE}.click()")
    await page.until(f"{PRESSED} === 'true'")
    at = "document.querySelector('#stations [data-at={}] span').textContent"
    assert (await page.until(at.format("log") + ".includes('@') && " + at.format("log"))).startswith("behavior.reac")
    await page.until("document.querySelector('#stations [data-at=model]').dataset.state === 'ok'")
    await page.reload()
    await page.until(f"{LOADED} && {PRESSED} === 'true'")
    await page.until("document.querySelector('#mine [data-id=\"3\"]')")
    await page.run(f"{LIKE}.click()")
    await page.until("document.querySelector('#stations [data-at=model]').dataset.state === 'ok'")
    await page.reload()
    await page.until(f"{LOADED} && {PRESSED} === 'false' && document.querySelector('#mine').childElementCount === 0")
    assert page.problems == []


async def test_watching_raises_plays_and_leaving_tells_the_seconds(up: str, page: Page) -> None:
    await page.open(up + "/")
    await page.until(LOADED)
    await page.run("document.querySelector('#hot [data-id=\"5\"] .watch').click()")

    async def plays() -> bool:
        return by_id(await statistics(up), "counts").get("5") == 1

    await eventually(plays, "one play of video 5")
    await page.until("/[2-9]/.test(document.querySelector('#watched').textContent)")
    assert page.problems == []
    await page.command("Page.navigate", url="about:blank")

    async def seconds() -> bool:
        return by_id(await statistics(up), "time").get("5", 0) >= 2

    await eventually(seconds, "the beacon's stop with two seconds or more")


async def test_pausing_stops_and_closing_ends_the_session(up: str, page: Page) -> None:
    await page.open(up + "/")
    await page.until(LOADED)
    await page.run("document.querySelector('#hot [data-id=\"2\"] .watch').click()")
    await page.until("document.querySelector('#player').dataset.state === 'playing'")
    beats = "[...document.querySelectorAll('#beats [data-state=ok]')].map((b) => b.textContent.split(' ')[0]).join()"
    await page.until(f"{beats} === 'start'")
    await page.run("document.querySelector('#toggle').click()")
    await page.until(f"{beats} === 'start,stop'")
    await page.run("document.querySelector('#toggle').click()")
    await page.until(f"{beats} === 'start,stop,ping'")
    # Seeking to the end is an end, but it adds nothing to what was watched.
    await page.run(
        "(() => { const s = document.querySelector('#seek'); s.value = s.max; s.dispatchEvent(new Event('input')) })()"
    )
    await page.until(f"{beats} === 'start,stop,ping,end'")
    await page.run("document.querySelector('#close').click()")
    await page.until("document.querySelector('#player').dataset.state === 'empty'")

    async def counted() -> bool:
        data = await statistics(up)
        return by_id(data, "counts").get("2") == 1 and by_id(data, "time").get("2", 0) < 60

    await eventually(counted, "one play, seconds as watched")
    assert page.problems == []


async def test_a_guest_is_told_how_to_get_a_token(env: Mapping[str, str], page: Page) -> None:
    token = (await command("token", "7", env=env)).strip()
    async with Process("gateway", env=env) as process:
        await page.open(await process.url() + "/")
        await page.until(LOADED)
        await page.run(f"{LIKE}.click()")
        await page.until("document.querySelector('#signin').open")
        assert await page.run("document.querySelector('#notice').textContent") == "请先登录 (unauthorized)"
        assert "playtrail token" in await page.run("document.querySelector('#signin').textContent")
        assert await page.run(PRESSED) == "false"
        await page.run(f"document.querySelector('#token').value = {json.dumps(token)}")
        await page.run("document.querySelector('#signin [value=save]').click()")
        await page.until("/7/.test(document.querySelector('#who').textContent)")
        await page.run(f"{LIKE}.click()")
        # No consumer runs: the page says that the read model is behind rather than that all is well.
        await page.until("document.querySelector('#stations [data-at=log]').dataset.state === 'ok'")
        await page.until("document.querySelector('#stations [data-at=model]').dataset.state === 'warn'")


async def test_it_comes_back_when_the_gateway_does(env: Mapping[str, str], page: Page) -> None:
    async with Process("up", env=env) as process:
        await page.open(await process.url() + "/")
        await page.until(f"{LOADED} && document.querySelectorAll('#lamps [data-state=ok]').length === 5")
        await process.stop()
        await page.until("document.querySelector('#lamps [data-state=bad]')", 30)
        await page.run(f"{LIKE}.click()")
        await page.until("!document.querySelector('#notice').hidden")
        assert await page.run(PRESSED) == "false"
    async with Process("up", env=env):
        await page.until("document.querySelectorAll('#lamps [data-state=ok]').length === 5", 40)
    assert [p for p in page.problems if p.startswith(("exception", "console"))] == []


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_it_fits_and_can_be_read(path: str, up: str, page: Page) -> None:
    await page.open(up + path)
    await page.until(LOADED if path == "/" else "document.querySelectorAll('.route').length > 10")
    for width in (360, 1440):
        for dark in (False, True):
            # Without motion, or a colour would be read half-way from one scheme to the other.
            await page.size(width, 800, dark=dark, calm=True)
            assert await page.run("document.documentElement.scrollWidth") <= width
            assert await page.run(FAINT) == []
    assert page.problems == []


async def test_both_languages(up: str, page: Page) -> None:
    await page.open(up + "/")
    await page.until(LOADED)
    titles = {
        await page.run("document.documentElement.lang"): await page.run(
            "document.querySelector('#hot-title').textContent"
        )
    }
    await page.run("document.querySelector('#lang').click()")
    titles[await page.run("document.documentElement.lang")] = await page.run(
        "document.querySelector('#hot-title').textContent"
    )
    assert titles == {"en": "Hot videos", "zh-CN": "热点视频"}


async def test_the_reference_shows_every_route_and_tries_a_get(up: str, page: Page) -> None:
    async with aiohttp.ClientSession() as http, http.get(up + "/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    await page.open(up + "/docs")
    await page.until(
        f"document.querySelectorAll('.route').length === {sum(len(set(p) & {'get', 'post'}) for p in paths.values())}"
    )
    await page.run("document.querySelector('#get-video-rank button').click()")
    await page.until("/HTTP 200/.test(document.querySelector('#get-video-rank .output').textContent)")
    assert page.problems == []


async def test_the_operators_page_draws_every_projection(up: str, page: Page) -> None:
    await page.open(up + "/ops")
    await page.until("document.querySelectorAll('.projection').length === 3")
    await page.until("[...document.querySelectorAll('.state')].every((state) => state.textContent === 'OK')")
    await page.until("[...document.querySelectorAll('.plot .curve')].length === 3")
    assert await page.run("document.querySelectorAll('.partitions tbody tr').length") == 18
    assert await page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert await page.run(FAINT) == []
    assert page.problems == []
