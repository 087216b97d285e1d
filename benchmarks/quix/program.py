"""
Plays and seconds per video by Quix Streams: state in RocksDB, every change of it in a changelog topic.

``python program.py SERVERS TOPIC EVENTS FOLDER at-least-once|exactly-once``, with a group of its own each time; the
answer is FOLDER/result.json, where ``videos`` is {id: [plays, seconds]} as RocksDB has it at the end.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from quixstreams import Application, State
from rocksdict import AccessType, Options, Rdict

begun: list[float] = []
"""Of the first event: the time, and the processor seconds so far."""


def fold(event: dict[str, Any], state: State) -> None:
    """Count a heartbeat: the largest play_time of its session so far. State is by the record's key, the video."""
    if not begun:
        begun.extend((time.monotonic(), cpu()))
    session, seconds = event["session"], event["play_time"]
    known = state.get(session)
    if known is not None and seconds <= known:
        return
    state.set(session, seconds)
    plays, watched = state.get("total", (0, 0))
    state.set("total", (plays + (known is None), watched + seconds - (known or 0)))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(servers: str, topic: str, events: int, folder: Path, guarantee: Any) -> None:
    app = Application(
        broker_address=servers,
        consumer_group=f"quix-{uuid.uuid4().hex[:8]}",
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        state_dir=folder / "state",
        loglevel=logging.WARNING,
    )
    source = app.topic(topic, key_deserializer="bytes", value_deserializer="json")  # by orjson
    app.dataframe(source).update(fold, stateful=True)
    app.run(count=events, collect=False)  # its last act before it returns is a checkpoint of everything
    seconds, used = time.monotonic() - begun[0], cpu() - begun[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {"seconds": seconds, "cpu": used, "peak": peak, "videos": videos(folder / "state")}
    (folder / "result.json").write_text(json.dumps(result))


def videos(state: Path) -> dict[str, list[int]]:
    """What RocksDB holds under ``KEY|"total"``."""
    found = {}
    for path in state.glob("**/CURRENT"):
        for key, value in Rdict(str(path.parent), Options(raw_mode=True), access_type=AccessType.read_only()).items():
            prefix, _, name = key.partition(b"|")
            if name == b'"total"':
                found[prefix.decode()] = json.loads(value)
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
