"""`playtrail deadletters` as an operator meets it: listing, showing, retrying, dropping."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from models import events
from models.stores.port import DeadLetter
from models.stores.sql import SqlStore
from playtrail import cli
from tests.consumers.making import junk, message
from tests.consumers.test_retry import letter_of

GOOD, BAD = "behavior.reactions/0@40", "behavior.reactions/0@41"


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ("deadletters", *arguments), env={"PLAYTRAIL_DATA": str(folder)})


def left(folder: Path) -> list[DeadLetter]:
    with closing(SqlStore(f"sqlite:///{folder / 'playtrail.db'}")) as sql:
        return list(sql.dead())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with three letters: one that can be read now, one that never can, and a view."""
    applied = CliRunner().invoke(cli, ("topics", "apply"), env={"PLAYTRAIL_DATA": str(tmp_path)})
    assert applied.exit_code == 0, applied.output
    like = letter_of(message(events.Like, video_id=3), "reactions")
    bad = letter_of(junk(events.REACTIONS, 1), "reactions", 41, error="value is b'junk'; " + "x" * 200)
    view = letter_of(message(events.Detail, video_id=3), "views")
    with closing(SqlStore(f"sqlite:///{tmp_path / 'playtrail.db'}")) as sql:
        sql.put_dead([like, bad, view])
    return tmp_path


def test_list_shows_letters_in_order_and_how_many(folder: Path) -> None:
    lines = run(folder, "list", "--limit", "2").stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == [GOOD, BAD, "2"]
    assert lines[-1] == "2 of 3 letters"
    assert max(map(len, lines)) < 220
    views = run(folder, "list", "--projection", "views", "--json").stdout.splitlines()
    assert [json.loads(line)["position"] for line in views] == ["behavior.views/0@40"]


def test_an_empty_list_says_so(folder: Path) -> None:
    assert run(folder, "drop", "--all").exit_code == 0
    assert run(folder, "list").stdout == "There are no dead letters.\n"


def test_show_has_everything_and_raw_only_the_bytes(folder: Path) -> None:
    shown = json.loads(run(folder, "show", BAD).stdout)
    assert (shown["value"], shown["key"], shown["headers"]) == ("junk", "1", [["original", "header"]])
    assert shown["error"].endswith("x" * 200)
    assert run(folder, "show", BAD, "--raw").stdout_bytes == b"junk"


def test_a_dry_run_says_what_would_be_done(folder: Path) -> None:
    result = run(folder, "retry", "--all", "--dry-run")
    assert result.stdout.splitlines()[0] == f"{GOOD}  reactions  would be retried"
    assert result.stdout.splitlines()[-1] == "2 would be retried, 1 refused"
    assert run(folder, "drop", "--all", "--dry-run").stdout.splitlines()[-1] == "3 would be dropped"
    assert len(left(folder)) == 3


def test_retry_puts_back_what_can_be_read_and_says_why_not(folder: Path) -> None:
    result = run(folder, "retry", "--all")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines[0].startswith(f"{GOOD}  reactions  put back at behavior.reactions/")
    assert lines[1].startswith(f"{BAD}  reactions  refused: value is b'junk'; allowed: an event of this topic")
    assert lines[2] == "behavior.views/0@40  views  counted where it stands"
    assert lines[3] == "2 retried, 1 refused"
    assert [str(letter.position) for letter in left(folder)] == [BAD]
    assert run(folder, "drop", BAD).exit_code == 0
    assert left(folder) == []


def test_one_letter_is_retried_alone(folder: Path) -> None:
    assert run(folder, "retry", GOOD).exit_code == 0
    assert len(left(folder)) == 2


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("retry",), "POSITIONS is None; allowed: positions as `playtrail deadletters list` shows them, or --all"),
        (("drop", GOOD, "--all"), "POSITIONS is 'both'; allowed: "),
        (("drop", "behavior.views/0@1"), "POSITION is 'behavior.views/0@1'; allowed: one of a letter"),
        (("drop", GOOD, "--projection", "plays"), f"POSITION is '{GOOD}'; allowed: one of a letter"),
        (("show", "x"), "position is 'x'; allowed: topic/partition@offset"),
    ],
)
def test_a_wrong_choice_is_one_line_and_changes_nothing(folder: Path, arguments: tuple[str, ...], shown: str) -> None:
    result = run(folder, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert shown in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert len(left(folder)) == 3


def test_before_there_is_a_table_the_command_that_makes_it_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "list")
    assert result.exit_code == 1
    assert result.stderr.endswith("there is no table dead_letter; `playtrail topics apply` creates it\n")
