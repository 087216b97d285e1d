"""What the composition root makes of the settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models import settings, topics
from models.errors import Unavailable
from models.eventlog.port import Message
from models.eventlog.spool import Outbox
from models.eventlog.sqlite import SqliteLog
from playtrail import parts_of
from tests.models.fake_writer import FakeWriter

SECRET = "a secret for tests that is long enough"


async def _fill(outbox: Outbox, count: int) -> None:
    """``count`` records of 50 KB."""
    for _ in range(count):
        await outbox.append(Message("behavior.reactions", b"7", b"x" * 50_000, [], 0))


@pytest.mark.parametrize("mebibytes", [1, 3])
async def test_the_spool_is_as_large_as_the_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mebibytes: int
) -> None:
    config = settings.read({}, data=str(tmp_path), secret=SECRET, spool=str(mebibytes))
    contract = topics.load()
    log = SqliteLog(tmp_path / "events.db", contract)
    monkeypatch.setattr(log, "writer", lambda: FakeWriter("away"))
    parts = parts_of(config, contract, log)
    async with parts.outbox as outbox:
        with pytest.raises(Unavailable, match=re.escape(f"of {mebibytes << 20} bytes")):
            await _fill(outbox, 21 * mebibytes + 1)
        status = outbox.status()
        assert 0.9 * (mebibytes << 20) < status.bytes <= mebibytes << 20
    parts.sql.close()
    parts.plays.close()
