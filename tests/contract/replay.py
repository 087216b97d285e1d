"""What `playtrail replay` promises, on any log."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from models.events import PLAYS, REACTIONS, VIEWS
from tests.contract.replay_stage import BROKEN, HOUR, Stage
from tests.running import ROOT, Process, eventually


class ReplayContract:
    """Subclasses give the fixture ``stage``, filled; it may be shared, since nothing here changes what is in it."""

    def test_a_line_is_the_record_s_value(self, stage: Stage) -> None:
        lines = stage.run(PLAYS).stdout_bytes.splitlines()
        assert sorted(lines) == sorted(s.message.value for s in stage.stored[PLAYS])

    def test_order_is_kept_within_a_partition(self, stage: Stage) -> None:
        found: dict[int, list[int]] = defaultdict(list)
        for row in stage.rows(PLAYS, "--fields", "partition,offset"):
            found[row["partition"]].append(row["offset"])
        expected: dict[int, list[int]] = defaultdict(list)
        for stored in stage.stored[PLAYS]:
            expected[stored.position.partition].append(stored.position.offset)
        assert found == expected

    @pytest.mark.parametrize(("begin", "end"), [(-48, None), (None, -24), (-36, -12), (-2, -1), (-1, -2), (10, None)])
    def test_times_are_exact_though_events_came_late(self, stage: Stage, begin: int | None, end: int | None) -> None:
        first = stage.now + begin * HOUR if begin is not None else 0
        last = stage.now + end * HOUR if end is not None else 1 << 60
        bounds = [f"--from={first}"] * (begin is not None) + [f"--to={last}"] * (end is not None)
        assert stage.ids(PLAYS, *bounds) == stage.wanted(PLAYS, lambda s: first <= s.ms < last)

    def test_what_came_later_than_the_slack_is_not_looked_for(self, stage: Stage) -> None:
        first, last = stage.now - 36 * HOUR, stage.now - 30 * HOUR
        found = set(stage.ids(PLAYS, "--from", first, "--to", last, "--slack", "0s"))
        every = set(stage.wanted(PLAYS, lambda s: first <= s.ms < last))
        assert found < every
        assert set(stage.ids(PLAYS, "--from", first, "--to", last, "--slack", "2h")) == every

    def test_offsets_of_all_and_of_single_partitions(self, stage: Stage) -> None:
        def within(low: dict[int, int], high: dict[int, int]) -> list[str]:
            return stage.wanted(
                PLAYS,
                lambda s: (
                    low.get(s.position.partition, 0) <= s.position.offset < high.get(s.position.partition, 1 << 60)
                ),
            )

        every = range(6)
        assert stage.ids(PLAYS, "--from", "@100", "--to", "@150") == within(
            dict.fromkeys(every, 100), dict.fromkeys(every, 150)
        )
        assert stage.ids(PLAYS, "--from", "@0:20,3:7", "--to", "@3:9") == within({0: 20, 3: 7}, {3: 9})
        assert stage.ids(PLAYS, "--partition", 2, "--partition", 4) == stage.wanted(
            PLAYS, lambda s: s.position.partition in (2, 4)
        )

    def test_limit_and_tail(self, stage: Stage) -> None:
        first = [s.event.event_id for s in stage.stored[PLAYS][:9] if s.event]
        assert [row["event_id"] for row in stage.rows(PLAYS, "--limit", 9)] == first
        newest = sorted(stage.stored[PLAYS], key=lambda s: (s.ms, s.position.partition, s.position.offset))
        for arguments, keep in (([], lambda s: True), (["--event", "end"], lambda s: s.values()["event"] == "end")):
            last = [s.values()["event_id"] for s in newest if keep(s)][-9:]
            assert [row["event_id"] for row in stage.rows(PLAYS, "--tail", 9, *arguments)][-9:] == last

    def test_what_is_no_event_is_counted_and_told(self, stage: Stage) -> None:
        result = stage.run(VIEWS)
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) == sum(s.event is not None for s in stage.stored[VIEWS])
        places = [str(s.position) for s in stage.stored[VIEWS] if s.event is None]
        told = f"{len(BROKEN)} records are no events and were left out: {', '.join(places)}\n"
        assert result.stderr == told

    async def test_follow_goes_on_with_what_comes(self, stage: Stage, tmp_path: Path) -> None:
        async with Process("replay", REACTIONS, "--follow", "--tail", "2", env=stage.env) as process:

            async def lines() -> list[str]:
                return process.output().splitlines()

            async def two() -> bool:
                return len(await lines()) == 2

            await eventually(two, "the last two")
            (new,) = await stage.append(REACTIONS, [(stage.reaction(1), stage.now)])

            async def third() -> bool:
                return len(await lines()) == 3

            await eventually(third, "the one that came")
            assert (await lines())[2] == new.message.value.decode()
            assert await process.stop() == 0

    async def test_a_reader_may_leave(self, stage: Stage) -> None:
        script = "set -o pipefail; python -m playtrail replay behavior.plays | head -1"
        shell = await asyncio.create_subprocess_shell(
            f"exec bash -c '{script}'", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=_shell_env(stage),
        )  # fmt: skip
        out, told = await shell.communicate()
        assert (shell.returncode, len(out.splitlines()), told) == (0, 1, b"")


def _shell_env(stage: Stage) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **stage.env, "PATH": path, "PYTHONPATH": str(ROOT)}
