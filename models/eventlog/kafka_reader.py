"""Reading Kafka without a group, and its topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.structs import TopicPartition

from models.errors import LogMismatch, Refused
from models.eventlog.kafka_client import (
    CALL_SECONDS,
    REQUEST_MS,
    raise_for,
    started,
    topic_of,
    topics_of,
    translated,
    unknown_topic,
    within,
)
from models.eventlog.kafka_wire import IncrementalAlterConfigsRequest, release_of
from models.eventlog.port import Identity, LogReader, Owner, Record, TopicAdmin, TopicState

CLOSE_SECONDS: Final = 3.0
LOOK_MS: Final = 200
TIMES_SECONDS: Final = 2.0
COORDINATOR_SECONDS: Final = 5.0
_NO_COORDINATOR: Final = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
SET_ON_TOPIC: Final = 1
"""``config_source`` of a value that was set on the topic itself, in DescribeConfigs."""


@asynccontextmanager
async def _limited() -> AsyncIterator[None]:
    with translated():
        async with asyncio.timeout(CALL_SECONDS):
            yield


class KafkaReader(LogReader):
    """A consumer without a group for records, an administrator for the rest. One call at a time."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._consumer: Any = None
        self._admin: Any = None
        self._reading: TopicPartition | None = None
        self._next = 0
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> KafkaReader:
        options = {"bootstrap_servers": self._servers, "request_timeout_ms": REQUEST_MS}
        self._admin = AIOKafkaAdminClient(**options)
        self._consumer = AIOKafkaConsumer(
            **options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=LOOK_MS,
            isolation_level="read_committed",
        )
        try:
            async with _limited():
                await started(self._admin.start)
                await started(self._consumer.start)
            # A task of aiokafka that has not begun when it is closed raises CancelledError, and leaves sockets open.
            await asyncio.sleep(0)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await within(CLOSE_SECONDS, self._consumer.stop, self._admin.close)

    async def identity(self, topic: str) -> Identity:
        async with _limited():
            found = await topic_of(self._admin._client, topic)
        return Identity(found.cluster, found.id, found.partitions)

    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        async with self._lock, _limited():
            return await self._bounds(await self._places(topic))

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        async with _limited():
            offsets = await _coordinated(lambda: self._admin.list_consumer_group_offsets(group))
        return {tp.partition: o.offset for tp, o in offsets.items() if tp.topic == topic and o.offset >= 0}

    async def owners(self, group: str, topic: str) -> Mapping[int, Owner]:
        async with _limited():
            members = await _coordinated(lambda: self._members(group))
        owners = {}
        for member, client, host, _, assignment in members:
            owner = Owner(member, client, host.removeprefix("/"))
            owners.update(dict.fromkeys(_assigned(assignment, topic), owner))
        return owners

    async def _members(self, group: str) -> list[Any]:
        found: list[Any] = []
        for answer in await self._admin.describe_consumer_groups([group]):
            for code, name, _, _, _, members, *_ in answer.groups:
                raise_for(code, None, "group", name)
                found += members
        return found

    async def times(self, topic: str, offsets: Mapping[int, int]) -> Mapping[int, int]:
        async with self._lock, _limited():
            bounds = await self._bounds([TopicPartition(topic, p) for p in offsets])
            for partition, offset in offsets.items():
                _check(topic, partition, offset, bounds[partition])
            wanted = {TopicPartition(topic, p): o for p, o in offsets.items() if o < bounds[p][1]}
            return await self._first_times(wanted) if wanted else {}

    async def _first_times(self, wanted: Mapping[TopicPartition, int]) -> dict[int, int]:
        """One fetch for all partitions: they are assigned together, and each gives its first record."""
        self._reading, found, left = None, {}, set(wanted)
        self._consumer.assign(list(wanted))
        for place, offset in wanted.items():
            self._consumer.seek(place, offset)
        try:
            async with asyncio.timeout(TIMES_SECONDS):
                while left:
                    record = await self._consumer.getone(*left)
                    found[record.partition] = record.timestamp
                    left.discard(TopicPartition(record.topic, record.partition))
        except TimeoutError:
            pass  # what is left is absent: no record there that can be read
        finally:
            self._consumer.unsubscribe()  # else it goes on fetching
        return found

    async def offsets_at(self, topic: str, time_ms: int) -> Mapping[int, int]:
        async with self._lock, _limited():
            places = await self._places(topic)
            found = await self._consumer.offsets_for_times(dict.fromkeys(places, max(time_ms, 0)))
        return {place.partition: at.offset for place, at in found.items() if at is not None}

    async def read(self, topic: str, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        place = TopicPartition(topic, partition)
        async with self._lock, _limited():
            if (self._reading, self._next) != (place, offset):
                await self._move(place, offset)
            records = await self._fetch(place, offset, max_records)
            self._next = records[-1].offset + 1 if records else offset
            return records

    async def _move(self, place: TopicPartition, offset: int) -> None:
        self._reading = None
        found = await topic_of(self._admin._client, place.topic)
        if not 0 <= place.partition < found.partitions:
            raise Refused("partition", place.partition, f"0 to {found.partitions - 1} for {place.topic}")
        _check(place.topic, place.partition, offset, (await self._bounds([place]))[place.partition])
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        self._reading = place

    async def _fetch(self, place: TopicPartition, offset: int, max_records: int) -> Sequence[Record]:
        """What is prefetched, or what comes before the end of the partition is reached."""
        while True:
            found = await self._consumer.getmany(place, timeout_ms=LOOK_MS, max_records=max_records)
            if found:
                records: Sequence[Record] = found[place]
                return records
            # The marks that end transactions have offsets and are no records: the position passes them.
            offset = max(offset, await self._consumer.position(place))
            if offset >= (await self._bounds([place]))[place.partition][1]:
                return []

    async def _places(self, topic: str) -> list[TopicPartition]:
        found = await topic_of(self._admin._client, topic)
        return [TopicPartition(topic, partition) for partition in range(found.partitions)]

    async def _bounds(self, places: Sequence[TopicPartition]) -> dict[int, tuple[int, int]]:
        first = await self._consumer.beginning_offsets(places)
        end = await self._consumer.end_offsets(places)
        return {place.partition: (first[place], end[place]) for place in places}


def _check(topic: str, partition: int, offset: int, bounds: tuple[int, int]) -> None:
    first, end = bounds
    if not first <= offset <= end:
        text = f"offset {offset} of {topic}/{partition} is outside of the log"
        raise LogMismatch(f"{text}, which has {first} to {end}")


def _assigned(assignment: bytes, topic: str) -> list[int]:
    """A topic's partitions in a member's assignment; it is empty while the group divides its partitions anew."""
    decoded = ConsumerProtocolMemberAssignment.decode(assignment) if assignment else None
    return [place.partition for place in decoded.partitions() if place.topic == topic] if decoded else []


async def _coordinated(call: Callable[[], Awaitable[Any]]) -> Any:
    """
    Ask again for a while.

    The first question about a group makes a new cluster create the topic of its offsets, and a coordinator that has
    just become one, there or after a broker was lost, refuses until it has read them.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + COORDINATOR_SECONDS
    while True:
        try:
            return await call()
        except _NO_COORDINATOR:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(0.1)


class KafkaAdmin(TopicAdmin):
    """Topics of the cluster."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._admin: Any = None

    async def __aenter__(self) -> KafkaAdmin:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._servers, request_timeout_ms=REQUEST_MS)
        try:
            async with _limited():
                await started(self._admin.start)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await within(CLOSE_SECONDS, self._admin.close)

    async def describe(self, names: Collection[str]) -> Mapping[str, TopicState]:
        async with _limited():
            found = await topics_of(self._admin._client, names)
            configs = await self._configs(found)
        return {n: TopicState(t.partitions, t.replication, configs.get(n, {})) for n, t in found.items()}

    async def version(self) -> str:
        async with _limited():
            client = self._admin._client
            connection = await client._get_conn(client.get_random_node())
        return f"Kafka {release_of(connection._versions)}" if connection else ""

    async def create(self, name: str, state: TopicState) -> None:
        topic = NewTopic(name, state.partitions, state.replication, topic_configs=dict(state.config))
        async with _limited():
            response = await self._admin.create_topics([topic])
            for _, code, text, *_ in response.topic_errors:
                if for_code(code) is not TopicAlreadyExistsError:
                    raise_for(code, text, "topic", name)
            while not await self._led(name):  # noqa: ASYNC110 -- the broker tells nobody
                await asyncio.sleep(0.05)

    async def configure(self, name: str, config: Mapping[str, str]) -> None:
        async with _limited():
            client = self._admin._client
            if name not in await topics_of(client, [name]):
                raise unknown_topic(name)
            response = await self._admin._send_to_controller(IncrementalAlterConfigsRequest(name, dict(config)))
            for code, text, *_ in response.resources:
                raise_for(code, text, "config", dict(config))
            await self._visible(name, config)

    async def _visible(self, name: str, config: Mapping[str, str]) -> None:
        """Wait, for a moment, until the brokers have heard from the controller."""
        for _ in range(40):
            if config.items() <= (await self._configs([name]))[name].items():
                return
            await asyncio.sleep(0.05)

    async def _led(self, name: str) -> bool:
        found = await topics_of(self._admin._client, [name])
        return name in found and found[name].led

    async def _configs(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """Per topic, what was set on it; what comes from the broker or from Kafka itself is not told."""
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        configs = {}
        for response in await self._admin.describe_configs(resources):
            for code, text, _, name, entries in response.resources:
                raise_for(code, text, "topic", name)
                configs[name] = {key: value for key, value, _, source, *_ in entries if source == SET_ON_TOPIC}
        return configs
