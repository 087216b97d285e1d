"""
Prints the tables of benchmarks/SCALE.md, from benchmarks/scale/costs.toml and a seeded simulation.

With --write they are put into SCALE.md. --measure shows the costs that have no section of their own in
`python -m benchmarks`; --validate folds a backlog on the embedded default, and compares with what was predicted.
"""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.scale import tables
from benchmarks.scale.costs import load
from benchmarks.scale.measure import table as measured
from benchmarks.scale.scenarios import SEED
from benchmarks.scale.validate import table as validated


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        epilog="example: python -m benchmarks.scale --write",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=SEED, help="of the simulation (default %(default)s)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="put the tables into SCALE.md")
    what.add_argument("--measure", action="store_true", help="measure small costs in this process")
    what.add_argument("--validate", action="store_true", help="compare the simulation with a real catch-up")
    chosen = parser.parse_args()
    if chosen.measure:
        print(measured().markdown())
    elif chosen.validate:
        print(asyncio.run(validated()).markdown())
    elif chosen.write:
        tables.PAGE.write_text(tables.filled(tables.PAGE.read_text(), tables.blocks(load(), chosen.seed)))
    else:
        print("\n\n".join(tables.blocks(load(), chosen.seed).values()))


if __name__ == "__main__":
    main()
