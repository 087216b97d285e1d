"""A real Kafka: one process that is broker and controller (KRaft)."""

from __future__ import annotations

import base64
import socket
import struct
import uuid

from tests.real.install import KAFKA_LIB, STACK
from tests.real.processes import Process, Server, fill, free_port, java, run


class Kafka(Server):
    """Kafka 4; topics are created by whoever needs them, none by itself."""

    name = "Kafka"

    @property
    def address(self) -> str:
        """``host:port``, as Kafka's own tools take it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"kafka://{self.address}"

    def prepare(self) -> list[Process]:
        properties = self.folder / "server.properties"
        ports = {"PORT": self.port, "CONTROLLER_PORT": free_port()}
        fill(STACK / "kafka.properties", properties, DIR=self.folder, **ports)
        # Kafka's own form of a cluster id: 16 bytes in base64; one that begins with "-" would read as a flag.
        cluster = "pt" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[2:22]
        log = self.folder / "kafka.log"
        tool = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
        run(java(KAFKA_LIB, *tool, heap="256m", quick=True), log)
        options = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        command = java(KAFKA_LIB, "kafka.Kafka", str(properties), heap="1g", options=options, quick=self.quick)
        return [Process("kafka", command, log)]

    def ping(self) -> None:
        """Ask which requests it takes; a broker answers that only once it may serve clients."""
        # By hand, not by aiokafka: a running event loop may be above us. ApiVersions (18), version 0, no client id.
        request = struct.pack(">hhih", 18, 0, 1, -1)
        with socket.create_connection(("127.0.0.1", self.port), timeout=3) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(10)
        if struct.unpack(">iih", answer)[1:] != (1, 0):
            raise ConnectionError(answer)
