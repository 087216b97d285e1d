"""A real HBase: a standalone master with its region server and ZooKeeper, and a Thrift 1 server before it."""

from __future__ import annotations

import shutil

import happybase

from tests.real.install import HBASE_LIB, STACK
from tests.real.processes import Process, Server, fill, free_port, java, listens

# HBase 2.6 reaches into the JDK, which Java 17 closed by default.
_OPENED = (
    "java.lang",
    "java.lang.reflect",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "jdk.internal.misc",
    "jdk.internal.ref",
    "sun.nio.ch",
)
_OPTIONS = [
    "--add-modules=jdk.unsupported",
    "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
    "-Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true",
]


class HBase(Server):
    """
    HBase on a local folder; ``port`` is that of Thrift.

    Killed with kill9 it may lose its newest writes, since there is no HDFS below it. ``thrift`` can be stopped and
    started alone.
    """

    name = "HBase"
    _log_start = 0

    @property
    def url(self) -> str:
        return f"hbase://127.0.0.1:{self.port}"

    @property
    def master(self) -> Process:
        return self.processes[0]

    @property
    def thrift(self) -> Process:
        return self.processes[1]

    def prepare(self) -> list[Process]:
        conf = self.folder / "conf"
        fill(STACK / "hbase-site.xml", conf / "hbase-site.xml", DIR=self.folder, ZOOKEEPER_PORT=free_port())
        shutil.copy(STACK / "log4j.properties", conf)
        address = ("-b", "127.0.0.1", "-p", str(self.port))
        return [
            Process("hbase-master", self._java("master.HMaster", "1g"), self.folder / "master.log"),
            Process("hbase-thrift", self._java("thrift.ThriftServer", "512m", *address), self.folder / "thrift.log"),
        ]

    def _java(self, main: str, heap: str, *arguments: str) -> list[str]:
        command = (f"org.apache.hadoop.hbase.{main}", *arguments, "start")
        conf = self.folder / "conf"
        return java(HBASE_LIB, *command, heap=heap, options=_OPTIONS, conf=conf, quick=self.quick)

    def start(self) -> None:
        log = self.folder / "master.log"
        if log.exists() and not self.master.running:
            self._log_start = log.stat().st_size
        super().start()

    def ping(self) -> None:
        if not (listens(self.port) and self._initialized()):
            raise ConnectionRefusedError(self.port)
        connection = happybase.Connection("127.0.0.1", self.port, timeout=5000)
        try:
            connection.tables()
        finally:
            connection.close()

    def _initialized(self) -> bool:
        """Thrift lists tables seconds before the master can create one; only the log tells when it can."""
        with self.master.log.open("rb") as log:
            log.seek(self._log_start)
            return b"Master has completed initialization" in log.read()
