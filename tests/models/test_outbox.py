"""The outbox: which way an append takes, copies, refusals, and what a crash leaves."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from models.clock import ManualClock
from models.errors import Refused, Unavailable
from models.eventlog.port import Position
from models.eventlog.spool import Outbox, Receipt, SpoolStatus
from models.eventlog.spool_file import SpoolFile
from tests.models.fake_writer import FakeWriter, message
from tests.models.outboxes import direct, drained, opened, until

SPOOLED = Receipt("spool", None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


async def test_an_empty_spool_is_not_in_the_way(path: Path) -> None:
    writer = FakeWriter()
    async with opened(writer, path) as outbox:
        assert await outbox.append(message(1)) == Receipt("log", Position("behavior.reactions", 0, 0))
        assert outbox.status() == SpoolStatus(0, 0, None)
        assert writer.entered == 1
    assert writer.left == 1


async def test_with_the_log_away_appends_are_spooled_and_drained_in_order(path: Path) -> None:
    writer = FakeWriter("away")
    async with opened(writer, path) as outbox:
        for n in range(20):
            assert await outbox.append(message(n)) == SPOOLED
        assert outbox.status().events == 20
        assert outbox.status().oldest_ms == ManualClock().now_ms()
        writer.state = "there"
        await direct(outbox, writer)
    assert writer.records == [message(n) for n in range(20)]


async def test_while_the_log_is_away_appends_do_not_ask_it(path: Path) -> None:
    writer = FakeWriter("away")
    async with opened(writer, path) as outbox:
        assert await outbox.append(message(0)) == SPOOLED
        writer.open.clear()  # from here on, whoever asks the log waits
        for n in range(1, 100):
            assert await outbox.append(message(n)) == SPOOLED
        writer.open.set()


async def test_an_absent_log_is_tried_by_one_message_at_a_time(path: Path) -> None:
    writer = FakeWriter("there")
    async with opened(writer, path) as outbox:
        writer.state = "unknown_lost"  # ready, it says, but takes nothing
        for n in range(50):
            await outbox.append(message(n))
        writer.most_at_once = 0
        calls = writer.calls
        await until(lambda: writer.calls >= calls + 5)
        assert writer.most_at_once == 1
        writer.state = "there"
        await until(drained(outbox))
        assert writer.most_at_once > 1


async def test_an_unknown_outcome_is_sent_again_with_the_same_bytes(path: Path) -> None:
    writer = FakeWriter("unknown_landed")
    async with opened(writer, path) as outbox:
        assert await outbox.append(message(7)) == SPOOLED
        writer.state = "there"
        await until(drained(outbox))
    assert len(writer.records) >= 2
    assert set(map(str, writer.records)) == {str(message(7))}


async def test_a_full_spool_is_unavailable_and_opens_again_when_drained(path: Path) -> None:
    writer = FakeWriter("away")
    async with opened(writer, path, max_bytes=5_000) as outbox:
        assert await outbox.append(message(0, size=4_000)) == SPOOLED
        with pytest.raises(Unavailable, match="spool is unavailable: full") as caught:
            await outbox.append(message(1, size=1_000))
        assert caught.value.part == "spool"
        writer.state = "there"
        await direct(outbox, writer)
    assert writer.values() == [message(0, size=4_000).value]


async def test_what_may_be_refused_is_refused_at_90_percent(path: Path) -> None:
    writer = FakeWriter("away")
    async with opened(writer, path, max_bytes=10_000) as outbox:
        await outbox.append(message(0, size=8_500))
        with pytest.raises(Unavailable, match="full"):
            await outbox.append(message(1, size=500), may_refuse=True)
        assert await outbox.append(message(1, size=500)) == SPOOLED


async def test_with_log_and_spool_refusing_the_log_is_asked_by_the_drain_alone(path: Path) -> None:
    writer = FakeWriter("away")
    async with opened(writer, path, max_bytes=100) as outbox:
        for n in range(10):
            with pytest.raises(Unavailable, match="spool"):
                await outbox.append(message(n, size=100))
        assert writer.calls == 1
        assert outbox.status().events == 0
        writer.state = "there"
        await until(lambda: _in_log(outbox, 10))
    assert writer.values()[-1] == message(10, size=100).value


async def _in_log(outbox: Outbox, number: int) -> bool:
    with contextlib.suppress(Unavailable):
        return (await outbox.append(message(number, size=100))).durable == "log"
    return False


async def test_a_direct_append_that_the_log_refuses_is_refused(path: Path) -> None:
    writer = FakeWriter()
    writer.refused_topics.add("wrong")
    async with opened(writer, path) as outbox:
        with pytest.raises(Refused, match="topic is 'wrong'"):
            await outbox.append(message(1, topic="wrong"))
        assert outbox.status().events == 0
        assert (await outbox.append(message(2))).durable == "log"


async def test_a_spooled_message_that_the_log_refuses_is_put_aside_and_tried_at_the_next_start(path: Path) -> None:
    writer = FakeWriter("away")
    writer.refused_topics.add("wrong")
    async with opened(writer, path) as outbox:
        await outbox.append(message(0))
        await outbox.append(message(1, topic="wrong"))
        await outbox.append(message(2))
        writer.state = "there"
        await direct(outbox, writer)
        assert outbox.aside == 1
    assert writer.values() == [b"0", b"2"]
    mended = FakeWriter()
    async with opened(mended, path) as outbox:
        await until(drained(outbox))
        assert outbox.aside == 0
    assert mended.records == [message(1, topic="wrong")]


async def test_the_next_start_drains_first_and_new_appends_go_behind(path: Path) -> None:
    async with opened(FakeWriter("away"), path) as outbox:
        for n in range(1_200):  # more than two batches
            await outbox.append(message(n))
    writer = FakeWriter()
    async with opened(writer, path) as outbox:
        assert outbox.status().events == 1_200
        new = [await outbox.append(message(n)) for n in range(1_200, 1_210)]
        assert new[0] == SPOOLED
        await direct(outbox, writer)
    assert writer.values() == [b"%d" % n for n in range(1_210)]


async def test_leaving_keeps_what_the_log_did_not_take(path: Path) -> None:
    async with opened(FakeWriter("away"), path) as outbox:
        await outbox.append(message(1))
    async with opened(FakeWriter("away"), path) as outbox:
        assert outbox.status().events == 1


async def test_leaving_drains_when_the_log_is_there(path: Path) -> None:
    writer = FakeWriter()
    async with opened(writer, path) as outbox:
        writer.state = "away"
        await outbox.append(message(1))
        writer.state = "there"
    assert writer.values() == [b"1"]


async def test_a_crash_between_the_answer_and_the_deletion_sends_the_same_bytes_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = FakeWriter("away")
    async with opened(writer, path) as outbox:
        await outbox.append(message(1))
        monkeypatch.setattr(SpoolFile, "remove", _never)
        writer.state = "there"
        await until(lambda: len(writer.records) == 1)
        outbox._leave_seconds = 0
    monkeypatch.undo()
    async with opened(writer, path) as outbox:
        await direct(outbox, writer)
    assert writer.records == [message(1), message(1)]


async def _never(*args: object) -> None:
    await asyncio.Event().wait()


async def test_an_append_that_ends_while_leaving_is_spooled(path: Path) -> None:
    class Closing(FakeWriter):
        async def __aexit__(self, *exc: object) -> None:
            self.state = "away"
            self.open.set()
            await until(lambda: self._at_once == 0)

    writer = Closing("unknown_lost")
    writer.open.clear()
    async with opened(writer, path) as outbox:
        append = asyncio.create_task(outbox.append(message(1)))
        await until(lambda: writer.calls == 1)
    with contextlib.suppress(Unavailable):  # closed already: then its caller was told so
        assert await append == SPOOLED
        async with opened(FakeWriter("away"), path) as outbox:
            assert outbox.status().events == 1
