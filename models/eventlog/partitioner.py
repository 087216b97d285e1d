"""The partition of a key."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65_536)
def partition_for(key: bytes, partitions: int) -> int:
    """
    The partition of a key: Kafka's own default rule, murmur2(key) mod partitions, so that every client agrees.

    Source: org.apache.kafka.common.utils.Utils.murmur2, seed 0x9747b28c, sign bit cleared. Cached, since it is
    plain Python and keys repeat.
    """
    return (_murmur2(key) & 0x7FFF_FFFF) % partitions


def _murmur2(data: bytes) -> int:
    m, mask = 0x5BD1E995, 0xFFFF_FFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
