"""Appending to Kafka by an idempotent producer that is bounded in time, and replaced when it is poisoned."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from models.errors import OutcomeUnknown, PlaytrailError, Refused, Unavailable
from models.eventlog.kafka_client import calm, describe, started, topic_of, topics_of, translated, within
from models.eventlog.limits import BATCH_OVERHEAD, DEFAULT_MAX_BYTES, check_size, max_bytes
from models.eventlog.port import EventWriter, Message, Position, partition_for
from models.topics import Topics

log = logging.getLogger(__name__)

REQUEST_MS: Final = 30_000
"""How long a batch may wait for a leader before it fails and poisons the producer: much longer than a caller waits."""

BATCH_BYTES: Final = 262_144
"""With the default of 16 KiB, callers queue for room in the one open batch of a partition."""

RETRY_SECONDS: Final = 0.5
REFRESH_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
FORCE_SECONDS: Final = 1.5


class KafkaWriter(EventWriter):
    """
    One idempotent producer at a time; a background task starts it, watches it and replaces it.

    An idempotent send of aiokafka never fails by itself while the broker is away (aiokafka#1101): a sweep ends the
    waits that last longer than ``timeout`` seconds with OutcomeUnknown. A batch that failed for good leaves a gap in
    the sequence numbers, after which every batch of that partition fails (aiokafka#1017): after any failed batch the
    producer is replaced.

    Attributes:
        replacements: How many producers were replaced.
    """

    def __init__(self, servers: str, topics: Topics, timeout: float) -> None:
        self._servers, self._topics, self._timeout = servers, topics, timeout
        self.replacements = 0
        self._producer: Any = None
        self._reason = "not connected yet"
        self._counts: dict[str, int] = {}
        self._learning = asyncio.Lock()
        # In the order of their deadlines, since every append has the same time.
        self._pending: dict[asyncio.Future[Any], float] = {}
        limits = [max_bytes(topics, name) for name in topics.by_name]
        self._batch_bytes = min([BATCH_BYTES, *limits])
        # Below half of the smallest limit the headers, of 2 kB, cannot make the difference: no need to count them.
        self._surely_fits = self._batch_bytes // 2
        self._poisoned = asyncio.Event()
        self._tried = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> KafkaWriter:
        self._loop = asyncio.get_running_loop()
        self._tasks = {
            asyncio.create_task(self._serve(), name="playtrail-log-producer"),
            asyncio.create_task(self._sweep(), name="playtrail-log-sweep"),
        }
        # A broker that is there is known at the first append; one that is not delays nobody for long.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), self._timeout)
        return self

    async def __aexit__(self, *exc: object) -> None:
        producer, self._producer, self._reason = self._producer, None, "the writer is closed"
        for task in self._tasks:
            task.cancel()
        if producer is not None:
            self._stop_later(producer)
        if tasks := self._tasks | self._stopping:
            await asyncio.wait(tasks, timeout=STOP_SECONDS + 3 * FORCE_SECONDS)
        for future in list(self._pending):
            _unknown(future, OutcomeUnknown("the writer was closed before the log answered"))

    async def append(self, message: Message) -> Position:
        topic, key, value, headers, timestamp = message
        producer = self._producer
        if producer is None:
            raise Unavailable("log", self._reason)
        count = self._counts.get(topic) or await self._learn(producer, topic)
        if len(value) > self._surely_fits:
            check_size(self._topics, message)
        partition = partition_for(key, count)
        try:
            future = _joined(producer, partition, message) or await producer.send(
                topic, value, key, partition, timestamp, headers
            )
        except (KafkaError, AssertionError) as error:
            raise self._not_sent(producer, message, error) from error
        self._pending[future] = self._loop.time() + self._timeout
        try:
            record = await future
        except KafkaError as error:
            self._poison(producer, error)
            raise OutcomeUnknown(f"the log did not take a batch: {describe(error)}") from error
        finally:
            del self._pending[future]
        if record.offset < 0:  # a repeated batch that the broker knew, but not where
            raise OutcomeUnknown("the log has the record, and does not say where")
        return Position(topic, record.partition, record.offset)

    async def ready(self) -> None:
        producer = self._producer
        if producer is None:
            raise Unavailable("log", self._reason)
        with translated():
            async with asyncio.timeout(self._timeout):
                found = await topics_of(producer.client, list(self._counts or self._topics.by_name))
        for name, topic in found.items():
            if not topic.led:
                raise Unavailable("log", f"a partition of {name} has no leader")

    def _not_sent(self, producer: Any, message: Message, error: BaseException) -> PlaytrailError:
        """What it means when aiokafka raises before it has the record: it will not be in the log."""
        if isinstance(error, MessageSizeTooLargeError):
            return Refused("record", f"{len(message.value)} bytes of value", "a record of 1 MiB at most")
        if producer._sender.sender_task.done():  # then every send raises what killed it
            self._poison(producer, error)
        self._counts.pop(message.topic, None)
        return Unavailable("log", describe(error))

    async def _learn(self, producer: Any, topic: str) -> int:
        """The number of partitions. Raises Refused for an unknown topic, which aiokafka would look for for long."""
        with translated():
            async with asyncio.timeout(self._timeout), self._learning:  # many ask at once for a topic that is new
                if topic not in self._counts:
                    await topic_of(producer.client, topic)
                    self._counts[topic] = len(await producer.partitions_for(topic))
        return self._counts[topic]

    def _poison(self, producer: Any, error: BaseException) -> None:
        if producer is self._producer:
            log.warning("the producer is replaced: %s", describe(error))
            self._producer, self._reason = None, "the producer is being replaced"
            self._poisoned.set()
            self._stop_later(producer)

    async def _serve(self) -> None:
        """Keep a producer; cancelled by ``__aexit__``."""
        while True:
            self._poisoned.clear()
            self._producer = await self._connect()
            while not self._poisoned.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._poisoned.wait(), REFRESH_SECONDS)
                self._refresh()
            self.replacements += 1

    def _refresh(self) -> None:
        """Forget the partition counts that aiokafka does not know any more, or knows otherwise."""
        if self._producer is not None:
            known = self._producer.client.cluster.partitions_for_topic
            self._counts = {t: n for t, n in self._counts.items() if len(known(t) or ()) == n}

    async def _connect(self) -> Any:
        while True:
            producer = self._make()
            try:
                await started(producer.start)
                for name in await topics_of(producer.client, list(self._topics.by_name)):
                    self._counts[name] = len(await producer.partitions_for(name))
            except (KafkaError, OSError, TimeoutError) as error:
                self._reason = describe(error)
                await _stop(producer)
            except BaseException:
                await _stop(producer)
                raise
            else:
                return producer
            finally:
                self._tried.set()
            await asyncio.sleep(RETRY_SECONDS)

    def _make(self) -> Any:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=self._batch_bytes,
            max_request_size=DEFAULT_MAX_BYTES - BATCH_OVERHEAD,
            compression_type="lz4",
            request_timeout_ms=REQUEST_MS,
        )
        calm(producer.client)
        # From here on it bounds only the wait for room in a full batch, which is part of a caller's time.
        producer._request_timeout_ms = round(self._timeout * 1000)
        return producer

    async def _sweep(self) -> None:
        """End the waits that are over; a timer per append would cost half as much as the append."""
        while True:
            await asyncio.sleep(self._timeout / 20)
            now = self._loop.time()
            late = []
            for future, deadline in self._pending.items():
                if deadline > now:
                    break
                late.append(future)
            for future in late:
                _unknown(future, OutcomeUnknown(f"the log did not answer in {self._timeout:g} s"))

    def _stop_later(self, producer: Any) -> None:
        task = asyncio.create_task(_stop(producer), name="playtrail-log-producer-stop")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


def _joined(producer: Any, partition: int, message: Message) -> Any:
    """
    Put a record into the batch that gathers for its partition; None when none does, or it is full.

    It is what aiokafka's ``send`` comes to then, less its coroutines and checks: 1.4 of 14 µs.
    """
    gathering = producer._message_accumulator
    batches = gathering._batches.get((message.topic, partition))
    if not batches or gathering._closed or gathering._exception is not None:
        return None
    return batches[-1].append(message.key, message.value, message.timestamp, headers=message.headers)


def _unknown(future: asyncio.Future[Any], error: OutcomeUnknown) -> None:
    if not future.done():  # aiokafka skips what is done when it settles a batch
        future.set_exception(error)


async def _stop(producer: Any) -> None:
    """Flush and end; in at most eight seconds, since aiokafka's own stop waits for a broker that is away."""
    if not await within(STOP_SECONDS, producer.stop):
        producer._message_accumulator.fail_all(KafkaError("the producer was stopped"))
        await within(FORCE_SECONDS, producer.client.close, producer._sender.close)
