"""Installs what the tests need beyond Python packages: jars by Maven, programs by apt; nothing when all is there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.processes import ServerError

STACK = Path(__file__).parent / "stack"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "playtrail"
KAFKA_LIB = CACHE / "kafka" / "lib"
HBASE_LIB = CACHE / "hbase" / "lib"
FILMS = CACHE / "films" / "movies.json"
"""The films of the npm package vega-datasets: real data, with what real data have in it."""

# It shadows the newer servlet API beside it, and HBase's master dies with NoSuchMethodError.
_UNWANTED = {"hbase": ("servlet-api-2.5.jar",)}
# The program that is looked for, and the package that has it. MySQL itself is not in Debian.
_PACKAGES = {
    "java": "default-jre-headless",
    "mvn": "maven",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "kcat": "kcat",
    "npm": "npm",
    "chromium": "chromium",
    "wrk": "wrk",
    "promtool": "prometheus",
}

_FILMS_PACKAGE = "vega-datasets@3.2.1"


def tool(name: str) -> str:
    """The path of a program; servers stand in folders that a plain user's PATH may lack. Raises ServerError."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise ServerError(f"{name} is missing: run `python -m tests.real.servers install`")
    return found


def install() -> None:
    """Install what is missing and say so, line by line. Raises ServerError with one line."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _alone():
        _packages()
        for name in ("kafka", "hbase"):
            _jars(name)
        _films()


@contextmanager
def _alone() -> Iterator[None]:
    """One installation at a time: two test runs may start together."""
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _missing(name: str) -> bool:
    try:
        tool(name)
    except ServerError:
        return True
    return False


def _packages() -> None:
    wanted = sorted({package for name, package in _PACKAGES.items() if _missing(name)})
    if not wanted:
        return
    print(f"apt-get install {' '.join(wanted)}", flush=True)
    apt = [*_as_root(wanted), "apt-get", "-qq"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ([*apt, "update"], [*apt, "install", "--yes", "--no-install-recommends", *wanted]):
        try:
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServerError(f"install {', '.join(wanted)} by hand: {error}") from error


def _as_root(wanted: list[str]) -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise ServerError(f"install {', '.join(wanted)} by hand: apt-get needs root, and there is no sudo")
    return ["sudo", "--preserve-env=DEBIAN_FRONTEND"]


def _jars(name: str) -> None:
    """Copy the jars of a pom into the cache; the stamp beside them is the hash of the pom that they came from."""
    pom, folder = STACK / f"{name}-pom.xml", CACHE / name
    stamp, wanted = folder / "stamp", hashlib.sha256(pom.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"jars of {name} by Maven into {folder / 'lib'}", flush=True)
    fresh = folder / "lib.new"
    shutil.rmtree(fresh, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _maven(pom, fresh)
    for jar in _UNWANTED.get(name, ()):
        (fresh / jar).unlink(missing_ok=True)
    # The old ones go last: a failed download must leave what worked.
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder / "lib", ignore_errors=True)
    fresh.rename(folder / "lib")
    stamp.write_text(wanted)


def _maven(pom: Path, target: Path) -> None:
    command = [tool("mvn"), "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = [line for line in result.stdout.splitlines() if line.startswith("[ERROR]")]
        raise ServerError(f"Maven failed on {pom.name}: {lines[0] if lines else result.stderr[-300:]}")


def _films() -> None:
    if FILMS.exists():
        return
    print(f"films of {_FILMS_PACKAGE} by npm into {FILMS}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [tool("npm"), "pack", "--silent", f"--pack-destination={folder}", _FILMS_PACKAGE]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ServerError(f"npm failed on {_FILMS_PACKAGE}: {result.stderr.strip().splitlines()[-1:]}")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            content = package.extractfile("package/data/movies.json")
            assert content is not None, "a file, not a folder"
            FILMS.parent.mkdir(exist_ok=True)
            FILMS.write_bytes(content.read())
