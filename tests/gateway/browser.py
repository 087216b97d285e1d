"""Headless Chromium over its debugging protocol: just enough of a driver to look at a page, with aiohttp alone."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

Json = dict[str, Any]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


def executable() -> str | None:
    """Path of an installed Chromium, or None."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


class Page:
    """
    One tab.

    Attributes:
        problems: Uncaught exceptions, console errors and failed loads, as one line each.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.problems: list[str] = []
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            event: Json = message.json()
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event)
            elif (problem := _problem(event)) is not None:
                self.problems.append(problem)

    async def command(self, method: str, **params: object) -> Json:
        """Send one command of the protocol and wait for its result."""
        answer = await self._ask(method, **params)
        assert "error" not in answer, answer
        result: Json = answer["result"]
        return result

    async def _ask(self, method: str, **params: object) -> Json:
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(answer, 20)

    async def open(self, url: str) -> Self:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.command(f"{domain}.enable")
        await self.command("Page.navigate", url=url)
        return self

    async def size(self, width: int, height: int, *, dark: bool = False, calm: bool = False) -> None:
        """Set the viewport in CSS pixels, the preferred colour scheme, and whether motion is to be reduced."""
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme, motion])

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = await self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = 20) -> Any:
        """Wait until the expression is truthy; returns its value (True for an element). Throwing counts as false."""
        asked = f"(async () => {{ const v = {script}; return v instanceof Element || v; }})()"
        async with asyncio.timeout(seconds):
            while True:
                answer = await self._ask("Runtime.evaluate", expression=asked, awaitPromise=True, returnByValue=True)
                result = answer.get("result", {})  # none when the page went away while it was asked
                if "exceptionDetails" not in result and result.get("result", {}).get("value"):
                    return result["result"]["value"]
                await asyncio.sleep(0.05)

    async def reload(self) -> None:
        """Load the page again; returns when the old document is gone."""
        await self.run("window.old = true")
        await self.command("Page.reload")
        await self.until("!window.old")

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save a PNG of the viewport, or of the whole page."""
        answer = await self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))

    async def close(self) -> None:
        await self._socket.close()
        await self._reader


def _problem(event: Json) -> str | None:
    method, params = event.get("method"), event.get("params", {})
    if method == "Runtime.exceptionThrown":
        details = params["exceptionDetails"]
        return f"exception: {details.get('exception', {}).get('description', details['text'])}"
    if method == "Runtime.consoleAPICalled" and params["type"] in {"error", "assert"}:
        return f"console: {params['args']}"
    if method == "Log.entryAdded" and params["entry"]["level"] == "error":
        return f"log: {params['entry']['text']} {params['entry'].get('url', '')}"
    return None


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    """A running Chromium with one empty tab; ``profile`` is an empty folder of its own."""
    path = executable()
    assert path is not None, "no Chromium is installed"
    process = await asyncio.create_subprocess_exec(
        path, *FLAGS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            page = Page(await session.ws_connect(await _tab(session, port), max_msg_size=0))
            yield page
            await page.close()
    finally:
        process.terminate()
        await process.wait()


async def _port(file: Path) -> int:
    """Chromium writes its port there when it listens."""
    async with asyncio.timeout(30):
        while True:
            lines = file.read_text().split() if file.exists() else []  # noqa: ASYNC240 -- a few bytes, in a test
            if len(lines) == 2:
                return int(lines[0])
            await asyncio.sleep(0.05)


async def _tab(session: aiohttp.ClientSession, port: int) -> str:
    async with asyncio.timeout(30):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = [tab for tab in await answer.json() if tab["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)
