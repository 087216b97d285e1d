"""Rebuilding on the embedded default; and what a rebuild refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

import playtrail
from consumers.reactions import Reactions
from consumers.rebuild import Differs, Rebuild
from consumers.views import Views
from models import events, settings
from models.clock import ManualClock
from models.errors import Fenced
from models.stores.port import Film
from models.stores.sql import SqlStore
from tests.consumers.making import append, message
from tests.contract.pipeline import SECRET
from tests.contract.rebuild import RebuildContract
from tests.running import Process, command


class TestRebuildEmbedded(RebuildContract):
    @pytest.fixture
    def env(self, tmp_path: Path) -> dict[str, str]:
        return {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_SECRET": SECRET}


class Deployment:
    """A log of likes and clicks on the embedded default, with the read models that a test spoils."""

    def __init__(self, folder: Path) -> None:
        self.env = {"PLAYTRAIL_DATA": str(folder)}
        config = settings.read(self.env)
        contract = playtrail.contract_of(config)
        self.file = folder / "events.db"
        self.log, self.sql = playtrail.open_log(config, contract), cast(SqlStore, playtrail.open_sql(config))

    async def fill(self) -> None:
        await command("topics", "apply", env=self.env)
        self.sql.load([Film(id=1, title="one")])
        async with self.log.writer() as writer:
            likes = [message(events.Like, user=user, video_id=1) for user in range(1, 101)]
            await append(writer, *likes, *(message(events.Detail, video_id=1) for _ in range(5)))

    def likes(self) -> int:
        return self.sql.counts([1])[1].likes

    def rebuild(self, projection: str = "reactions", **more: Any) -> Rebuild:
        make = {"reactions": Reactions, "views": Views}[projection]
        return Rebuild(self.log, self.sql, make, **more)


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    made = Deployment(tmp_path / "data")
    await made.fill()
    with closing(made.sql):
        yield made


def _change_row(store: SqlStore, table: str) -> None:
    with closing(sqlite3.connect(store._database._url.database or "")) as connection:
        changed = connection.execute(f"UPDATE {table} SET status = 0 WHERE user_id = 7")
        assert changed.rowcount == 1
        connection.commit()


async def test_what_was_wrong_is_right_after_it(deployment: Deployment) -> None:
    await deployment.rebuild().run()
    assert deployment.likes() == 100
    _change_row(deployment.sql, "content_like_v2")
    assert deployment.sql.statuses("like", [(7, 1)]) == {(7, 1): 0}
    report = await deployment.rebuild().run()
    assert (report.version, report.records) == (3, 100)
    assert report.digest is not None
    assert report.digest.rows == 101
    assert deployment.sql.statuses("like", [(7, 1)]) == {(7, 1): 1}
    await deployment.rebuild("views").run()
    assert deployment.sql.videos([1])[1].clicks == 5


async def test_what_is_not_what_the_log_says_is_not_switched_to(deployment: Deployment) -> None:
    def spoil(phase: str, _: int, __: int) -> None:
        if phase == "compare":
            _change_row(deployment.sql, "content_like_v2")

    with pytest.raises(Differs, match=r"reactions.*total 199 instead of 200.*playtrail rebuild reactions --restart"):
        await deployment.rebuild(tell=spoil).run()
    assert deployment.sql.version("reactions").active == 1
    with pytest.raises(Differs):  # it goes on where it was
        await deployment.rebuild().run()
    assert (await deployment.rebuild().run(restart=True)).version == 3
    assert deployment.likes() == 100


async def test_a_second_rebuild_takes_over_from_the_first(deployment: Deployment) -> None:
    clock = ManualClock()

    def other(phase: str, _: int, __: int) -> None:
        if phase == "fold":
            row = deployment.sql.version("reactions")
            deployment.sql.change("reactions", row, row.changed())
            clock.advance(2)

    with pytest.raises(Fenced, match="another rebuild of reactions"):
        await deployment.rebuild(tell=other, clock=clock).run()
    assert (await deployment.rebuild().run()).version == 2


async def test_a_log_without_its_beginning_is_refused(deployment: Deployment) -> None:
    with closing(sqlite3.connect(deployment.file)) as connection:
        connection.execute("DELETE FROM record WHERE offset < 3")
        connection.commit()
    async with Process("rebuild", "reactions", env=deployment.env) as process:
        assert await process.wait(30) == 1
        (line,) = process.output().splitlines()
    assert "begins at offset 3" in line
    assert "--from DIR" in line
    assert deployment.sql.version("reactions").building == 0


async def test_going_back_can_be_cut_short_and_run_again(deployment: Deployment) -> None:
    await deployment.rebuild().run()

    def die(_: str, __: int, ___: int) -> None:
        raise KeyError("killed")

    async with deployment.log.writer() as writer:
        await append(writer, message(events.Like, user=101, video_id=1))
    with pytest.raises(KeyError):
        await deployment.rebuild(tell=die).back()
    cut = deployment.sql.version("reactions")
    assert (cut.active, cut.kept, cut.switch_until) == (2, 1, 0)
    assert (await deployment.rebuild().back()).version == 1
    assert deployment.likes() == 101
    assert (await deployment.rebuild().back()).version == 2


async def test_going_back_leaves_what_is_being_built(deployment: Deployment) -> None:
    await deployment.rebuild().run()
    row = deployment.sql.version("reactions")
    deployment.sql.change("reactions", row, row.changed(building=3))
    assert (await deployment.rebuild().back()).version == 1
    assert deployment.sql.version("reactions").building == 3
    assert (await deployment.rebuild().run()).version == 3
    assert deployment.likes() == 100


async def test_there_is_nothing_to_go_back_to_before_the_first(deployment: Deployment) -> None:
    async with Process("rebuild", "views", "--back", env=deployment.env) as process:
        assert await process.wait(30) == 1
        assert "allowed: a projection with a version kept from an earlier rebuild" in process.output()


async def test_what_the_log_lost_comes_from_an_export(deployment: Deployment, tmp_path: Path) -> None:
    folder = str(tmp_path / "exported")
    await command("replay", events.REACTIONS, "--format", "parquet", "-o", folder, env=deployment.env)
    with closing(sqlite3.connect(deployment.file)) as connection:
        connection.execute("DELETE FROM record WHERE offset < 3")
        connection.commit()
    said = await command("rebuild", "reactions", "--from", folder, env=deployment.env)
    assert "201 rows are what the log says" in said or "101 rows are what the log says" in said
    assert deployment.likes() == 100


async def test_an_export_that_does_not_reach_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    folder = str(tmp_path / "exported")
    await command("replay", events.REACTIONS, "--format", "parquet", "--from", "@5", "-o", folder, env=deployment.env)
    with closing(sqlite3.connect(deployment.file)) as connection:
        connection.execute("DELETE FROM record WHERE offset < 6")
        connection.commit()
    for given, said in ((folder, "from offset 0 to 6"), (str(tmp_path), "manifest.json")):
        async with Process("rebuild", "reactions", "--from", given, env=deployment.env) as process:
            assert await process.wait(30) == 1
            (line,) = process.output().splitlines()
        assert said in line
    assert deployment.sql.version("reactions").building == 0
