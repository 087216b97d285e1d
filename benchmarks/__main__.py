"""
Playtrail side by side with what else does the work, on real servers of its own.

Each section prints its Markdown and takes its place in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.stage import Stage

SECTIONS: Final = {
    "likes": "benchmarks.serving_likes",
    "reads": "benchmarks.serving_reads",
    "statistics": "benchmarks.serving_statistics",
    "folding": "benchmarks.folding",
    "restart": "benchmarks.restart",
    "memory": "benchmarks.memory",
    "visible": "benchmarks.visible",
    "embedded": "benchmarks.embedded",
    "rebuild": "benchmarks.rebuild",
    "replay": "benchmarks.replay",
}
"""
Where each section is, in the order of the report.

A section is a module with ``TITLE``, ``ABOUT`` (a paragraph: what is compared, on which work) and
``async def run(stage: Stage) -> Sequence[Table]``.
"""


async def run_section(stage: Stage, name: str) -> report.Section:
    """Run one section."""
    module: Any = importlib.import_module(SECTIONS[name])
    begun, load = report.now(), os.getloadavg()[0]
    tables = await module.run(stage)
    return report.Section(name, module.TITLE, module.ABOUT, tables, begun, load, stage.rounds, stage.seconds)


async def main(names: Sequence[str], rounds: int, seconds: int, out: Path) -> int:
    """Run the sections; each is written when it is done, and one that fails does not stop the others."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="playtrail-bench-") as folder:
        stage = Stage(Path(folder), rounds, seconds)
        try:
            for name in names:
                try:
                    section = await run_section(stage, name)
                except Exception:  # noqa: BLE001 -- shown, and the other sections go on
                    failed += 1
                    print(f"\n{name} failed:\n{traceback.format_exc()}", file=sys.stderr)
                    continue
                stage.note("")
                print(section.markdown() + "\n", flush=True)
                report.write(out, [section], tuple(SECTIONS))
        finally:
            await stage.stop()
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="example: python -m benchmarks --only likes reads --rounds 3 --seconds 4",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=SECTIONS, default=tuple(SECTIONS),
                        help="these sections alone: " + ", ".join(SECTIONS))  # fmt: skip
    parser.add_argument("--rounds", type=_positive, default=5, help="turns of each peer; the median counts (default 5)")
    parser.add_argument("--seconds", type=_positive, default=6, help="length of a turn (default 6)")
    parser.add_argument("--out", type=Path, default=report.RESULTS, metavar="FILE", help="default: %(default)s")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: allowed is 1 or more")
    return number


if __name__ == "__main__":
    chosen = _arguments()
    sys.exit(asyncio.run(main(chosen.only, chosen.rounds, chosen.seconds, chosen.out)))
