"""
Two requests that aiokafka does not have, by Kafka's protocol guide.

Metadata version 12 (the first that every broker since 3.0 and 4.x speaks with topic ids), and IncrementalAlterConfigs
version 0, which sets configuration keys and leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

# aiokafka ships no types, so its classes are Any to mypy: hence the ignores.


class Uuid(AbstractType):  # type: ignore[misc]
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_text = CompactString("utf-8")
_tags = ("tags", TaggedFields)


class MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node_id", Int32), ("host", _text), ("port", Int32), ("rack", _text), _tags)),
        ("cluster_id", _text),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _text),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _tags,
                    ),
                ),
                ("authorized_operations", Int32),
                _tags,
            ),
        ),
        _tags,
    )


class MetadataStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", _text), _tags)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _tags,
    )


class MetadataRequest(Request[MetadataStruct]):  # type: ignore[misc]
    """Asks about the topics of these names; creates none."""

    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([(bytes(16), name, {}) for name in self._names], False, False, {})


class IncrementalAlterConfigsResponse(Response):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class IncrementalAlterConfigsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class IncrementalAlterConfigsRequest(Request[IncrementalAlterConfigsStruct]):  # type: ignore[misc]
    """Sets configuration keys of one topic."""

    API_KEY = 44

    def __init__(self, topic: str, config: dict[str, str]) -> None:
        self._topic, self._config = topic, config

    def build(self, request_struct_class: Any) -> Any:
        topic, set_ = 2, 0  # the resource type and the operation, by their numbers in the protocol
        configs = [(name, set_, value) for name, value in self._config.items()]
        return request_struct_class([(topic, self._topic, configs)], False)


PRODUCE: Final = 0
RELEASES: Final = ((13, "4.1"), (12, "4.0"), (11, "3.8"), (10, "3.7"))
"""The newest version of Produce, and the release that it came with."""


def release_of(versions: Mapping[int, tuple[int, int]]) -> str:
    """The release by what a broker speaks (lowest and highest version of each request): none tells its own name."""
    newest = versions.get(PRODUCE, (0, 0))[1]
    return next((f"{release} or later" for version, release in RELEASES if newest >= version), "before 3.7")
