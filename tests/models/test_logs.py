"""Our own logs: what they show, and that they show no values of a viewer's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from models.logs import trace_of

PROGRAM = """
import logging, sys
import structlog
from models import logs

logs.configure(sys.argv[1])

def handle(token):
    body = "body of viewer " + token
    return int(len(body) / 0)

for log in (structlog.get_logger(), logging.getLogger("library")):
    try:
        handle("hush" + str(7))
    except ZeroDivisionError:
        log.exception("request failed")
"""


@pytest.mark.parametrize("mode", ["console", "json"])
def test_a_traceback_shows_lines_of_code_and_no_variables(mode: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.count("request failed") == 2
    assert done.stderr.count("ZeroDivisionError") >= 2
    assert "hush7" not in done.stderr
    if mode == "json":
        assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["request failed"] * 2


def test_a_trace_says_where_and_never_what() -> None:
    def inner() -> None:
        raise KeyError("hush")

    try:
        try:
            inner()
        except KeyError as error:
            raise ValueError("hush of viewer 7") from error
    except ValueError as error:
        trace = trace_of(error)
    first, second = trace.split("\nbecause of:\n")
    assert first.endswith("ValueError")
    assert second.endswith("KeyError")
    assert "in inner" in second
    assert __file__ in trace
    assert "viewer 7'" not in trace.replace('raise ValueError("hush of viewer 7")', "")


def test_a_trace_of_errors_that_are_each_others_cause_ends() -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert trace_of(one) == "ValueError\nbecause of:\nKeyError"
