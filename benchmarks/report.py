"""The Markdown of a run: tables, the machine and the versions they were seen on, and the file that keeps them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from tests.real.install import HBASE_LIB, KAFKA_LIB, tool

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "RESULTS.md"
Cell: TypeAlias = str | int | float
LIBRARIES: Final = ("aiohttp", "uvloop", "aiokafka", "SQLAlchemy", "PyMySQL", "happybase", "msgspec")


class Table(NamedTuple):
    """
    One comparison. Ratios stand left of what they were made of.

    Attributes:
        columns: The headings, with units.
        rows: Text as it is; a float is rounded for reading, an int gets its thousands separated.
        note: What the reader must know to judge it; a paragraph below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def markdown(self) -> str:
        """The table as GitHub shows it."""
        lines = [self.columns, ["---"] * len(self.columns), *([_shown(cell) for cell in row] for row in self.rows)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{table}\n\n{self.note}" if self.note else table


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        if 0 < abs(cell) < 0.1:
            return f"{cell:.2g}"
        return f"{cell:.2f}" if abs(cell) < 10 else f"{cell:.1f}" if abs(cell) < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


class Section(NamedTuple):
    """One section's outcome; ``load`` is the load average of the last minute when it began."""

    name: str
    title: str
    about: str
    tables: Sequence[Table]
    begun: datetime
    load: float
    rounds: int
    seconds: int

    def markdown(self) -> str:
        """Heading, what is compared, when, and the tables."""
        when = (
            f"{self.begun:%Y-%m-%d %H:%M} UTC, {self.rounds} rounds of {self.seconds} s, "
            f"load average {self.load:.1f} before."
        )
        return "\n\n".join([f"## {self.title}", self.about.strip(), when, *(table.markdown() for table in self.tables)])


def now() -> datetime:
    return datetime.now(UTC)


def write(path: Path, sections: Sequence[Section], order: Sequence[str]) -> None:
    """Put sections into the file in the place of their last ones; the others stay, and all stand in ``order``."""
    kept = _sections_of(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept.update({section.name: section.markdown() for section in sections})
    parts = [heading(), *(_marked(name, kept[name]) for name in order if name in kept)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _marked(name: str, text: str) -> str:
    return f"<!-- section {name} -->\n\n{text}\n\n<!-- end {name} -->"


def _sections_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"<!-- section (\w+) -->\n\n(.*?)\n\n<!-- end \1 -->", text, re.DOTALL))


def heading() -> str:
    """What the file is, and the machine and the versions of the run that wrote it last."""
    return "\n\n".join(
        [
            "# Side by side",
            "Written by `make bench`; `python -m benchmarks --only SECTION` renews one section. All of a table was "
            "seen in one run on one machine, in turns; the ratios are the result, absolute numbers mean little "
            "elsewhere. Load generator, servers and what is measured share the cores.",
            "\n".join(f"- {line}" for line in (f"Written {now():%Y-%m-%d %H:%M} UTC", _machine(), *_versions())),
        ]
    )


def _machine() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    gigabytes = int(memory[1]) / 1e6 if memory else 0
    return f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {gigabytes:.0f} GB of memory"


def _versions() -> list[str]:
    ours = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    peers = (f"{path.parent.name}: {', '.join(_pins(path))}" for path in sorted(HERE.glob("*/requirements.txt")))
    servers = (f"Kafka {_jar(KAFKA_LIB, 'kafka-clients')}", f"HBase {_jar(HBASE_LIB, 'hbase-server')}", _mariadb())
    return [f"Python {platform.python_version()}, {ours}", ", ".join(servers), *peers]


def _pins(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line.replace("==", " ") for line in lines if line]


def _jar(lib: Path, name: str) -> str:
    found = [re.fullmatch(rf"{name}-(\d[\w.]*)\.jar", path.name) for path in lib.glob(f"{name}-*.jar")]
    return next((match[1] for match in found if match), "unknown")


def _mariadb() -> str:
    text = subprocess.run([tool("mariadbd"), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Ver (\d[\d.]*)", text)
    return f"MariaDB {found[1] if found else 'unknown'}"
