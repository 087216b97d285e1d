"""The plays store in a SQLite file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from models.errors import Unavailable
from models.stores.plays_sqlite import SqlitePlays
from models.stores.port import PlayRow, stamp_of
from tests.contract.play_stores import Make, PlayStoresContract
from tests.contract.play_versions import PlayVersionsContract

WRITER = """
import sys
from pathlib import Path
from models.stores.plays_sqlite import SqlitePlays
from models.stores.port import stamp_of
store, me = SqlitePlays(Path(sys.argv[1])), int(sys.argv[2])
store.create()
for turn in range(1, 31):
    store.put(me, stamp_of(1, turn * 10 + me), {7: (turn, me), 100 + me: (turn, turn)}, None)
store.close()
"""
FILL = """
import resource, signal, sys
from pathlib import Path
from models.errors import Unavailable
from models.stores.plays_sqlite import SqlitePlays
store = SqlitePlays(Path(sys.argv[1]))
store.create()
store.put(0, 1, {1: (1, 1)}, None)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    for stamp in range(2, 100):
        store.put(0, stamp, {i: (stamp, stamp) for i in range(1, 2000)}, None)
except Unavailable as error:
    print(stamp, error)
"""


class TestSqlitePlays(PlayStoresContract, PlayVersionsContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        return lambda: SqlitePlays(tmp_path / "folder" / "plays.db")


def test_nothing_is_touched_before_use(tmp_path: Path) -> None:
    SqlitePlays(tmp_path / "folder" / "plays.db").close()
    assert not (tmp_path / "folder").exists()


def test_missing_tables_name_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"plays\.db: no such table: .*; `playtrail consume plays` creates"):
        SqlitePlays(tmp_path / "plays.db").rows([1])


def test_a_locked_file_is_unavailable_and_heals(tmp_path: Path) -> None:
    store = SqlitePlays(tmp_path / "plays.db", timeout=0.05)
    store.create()
    with closing(sqlite3.connect(tmp_path / "plays.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="database is locked"):
            store.put(0, 1, {1: (1, 1)}, None)
        assert store.rows([1]) == {}
    store.put(0, 1, {1: (1, 1)}, None)
    store.close()


def test_a_file_of_something_else_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "plays.db").write_bytes(b"not a database, but long enough to look like one " * 100)
    with pytest.raises(Unavailable, match="file is not a database"):
        SqlitePlays(tmp_path / "plays.db").create()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="File exists"):
        SqlitePlays(tmp_path / "file" / "plays.db").create()


def test_processes_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plays.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    store = SqlitePlays(path)
    last = {100 + me: PlayRow(30, 30, stamp_of(1, 300 + me)) for me in range(3)}
    assert store.rows([7, 100, 101, 102]) == {7: PlayRow(30, 2, stamp_of(1, 302)), **last}
    store.close()


def test_a_full_disk_is_unavailable_and_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "plays.db"
    done = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=True)
    failed, _, reason = done.stdout.partition(" ")
    assert reason.startswith("plays is unavailable: ")
    store = SqlitePlays(path)
    assert {row.stamp for row in store.rows(range(1, 2000)).values()} == {int(failed) - 1}
    store.put(0, 1000, {1: (5, 5)}, None)
    assert store.rows([1]) == {1: PlayRow(5, 5, 1000)}
    store.close()
