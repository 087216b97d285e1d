"""A real MariaDB, from the system's package, on a data folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql

from tests.real.install import tool
from tests.real.processes import Process, Server, run


class MariaDB(Server):
    """MariaDB; root needs no password, on loopback only."""

    name = "MariaDB"

    @property
    def url(self) -> str:
        """Without a database: see ``database``."""
        return f"mariadb+pymysql://root@127.0.0.1:{self.port}"

    def prepare(self) -> list[Process]:
        data, log = self.folder / "data", self.folder / "mariadb.log"
        # Started by root it refuses to run as root, unless told to.
        user = ["--user=root"] if os.geteuid() == 0 else []
        login = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        run([tool("mariadb-install-db"), "--no-defaults", f"--datadir={data}", *user, *login], log)
        # The socket's path is relative to the data folder: a whole one may not have more than 107 characters.
        command = [
            *(tool("mariadbd"), "--no-defaults", *user, f"--datadir={data}", "--bind-address=127.0.0.1"),
            *(f"--port={self.port}", "--socket=socket", f"--pid-file={data}/pid"),
            *("--skip-name-resolve", "--max-connections=400"),
        ]
        return [Process("mariadb", command, log)]

    def connect(self) -> pymysql.Connection[Any]:
        """A connection without a database; the caller closes it."""
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=5, read_timeout=30)

    def ping(self) -> None:
        self.execute("SELECT 1")

    def execute(self, statement: str) -> None:
        """Run one statement as root."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
            connection.commit()
        finally:
            connection.close()

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """The URL of a fresh database, which is dropped at the end if the server is there to do so."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        try:
            yield f"{self.url}/{name}"
        finally:
            if self.processes[0].running:
                self.execute(f"DROP DATABASE IF EXISTS `{name}`")
