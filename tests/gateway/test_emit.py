"""Appending an event: the request that began it may end before the log has answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.emit import Emitter, Stamps
from gateway.metrics import Metrics
from models import events
from models.clock import SystemClock
from models.errors import Refused
from models.eventlog.spool import Receipt
from tests.models.fake_writer import FakeWriter, State
from tests.models.outboxes import opened, until


class Stage:
    """An emitter before a log whose troubles the test decides."""

    def __init__(self, writer: FakeWriter, emitter: Emitter, metrics: Metrics) -> None:
        self.writer, self.emitter, self.metrics = writer, emitter, metrics
        self._stamps = Stamps(SystemClock())

    def like(self) -> asyncio.Task[Receipt]:
        stamp = self._stamps.next()
        event = events.Like(
            event_id=stamp.event_id, occurred_at=stamp.occurred_at, user_id=7, url="/video/like/3", method="post",
            msg="video like", video_id=3,
        )  # fmt: skip
        return asyncio.create_task(self.emitter.append(events.REACTIONS, event, stamp.ms))

    def counted(self, outcome: str) -> float:
        labels = {"topic": events.REACTIONS, "outcome": outcome}
        return self.metrics.registry.get_sample_value("playtrail_gateway_events_total", labels) or 0.0

    async def leave(self) -> None:
        """A like whose request is ended while the log has not answered."""
        self.writer.open.clear()
        like = self.like()
        await until(lambda: self.writer.calls > 0)
        like.cancel()
        with pytest.raises(asyncio.CancelledError):
            await like
        self.writer.open.set()
        await self.emitter.finish()


@contextlib.asynccontextmanager
async def stage(path: Path, state: State = "there") -> AsyncIterator[Stage]:
    writer, metrics = FakeWriter(state), Metrics()
    async with opened(writer, path) as outbox:
        yield Stage(writer, Emitter(outbox, metrics), metrics)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


async def test_who_goes_away_has_liked_all_the_same(path: Path) -> None:
    async with stage(path) as on:
        await on.leave()
        assert len({message.value for message in on.writer.records}) == 1
        assert on.counted("log") == 1


async def test_who_goes_away_while_the_log_is_away_is_spooled(path: Path) -> None:
    async with stage(path, "away") as on:
        await on.leave()
        assert on.counted("spool") == 1
        on.writer.state = "there"


async def test_what_the_log_refuses_is_counted_with_nobody_there(path: Path) -> None:
    async with stage(path) as on:
        on.writer.refused_topics.add(events.REACTIONS)
        await on.leave()
        assert on.counted("refused") == 1
        with pytest.raises(Refused):
            await on.like()
        assert on.counted("refused") == 2
