"""``python -m tests.real.chaos --rounds 10 [--only TEXT]``: real faults, and a table of what became of every event."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.real.chaos.faults import FAULTS, Fault
from tests.real.chaos.report import HEADER, Outcome, run
from tests.real.chaos.site import ProxiedKafka, opened
from tests.real.hbase import HBase
from tests.real.mariadb import MariaDB
from tests.real.processes import Server


def main() -> int:
    """0 when nothing was lost or doubled, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.real.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each fault is injected")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    chosen = parser.parse_args()
    faults = [fault for fault in FAULTS if chosen.only in fault.name]
    if not faults:
        print(f"error: --only is {chosen.only!r}; allowed: a part of {', '.join(f.name for f in FAULTS)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        outcomes = asyncio.run(_all(faults, chosen.rounds, Path(folder)))
    _show(outcomes)
    return 1 if any(o.lost or o.doubled or o.problems for o in outcomes) else 0


async def _all(faults: list[Fault], rounds: int, folder: Path) -> list[Outcome]:
    kafka, mariadb, hbase = ProxiedKafka(folder / "kafka"), MariaDB(folder / "mariadb"), HBase(folder / "hbase")
    servers: list[Server] = [kafka, mariadb, hbase]
    try:
        for server in servers:
            await asyncio.to_thread(server.start)
        outcomes = []
        for number, fault in enumerate(faults):
            # An empty log and empty stores for each, so that a row of the table tells of its fault alone.
            async with opened(kafka, mariadb, hbase, folder / str(number)) as site:
                outcomes.append(await run(site, fault, rounds))
            print("  ".join(outcomes[-1].row()), *outcomes[-1].problems, sep="\n    ", file=sys.stderr, flush=True)
        return outcomes
    finally:
        for server in servers:
            server.kill9()


def _show(outcomes: list[Outcome]) -> None:
    table = Table(*HEADER)
    for column in table.columns[1:]:
        column.justify = "right"
    for outcome in outcomes:
        table.add_row(*outcome.row())
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for outcome in outcomes:
        for problem in outcome.problems:
            print(f"{outcome.name}: {problem}")


if __name__ == "__main__":
    sys.exit(main())
