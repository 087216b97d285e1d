"""A stable name for each consumer process of a machine."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def member_slot(data: Path) -> Iterator[str]:
    """
    A name that no other process using the data folder has now, and that is free again when this one ends.

    A restarted consumer so gets its predecessor's name, and Kafka (static membership) gives it its partitions back
    at once; a new name each time would wait until the dead member's session ends.
    """
    data.mkdir(parents=True, exist_ok=True)
    for slot in itertools.count():
        with (data / f"consumer-{slot}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"{socket.gethostname()}-{slot}"
            return
