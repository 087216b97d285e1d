"""``python -m tests.real.servers install | run | stop``: the real servers for the tests and for `make stack`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.real.hbase import HBase
from tests.real.install import install
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB
from tests.real.processes import STOP_SECONDS, Server, ServerError

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".stack"
_PIDS = FOLDER / "pids.json"


def main(arguments: list[str] | None = None) -> int:
    """Run one of the three commands; an error is one line on stderr and status 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.real.servers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="jars, MariaDB, kcat and Chromium, where missing")
    commands.add_parser("run", help="start all three, write .stack/env, stay until Ctrl-C")
    commands.add_parser("stop", help="stop a stack that was left running")
    chosen = parser.parse_args(arguments).command
    try:
        {"install": install, "run": run, "stop": stop}[chosen]()
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run() -> None:
    """Start the servers on fresh data in .stack, create topics and tables, and stay until SIGINT or SIGTERM."""
    if running := _ours():
        raise ServerError(f"a stack is running already (pid {running[0]}); `make stack-stop` stops it")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    _PIDS.write_text(json.dumps([os.getpid()]))  # at once: a second `run` must not clear the folder under this one
    # Both must pass through the `finally` that stops the servers; a shell's background job begins with SIGINT ignored.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)
    kafka, mariadb, hbase = Kafka(FOLDER / "kafka"), MariaDB(FOLDER / "mariadb"), HBase(FOLDER / "hbase")
    servers: list[Server] = [mariadb, kafka, hbase]
    with _stopped_at_the_end(servers), contextlib.suppress(KeyboardInterrupt):
        install()
        for server in servers:
            _start(server, servers)
        mariadb.execute("CREATE DATABASE playtrail CHARACTER SET utf8mb4")
        settings = _settings(kafka.url, f"{mariadb.url}/playtrail", hbase.url)
        _write_env(settings)
        _apply(settings)
        _explain()
        _watch(servers)


@contextlib.contextmanager
def _stopped_at_the_end(servers: list[Server]) -> Iterator[None]:
    try:
        yield
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)  # a second Ctrl-C would leave the rest running
        for server in reversed(servers):
            server.stop()
        _PIDS.unlink(missing_ok=True)
        print("stopped", flush=True)


def _start(server: Server, servers: list[Server]) -> None:
    begin = time.monotonic()
    try:
        server.start()
    finally:
        pids = [p.pid for s in servers for p in s.processes if p.pid]
        _PIDS.write_text(json.dumps([os.getpid(), *pids]))
    print(f"{server.name:8} {server.url}  ({time.monotonic() - begin:.1f} s)", flush=True)


def _settings(events: str, db: str, plays: str) -> dict[str, str]:
    return {
        "PLAYTRAIL_EVENTS": events,
        "PLAYTRAIL_DB": db,
        "PLAYTRAIL_PLAYS": plays,
        "PLAYTRAIL_REPLICATION": "1",
        "PLAYTRAIL_DATA": str(FOLDER / "data"),
        "PLAYTRAIL_SECRET": secrets.token_hex(32),
    }


def _write_env(settings: dict[str, str]) -> None:
    path = FOLDER / "env"
    path.touch(mode=0o600)
    path.write_text(
        "# Written by `make stack`; good as long as it runs.\n"
        + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
        + "# The spool stands in PLAYTRAIL_DATA: what an earlier log did not take must not reach this one.\n"
        "# PLAYTRAIL_SECRET signs tokens: with real servers Playtrail generates none by itself.\n"
    )


def _apply(settings: dict[str, str]) -> None:
    command = [sys.executable, "-m", "playtrail", "topics", "apply"]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, check=False)
    if result.returncode:
        raise ServerError(f"`playtrail topics apply` failed with status {result.returncode}")


def _explain() -> None:
    print(
        "\nThe servers are up, with topics and tables. In other terminals:\n"
        "    . .stack/env && .venv/bin/playtrail catalogue load gateway/demo/catalogue.json\n"
        "    . .stack/env && .venv/bin/playtrail gateway\n"
        "    . .stack/env && .venv/bin/playtrail consume\n"
        "Ctrl-C stops the servers; the next `make stack` begins with empty ones.",
        flush=True,
    )


def _watch(servers: list[Server]) -> None:
    """Return never: raises ServerError when a server ends, KeyboardInterrupt when told to stop."""
    while True:
        for server in servers:
            for process in server.processes:
                if not process.running:
                    raise ServerError(f"{process.name} ended by itself\n--- {process.log}\n{process.tail()}")
        time.sleep(1)


def stop() -> None:
    """Stop a stack by the pids in .stack: its supervisor, which stops the rest; what is left is stopped by itself."""
    pids = _ours()
    if not pids:
        print("no stack is running")
        return
    for pid in pids:
        if _is_ours(pid):
            os.kill(pid, signal.SIGTERM)
            _wait_gone(pid, 4 * STOP_SECONDS)
    for pid in _ours():
        os.kill(pid, signal.SIGKILL)
    _PIDS.unlink(missing_ok=True)
    print("stopped")


def _ours() -> list[int]:
    """The recorded pids that still are what was started: the supervisor first."""
    try:
        recorded = json.loads(_PIDS.read_text())
    except (OSError, ValueError):
        return []
    return [pid for pid in recorded if isinstance(pid, int) and pid != os.getpid() and _is_ours(pid)]


def _is_ours(pid: int) -> bool:
    """Pids are used again: a server of ours names .stack in its command line, its supervisor works in this checkout."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        folder = Path(f"/proc/{pid}/cwd").resolve()
    except OSError:
        return False
    return os.fsencode(FOLDER) in command or (b"tests.real.servers\0run" in command and folder == ROOT)


def _wait_gone(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _is_ours(pid) and time.monotonic() < deadline:
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
