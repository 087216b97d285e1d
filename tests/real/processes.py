"""Child processes that are real servers: free ports, starting, waiting for an answer, stopping by pid."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

START_SECONDS = 90.0
"""How long a server may take to answer: ten times what a slow one was seen to need."""
STOP_SECONDS = 15.0


class ServerError(Exception):
    """A server that could not be installed or started; the text says why, with the end of its log."""


def free_port() -> int:
    """
    A loopback port that nobody listens on now.

    Below the ports that the system gives to connections: one of those could take it while its server is stopped.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def fill(template: Path, target: Path, **values: object) -> None:
    """Write ``template`` to ``target`` with each @NAME@ replaced."""
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def listens(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """One child process by its command line; its output is appended to ``log``."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name, self.command, self.log = name, list(command), log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self.running and self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it, unless it runs; returns before it answers."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            # A session of its own: Ctrl-C in the terminal must reach us alone, who then stop it in order.
            self._child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def send(self, signum: int) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT, to the process while it runs."""
        if self.running and self._child:
            self._child.send_signal(signum)

    def kill9(self) -> None:
        """End it at once, as a power cut would, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._wait(None)

    def stop(self) -> None:
        """End it in order; by force when it takes too long."""
        self.send(signal.SIGTERM)
        if not self._wait(STOP_SECONDS):
            self.kill9()

    def _wait(self, seconds: float | None) -> bool:
        if self._child is None:
            return True
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def tail(self, lines: int = 15) -> str:
        """The end of its log, for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Server(ABC):
    """
    A real server in a folder of its own, on a loopback port that stays the same over stop and start, as its data do.

    Attributes:
        port: Where clients connect.
        processes: What it consists of, in the order of starting.
    """

    name: str

    def __init__(self, folder: Path, *, quick: bool = False) -> None:
        """``quick`` trades speed under load for a short start: right for tests, wrong for benchmarks."""
        self.folder, self.quick, self.port = folder.resolve(), quick, free_port()
        self._prepared = False
        self.processes: list[Process] = []

    @property
    @abstractmethod
    def url(self) -> str:
        """The address, as a setting of Playtrail takes it."""

    @abstractmethod
    def prepare(self) -> list[Process]:
        """Write configuration and format the data folder, once; returns the processes to start."""

    @abstractmethod
    def ping(self) -> None:
        """Return when the server answers its own protocol; else raise anything."""

    def start(self) -> None:
        """Start, or start again on the same port and data, and wait until it answers. Raises ServerError."""
        if not self._prepared:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.processes = self.prepare()
            self._prepared = True
        for process in self.processes:
            process.start()
        self.wait()

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers. Raises ServerError, at once when a process has ended."""
        wait_for(f"{self.name} on port {self.port}", self.ping, self.processes, seconds)

    def stop(self) -> None:
        """Stop in order, last started first; the data stay."""
        for process in reversed(self.processes):
            process.stop()

    def kill9(self) -> None:
        """Kill every process at once; the data stay as they are on disk."""
        for process in reversed(self.processes):
            process.kill9()


def wait_for(what: str, ping: Callable[[], None], processes: Sequence[Process], seconds: float) -> None:
    """Call ``ping`` until it returns. Raises ServerError with the end of the logs."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ping()
        except Exception as error:  # drivers raise what they like while a server comes up
            ended = [p.name for p in processes if not p.running]
            if ended or time.monotonic() > deadline:
                reason = f"{', '.join(ended)} ended" if ended else f"no answer in {seconds:g} s ({error!r})"
                logs = "\n".join(f"--- {p.log}\n{p.tail()}" for p in processes)
                raise ServerError(f"{what} did not start: {reason}\n{logs}") from error
        time.sleep(0.1)


def java(
    lib: Path,
    main: str,
    *arguments: str,
    heap: str,
    options: Sequence[str] = (),
    conf: Path | None = None,
    quick: bool = False,
) -> list[str]:
    """The command that runs a Java class from a folder of jars; ``conf`` comes first on the class path."""
    path = f"{conf}:{lib}/*" if conf else f"{lib}/*"
    # The first compiler alone, and one collector thread: half the processor time of a short life.
    short = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] if quick else []
    return ["java", f"-Xmx{heap}", *short, *options, "-cp", path, main, *arguments]


def run(command: Sequence[str], log: Path, seconds: float = 120) -> None:
    """Run a command to its end with its output in ``log``. Raises ServerError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as out:
            subprocess.run(command, check=True, stdout=out, stderr=out, stdin=subprocess.DEVNULL, timeout=seconds)
    except (OSError, subprocess.SubprocessError) as error:
        tail = Process(command[0], command, log).tail()
        raise ServerError(f"{os.path.basename(command[0])} failed: {error}\n--- {log}\n{tail}") from error  # noqa: PTH119
