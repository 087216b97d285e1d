"""
The metrics of several gateway processes as one page.

Each process writes its own into a file every second, with the label ``worker``; whichever is asked adds the files of
the others to its own. They are not summed: a process that died begins again at 0, which Prometheus makes sense of for
each worker's series and could not for their sum.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest

WRITE_SECONDS: Final = 1.0
FRESH_SECONDS: Final = 5.0
"""A file that was not renewed for this long is of a process that is no more."""
_SAMPLE: Final = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (.+)$")


class SharedMetrics:
    """
    One worker's share.

    Args:
        folder: Where all workers leave their files.
        worker: The number of this one.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder, self._worker = folder, worker

    def page(self, registry: CollectorRegistry) -> bytes:
        """This worker's metrics as they are now, with those that the others wrote last."""
        own = self._own(registry)
        others = [text for number, text in self._read() if number != self._worker]
        count = f"playtrail_gateway_workers {len(others) + 1}\n"
        about = "# HELP playtrail_gateway_workers Processes on this port\n# TYPE playtrail_gateway_workers gauge\n"
        return merged([own, *others, about + count]).encode()

    def write(self, registry: CollectorRegistry) -> None:
        """Leave this worker's metrics for the others."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"metrics-{self._worker}.prom"
        draft = path.with_suffix(".tmp")
        draft.write_text(self._own(registry))
        draft.replace(path)

    def _own(self, registry: CollectorRegistry) -> str:
        return labelled(generate_latest(registry).decode(), self._worker)

    def _read(self) -> Iterable[tuple[int, str]]:
        for path in self._folder.glob("metrics-*.prom"):
            if time.time() - path.stat().st_mtime < FRESH_SECONDS:
                yield int(path.stem.removeprefix("metrics-")), path.read_text()


def labelled(text: str, worker: int) -> str:
    """A page with the label ``worker`` on every sample."""
    lines = (line if line.startswith("#") else _with_label(line, worker) for line in text.splitlines())
    return "".join(line + "\n" for line in lines)


def _with_label(line: str, worker: int) -> str:
    found = _SAMPLE.match(line)
    if found is None:
        return line
    name, labels, value = found.groups()
    joined = ",".join([*([labels] if labels else []), f'worker="{worker}"'])
    return f"{name}{{{joined}}} {value}"


def merged(pages: Iterable[str]) -> str:
    """Pages as one: the format wants all samples of a metric together, and its description once."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for page in pages:
        name = ""
        for line in page.splitlines():
            if line.startswith("#"):
                name = line.split(" ", 3)[2]
                head = heads.setdefault(name, [])
                if line not in head:
                    head.append(line)
            elif line:
                samples.setdefault(name, []).append(line)
    return "".join(line + "\n" for name, head in heads.items() for line in [*head, *samples.get(name, [])])
