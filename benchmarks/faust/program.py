"""
Plays and seconds per video by Faust: two tables in RocksDB, every change of them in changelog topics.

``python program.py SERVERS TOPIC EVENTS FOLDER``, with an app of its own each time; the answer is FOLDER/result.json,
where ``videos`` is {id: [plays, seconds]} as the table has it at the end.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import faust
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from mode.supervisors import CrashingSupervisor

PARTITIONS = 6


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def make_changelogs(servers: str, app: str) -> None:
    """
    The topics that Faust would create itself.

    When it does, the second may be missing from what it knows of the cluster for some seconds; the agent then crashes
    at each event, starts again, and those events are lost.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        names = (f"{app}-{table}-changelog" for table in ("sessions", "videos"))
        compact = {"cleanup.policy": "compact"}
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=compact) for name in names])
    finally:
        await admin.close()


async def main(servers: str, topic: str, events: int, folder: Path) -> None:
    name = f"faust-{uuid.uuid4().hex[:8]}"
    await make_changelogs(servers, name)
    app = faust.App(
        name,
        broker=f"kafka://{servers}",
        store="rocksdb://",
        datadir=folder / "state",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        loop=asyncio.get_running_loop(),
    )
    sessions, videos = app.Table("sessions", key_type=str), app.Table("videos", key_type=int)
    begun: list[float] = []
    done = asyncio.Event()

    source = app.topic(topic, key_type=bytes, key_serializer="raw", value_serializer="json")

    @app.agent(source, supervisor_strategy=CrashingSupervisor)  # type: ignore[untyped-decorator]
    async def fold(heartbeats: Any) -> None:
        """Count a heartbeat: the largest play_time of its session so far."""
        left = events
        async for event in heartbeats:
            if not begun:
                begun.extend((time.monotonic(), cpu()))
            session, seconds, video = event["session"], event["play_time"], event["video_id"]
            known = sessions.get(session)
            if known is None or seconds > known:
                sessions[session] = seconds
                plays, watched = videos.get(video, (0, 0))
                videos[video] = (plays + (known is None), watched + seconds - (known or 0))
            left -= 1
            if not left:
                done.set()

    await app.start()
    await app.wait(done)  # raises what crashed the app, which else would wait for ever
    found = dict(videos.items())
    await app.stop()  # waits for the changelog, commits
    seconds, used = time.monotonic() - begun[0], cpu() - begun[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (folder / "result.json").write_text(json.dumps({"seconds": seconds, "cpu": used, "peak": peak, "videos": found}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
