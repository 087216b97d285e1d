"""
Run many seeds, or one with every step: ``python -m tests.simulator --seeds 10000`` or ``--seed 1234``.

Exits with 1 when a seed fails, and prints the command that shows it.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulator.run import Outcome, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run one seed and print every step")
    options = parser.parse_args()
    if options.seed is not None:
        return _show(options.seed)
    return _run(range(options.first, options.first + options.seeds))


def _show(seed: int) -> int:
    outcome = simulate(seed, tracing=True)
    print("\n".join(outcome.trace))
    print(report(seed, outcome) or f"seed {seed}: {outcome.records} records, read models as the fold of the log")
    return 1 if outcome.violations else 0


def _run(seeds: range) -> int:
    begun, records = time.monotonic(), 0
    for done, seed in enumerate(seeds):
        outcome = simulate(seed)
        records += outcome.records
        if outcome.violations:
            print(report(seed, outcome))
            return 1
        if sys.stdout.isatty() and done % 50 == 0:
            print(f"\r{done} of {len(seeds)} seeds", end="", flush=True)
    seconds = time.monotonic() - begun
    print(
        f"\r{len(seeds)} seeds passed: {records} records, {seconds:.0f} s, {seconds / len(seeds) * 1000:.1f} ms a seed"
    )
    return 0


def report(seed: int, outcome: Outcome) -> str:
    """What a failing seed has to say, and how to run it again; empty for one that passed."""
    if not outcome.violations:
        return ""
    return f"seed {seed} failed: {outcome.violations[0]}\nrun it again: python -m tests.simulator --seed {seed}"


if __name__ == "__main__":
    sys.exit(main())
