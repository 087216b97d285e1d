"""
Plays and seconds per video by sentry-arroyo: dictionaries in memory, offsets committed to Kafka once a second.

``python program.py SERVERS TOPIC EVENTS FOLDER``, with a group of its own each time; the answer is
FOLDER/result.json, where ``videos`` is {id: [plays, seconds]}.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
from arroyo import Partition, Topic
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.commit import ONCE_PER_SECOND
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, ProcessingStrategy, ProcessingStrategyFactory, RunTask
from arroyo.types import Commit, Message


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Fold:
    """The dictionaries; ``begun`` has time and processor seconds of the first event, ``end`` is called at the last."""

    def __init__(self, events: int, end: Callable[[], None]) -> None:
        self.begun: list[float] = []
        self._left, self._end = events, end
        self.sessions: dict[str, int] = {}
        self.videos: dict[int, list[int]] = {}

    def __call__(self, message: Message[KafkaPayload]) -> None:
        """Count a heartbeat: the largest play_time of its session so far."""
        if not self.begun:
            self.begun = [time.monotonic(), cpu()]
        event = orjson.loads(message.payload.value)
        self._left -= 1
        if not self._left:
            self._end()
        session, seconds = event["session"], event["play_time"]
        known = self.sessions.get(session)
        if known is not None and seconds <= known:
            return
        self.sessions[session] = seconds
        total = self.videos.setdefault(event["video_id"], [0, 0])
        total[0] += known is None
        total[1] += seconds - (known or 0)


class Factory(ProcessingStrategyFactory[KafkaPayload]):  # type: ignore[misc]
    """The strategy of every assignment: fold, then commit."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold

    def create_with_partitions(
        self,
        commit: Commit,
        partitions: Mapping[Partition, int],  # noqa: ARG002 -- the base class's
    ) -> ProcessingStrategy[KafkaPayload]:
        return RunTask(self._fold, CommitOffsets(commit))


def main(servers: str, topic: str, events: int, folder: Path) -> None:
    group = f"arroyo-{uuid.uuid4().hex[:8]}"
    consumer = KafkaConsumer(
        build_kafka_consumer_configuration({}, group, auto_offset_reset="earliest", bootstrap_servers=[servers])
    )
    fold = Fold(events, lambda: processor.signal_shutdown())
    processor = StreamProcessor(consumer, Topic(topic), Factory(fold), ONCE_PER_SECOND)
    processor.run()  # commits what is left before it returns
    seconds, used = time.monotonic() - fold.begun[0], cpu() - fold.begun[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (folder / "result.json").write_text(
        json.dumps({"seconds": seconds, "cpu": used, "peak": peak, "videos": fold.videos})
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
