"""Keys, columns and cells of the HBase tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import rows
from models.eventlog.port import Identity
from models.stores.port import Checkpoint, PlayRow, Top

ids = st.integers(1, 9_999_999_999)


def stamped(cells: dict[bytes, bytes], stamp: int) -> rows.Cells:
    return {column: (value, stamp) for column, value in cells.items()}


def test_a_video_key_is_the_id_reversed_in_ten_digits() -> None:
    assert rows.video_key(123) == b"3210000000"
    assert rows.video_key(9_876_543_210) == b"0123456789"


@given(video_id=ids)
def test_video_keys_are_read_back(video_id: int) -> None:
    assert rows.video_id_of(rows.video_key(video_id)) == video_id


@given(video_id=ids, times=st.integers(0, 2**62), duration=st.integers(0, 2**62), stamp=st.integers(1, 2**63 - 1))
def test_video_cells_are_read_back(video_id: int, times: int, duration: int, stamp: int) -> None:
    cells = stamped(rows.video_cells(video_id, times, duration), stamp)
    assert rows.play_row(cells) == PlayRow(times, duration, stamp)


def test_video_cells_are_decimal_text() -> None:
    assert rows.video_cells(123, 4, 567) == {b"video:content_id": b"123", b"play:times": b"4", b"play:duration": b"567"}


@pytest.mark.parametrize("partition", [0, 3, 9999])
def test_partitions_are_read_back(partition: int) -> None:
    assert rows.partition_of(rows.partition_key(partition)) == partition
    assert rows.partition_of(rows.head_key("plays", "behavior.plays", partition)) == partition


def test_keys_of_checkpoints_can_be_read_by_a_person() -> None:
    assert rows.partition_key(3) == b"p0003"
    assert rows.head_key("plays", "behavior.plays", 3) == b"head/plays/behavior.plays/p0003"
    assert rows.part_key("plays", 3, "full") == b"part/plays/p0003/full"


def test_values_are_read_back() -> None:
    top = Top(((1, 5), (2, 4)), ((2, 60),))
    checkpoint = Checkpoint(epoch=2, next_offset=2**40, last_event_id="x", parts=("a", "b"))
    identity = Identity("cluster", "topic", 6)
    assert rows.decode_top(rows.encode_top(top)) == top
    assert rows.decode_checkpoint(rows.encode_checkpoint(checkpoint)) == checkpoint
    assert rows.decode_identity(rows.encode_identity(identity)) == identity


SIZES = [0, 1, rows.CHUNK_BYTES, rows.CHUNK_BYTES + 1, 3 * rows.CHUNK_BYTES]


@pytest.mark.parametrize("size", SIZES)
def test_a_part_is_cut_into_chunks_and_joined(size: int) -> None:
    content = bytes(range(251)) * (size // 251) + bytes(size % 251)
    cells = rows.part_cells(content)
    assert max(map(len, cells.values())) <= rows.CHUNK_BYTES
    assert rows.part_content(stamped(cells, 7)) == content


def test_an_absent_part_is_empty() -> None:
    assert rows.part_content({}) == b""


def test_chunks_of_an_older_and_longer_content_are_ignored() -> None:
    older, newer = rows.part_cells(b"o" * 2_500_000), rows.part_cells(b"n" * 1_200_000)
    assert rows.part_content({**stamped(older, 1), **stamped(newer, 2)}) == b"n" * 1_200_000


@pytest.mark.parametrize("column", [b"c:chunks", b"c:00000", b"c:00001"])
def test_a_mix_of_two_writes_is_torn(column: bytes) -> None:
    cells = stamped(rows.part_cells(b"n" * 1_200_000), 2)
    assert rows.part_content({**cells, column: (cells[column][0], 1)}) is None
    assert rows.part_content({c: cell for c, cell in cells.items() if c != column}) is None
