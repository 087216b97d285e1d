"""The plays store in a real HBase."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import happybase
import pytest

from models.errors import Refused, Unavailable
from models.stores.plays_hbase import PART_BYTES, HBasePlays
from models.stores.port import PlayRow, Top, stamp_of
from tests.contract.play_stores import LOG, NEW, OLD, TOPIC, Make, P, PlayStoresContract, at
from tests.contract.play_versions import PlayVersionsContract

pytestmark = pytest.mark.real


class TestHBasePlays(PlayStoresContract, PlayVersionsContract):
    @pytest.fixture
    def make(self, hbase_url: str) -> Make:
        return lambda: HBasePlays(hbase_url)


@pytest.fixture
def store(hbase_url: str) -> Iterator[HBasePlays]:
    with closing(HBasePlays(hbase_url)) as store:
        store.create()
        yield store


@pytest.fixture
def raw(hbase_url: str) -> Iterator[Any]:
    """What an HBase shell would see: a connection of happybase itself, with the same prefix."""
    parts = urlsplit(hbase_url)
    prefix = parts.query.partition("=")[2]
    with closing(happybase.Connection(parts.hostname, parts.port, timeout=10_000, table_prefix=prefix)) as connection:
        yield connection


class Proxy:
    """Forwards to a server, until told to cut the connections that there are, or to swallow what it gets."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server, self._sockets = server, list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted, self.frozen = 0, False
        self._start(self._accept)

    def cut(self) -> None:
        while self._sockets:
            with suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._server)
                self.accepted += 1
                self._sockets += [client, server]
                self._start(self._forward, client, server)
                self._start(self._forward, server, client)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with source, suppress(OSError):
            while data := source.recv(65_536):
                if not self.frozen:
                    target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _start(work: Any, *args: socket.socket) -> None:
        threading.Thread(target=work, args=args, daemon=True).start()


@pytest.fixture
def proxy(hbase_url: str) -> Iterator[Proxy]:
    parts = urlsplit(hbase_url)
    with closing(Proxy((parts.hostname or "", parts.port or 0))) as proxy:
        yield proxy


def through(proxy: Proxy, hbase_url: str, timeout: float = 10.0) -> HBasePlays:
    return HBasePlays(f"hbase://127.0.0.1:{proxy.port}?{urlsplit(hbase_url).query}", timeout)


# What a shell sees


def test_a_video_row_is_readable_in_the_shell(store: HBasePlays, raw: Any) -> None:
    store.put(3, NEW, {123: (4, 567)}, None)
    assert raw.table("video").row(b"3210000000", include_timestamp=True) == {
        b"video:content_id": (b"123", NEW),
        b"play:times": (b"4", NEW),
        b"play:duration": (b"567", NEW),
    }


def test_top_and_checkpoint_are_readable_in_the_shell(store: HBasePlays, raw: Any) -> None:
    store.put(3, NEW, {}, Top(((123, 4),), ((123, 567),)))
    store.open(P, TOPIC, 3, LOG, 42)
    assert raw.table("video_top").row(b"p0003") == {b"top:list": b"[[[123,4]],[[123,567]]]"}
    assert raw.table("plays_checkpoint").row(b"head/plays/behavior.plays/p0003", include_timestamp=True) == {
        b"c:checkpoint": (b'{"epoch":1,"next_offset":42,"last_event_id":"","parts":[]}', stamp_of(1, 42)),
        b"c:identity": (b'{"cluster":"cluster","topic":"topic-1","partitions":4}', stamp_of(1, 42)),
    }


def test_families_keep_one_version_for_ever(store: HBasePlays, raw: Any) -> None:
    families = {**raw.table("video").families(), **raw.table("video_top").families()}
    assert sorted(families) == [b"play", b"top", b"video"]
    assert {family["max_versions"] for family in families.values()} == {1}
    assert {family["time_to_live"] for family in families.values()} <= {-1, 2**31 - 1}


def test_a_put_without_a_stamp_of_ours_is_covered(store: HBasePlays, raw: Any) -> None:
    raw.table("video").put(b"3210000000", {b"play:times": b"99"})
    assert store.rows([123]) == {}
    store.put(0, OLD, {123: (1, 2)}, None)
    raw.table("video").put(b"3210000000", {b"play:times": b"99"})
    assert store.rows([123]) == {123: PlayRow(1, 2, OLD)}


# Parts


def test_a_torn_part_is_never_read(store: HBasePlays, raw: Any) -> None:
    store.open(P, TOPIC, 0, LOG, 0)
    store.save(P, TOPIC, 0, at(100, 1, "full"), "full", b"x" * 2_500_000)
    raw.table("plays_checkpoint").put(b"part/plays/p0000/full", {b"c:00001": b"y"}, timestamp=stamp_of(1, 101))
    with pytest.raises(Unavailable, match="part/plays/p0000/full of plays_checkpoint is torn"):
        store.parts(P, 0, ["full"])
    store.save(P, TOPIC, 0, at(102, 1, "full"), "full", b"x" * 1_500_000)
    assert store.parts(P, 0, ["full"]) == [b"x" * 1_500_000]


def test_a_part_that_is_too_large_is_refused(store: HBasePlays) -> None:
    before = store.open(P, TOPIC, 0, LOG, 0)
    with pytest.raises(Refused, match="part full is '64000001 bytes'"):
        store.save(P, TOPIC, 0, at(100, 1, "full"), "full", bytes(PART_BYTES + 1))
    assert store.positions(P, TOPIC) == {0: before}


# Failures


def test_connections_closed_by_the_server_heal(store: HBasePlays, proxy: Proxy, hbase_url: str) -> None:
    with closing(through(proxy, hbase_url)) as mine:
        for turn in range(1, 4):
            mine.put(0, turn, {i: (turn, turn) for i in range(1, 2501)}, Top(((1, turn),)))
            proxy.cut()
            assert mine.rows([2500]) == {2500: PlayRow(turn, turn, turn)}
            proxy.cut()
        assert mine.tops() == {0: Top(((1, 3),))}
    assert proxy.accepted >= 7


def test_connections_are_used_again(store: HBasePlays, proxy: Proxy, hbase_url: str) -> None:
    with closing(through(proxy, hbase_url)) as mine:
        for turn in range(20):
            mine.rows([turn + 1])
            mine.tops()
    assert proxy.accepted == 1


def test_a_server_that_does_not_answer_is_unavailable(store: HBasePlays, proxy: Proxy, hbase_url: str) -> None:
    with closing(through(proxy, hbase_url, timeout=0.2)) as mine:
        proxy.frozen = True
        with pytest.raises(Unavailable, match="timed out"):
            mine.rows([1])
        assert proxy.accepted == 1
    proxy.frozen = False
    with closing(through(proxy, hbase_url)) as mine:
        assert mine.rows([1]) == {}


def test_a_server_that_is_away_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    away = HBasePlays(f"hbase://127.0.0.1:{port}")
    for call in (away.ping, away.create, away.tops, lambda: away.rows([1]), lambda: away.put(0, 1, {1: (1, 1)}, None)):
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}: Could not connect") as raised:
            call()
        assert "\n" not in str(raised.value)


def test_missing_tables_name_the_command_that_makes_them(hbase_url: str) -> None:
    with closing(HBasePlays(hbase_url)) as store:
        store.ping()
        for call in (store.tops, lambda: store.rows([1]), lambda: store.put(0, 1, {1: (1, 1)}, None)):
            with pytest.raises(Unavailable, match=r"has no table .*; `playtrail consume plays` creates it"):
                call()


def test_an_error_of_the_server_is_one_line(hbase_url: str, raw: Any) -> None:
    raw.create_table("video_top", {"other": {}})
    with closing(HBasePlays(hbase_url)) as store:
        store.create()  # which leaves the table that is there as it is
        with pytest.raises(Unavailable, match="NoSuchColumnFamilyException") as raised:
            store.tops()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300
