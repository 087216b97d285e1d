"""The Markdown of SCALE.md: blocks by name, put between the marks that the page has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.report import Cell, Table
from benchmarks.scale import needs, scenarios
from benchmarks.scale.costs import Costs

PAGE: Final = Path(__file__).parent.parent / "SCALE.md"


def blocks(costs: Costs, seed: int = scenarios.SEED) -> dict[str, str]:
    """Every table, by the name that SCALE.md marks its place with."""
    plan, simulated = needs.Plan(costs), scenarios.Scenarios(costs, seed)
    tables = {
        "costs": _costs(costs),
        "load": _load(costs),
        "needs": Table(("what", "from", "needs"), plan.needs()),
        "shared": Table(("shared", "costs", "full at", "then"), needs.shared(plan)),
        "growth": _growth(scenarios.growth(simulated)),
        "hot": _hot(scenarios.hot(simulated)),
        "loss": _loss(scenarios.loss(simulated)),
        "catch-up": _catch_up(scenarios.catch_up(simulated)),
        "validation": _validation(costs),
    }
    return {name: table.markdown() for name, table in tables.items()}


def filled(page: str, found: Mapping[str, str]) -> str:
    """The page with each block in its place; raises KeyError for a place that no block has."""
    place = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return place.sub(lambda match: f"{match[1]}\n{found[match[2]]}\n\n{match[3]}", page)


def _costs(costs: Costs) -> Table:
    rows = [(name, f"{_number(c.value)}", c.unit, f"`{c.command}`") for name, c in costs.measured.items()]
    return Table(("cost", "figure", "unit", "seen by"), rows)


def _load(costs: Costs) -> Table:
    rows = [(name, f"{_number(a.value)}", a.unit, a.why) for name, a in costs.assumed.items()]
    return Table(("assumed", "figure", "unit", "why"), rows)


def _growth(found: Sequence[scenarios.Growth]) -> Table:
    rows: list[Sequence[Cell]] = []
    before: dict[str, float] = {}
    for g in found:
        ratio = g.folded / before[g.projection] if g.projection in before else None
        before[g.projection] = g.folded
        size = (g.group.partitions, g.group.consumers, g.group.servers)
        shown = "" if ratio is None else f"{ratio:.2f}"
        rows.append((shown, g.projection, *size, round(g.offered), round(g.folded), g.limit))
    columns = "× before", "projection", "partitions", "consumers", "servers", "events/s offered", "folded", "held up by"
    return Table(columns, rows)


def _hot(found: Sequence[scenarios.Hot]) -> Table:
    rows = [
        (f"{h.viral:.0%}", round(h.arriving), round(h.folded), f"{h.falling:.2f}", f"{h.others * 1000:.0f}")
        for h in found
    ]
    columns = "of all plays", "its partition: arriving/s", "folded/s", "falls behind, s a second", "others, p99 ms"
    return Table(columns, rows)


def _loss(found: Sequence[scenarios.Loss]) -> Table:
    rows = [(f"{x.sessions / 1e6:,.0f} M", x.what, f"{x.oldest:.0f}", f"{x.over:.0f}") for x in found]
    return Table(("sessions", "a consumer", "oldest event unseen, s", "as before after, s"), rows)


def _catch_up(found: Sequence[scenarios.CatchUp]) -> Table:
    rows = [(f"{c.away:.0f}", f"{c.simulated:.0f}", f"{c.busiest:.1f}", f"{c.group:.1f}") for c in found]
    return Table(("s away", "caught up after, s", "formula, busiest consumer", "formula, whole group"), rows)


def _validation(costs: Costs) -> Table:
    v = costs.validation
    error = f"{(v.predicted - v.measured) / v.measured:+.0%}"
    return Table(
        ("error", "backlog", "predicted, s", "measured, s", "seen"),
        [(error, v.events, f"{v.predicted:.2f}", f"{v.measured:.2f}", v.when)],
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
