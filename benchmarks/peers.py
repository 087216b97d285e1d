"""A peer's own virtual environment, from its pinned requirements; ours stays free of what only peers need."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.real.install import CACHE

HERE: Final = Path(__file__).parent


class PeerMissing(Exception):  # noqa: N818 -- the reason is its text
    """A peer that could not be installed, in one line."""


def python_of(name: str) -> Path:
    """
    The interpreter of a peer's environment.

    It is made once from ``benchmarks/NAME/requirements.txt``, and again when that file changes. Blocks, for a minute
    the first time. Raises PeerMissing.
    """
    requirements = HERE / name / "requirements.txt"
    folder = CACHE / "peers" / name
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp, python = folder / "stamp", folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two benchmarks may start together
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
            stamp.write_text(wanted)
    return python


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise PeerMissing(f"{' '.join(command)}: {last}")
