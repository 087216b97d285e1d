"""partition_for agrees with Kafka's Java client and with aiokafka."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from models.eventlog.partitioner import _murmur2, partition_for


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # from Kafka's own UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: bytes, expected: int) -> None:
    assert _murmur2(key) == expected % 2**32


@given(st.binary(max_size=64), st.integers(1, 10_000))
def test_every_key_has_the_partition_that_aiokafka_gives_it(key: bytes, partitions: int) -> None:
    assert partition_for(key, partitions) == (murmur2(key) & 0x7FFF_FFFF) % partitions
