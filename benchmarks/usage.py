"""What a process took of the machine, from /proc: processor time and memory, with its children."""

from __future__ import annotations

import os
import re
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Processor seconds so far, user and system, of a process and its living children (proc(5), fields 14, 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) for child in children(pid))


def memory_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes) of a process and its children; pages they share count for each."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    own = int(found[1]) * 1024 / 1e6 if found else 0.0
    return own + sum(memory_mb(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """The living children, threads' children included."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text().split()]
