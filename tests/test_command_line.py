"""The command line as a stranger meets it: help with examples, errors in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from models.settings import RawSettings, name_of
from playtrail import cli
from tests.running import ROOT


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def run(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, env=dict(env or {}))


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_each_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    example = result.output.partition("Example:")[2]
    assert f"playtrail {' '.join(path)}" in example


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("up", "--port", "70000"), "PLAYTRAIL_PORT is '70000'; allowed: a port, 0 to 65535"),
        (
            ("up", "--events", "amqp://x"),
            "PLAYTRAIL_EVENTS is 'amqp://x'; allowed: sqlite:///FILE or kafka://host:port",
        ),
        (("up", "--topics", "no-such.yaml"), "topics.yaml is 'no-such.yaml'; allowed: a readable UTF-8 file"),
        (("token", "0"), "USER is 0; allowed: a user id, 1 to 9999999999"),
        (("token", "7", "--secret", "short"), "PLAYTRAIL_SECRET is '(5 bytes)'; allowed: 32 bytes or more"),
        (("token", "7", "--events", "kafka://h:1"), "PLAYTRAIL_SECRET is None; allowed: a secret of 32 bytes or more"),
        (("catalogue", "load", "no-such.csv"), "no-such.csv"),
    ],
)
def test_a_wrong_value_is_one_line_and_a_code(arguments: tuple[str, ...], shown: str, tmp_path: Path) -> None:
    result = run(*arguments, env={"PLAYTRAIL_DATA": str(tmp_path)})
    assert result.exit_code == 1, result.output
    assert shown in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "short" not in result.output


def test_the_readme_lists_every_setting_and_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme.partition("## Settings")[2]
    for item in fields(RawSettings):
        assert re.search(rf"\| .*{name_of(item.name)}\b", table), item.name
    for path in commands(cli):
        assert path[0] in readme.partition("## Commands")[2], path
