"""
Connections to HBase's Thrift 1 server, and the one place where its errors are translated.

A happybase connection is not thread-safe (a thread may get the answer to another's question), so one is lent to one
call at a time. The server closes what was idle for a minute, and a restart breaks every connection once; since all
that Playtrail sends may be sent twice, a broken call is repeated on a fresh connection.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

import happybase
import Hbase_thrift as thrift  # made by the import of happybase, which must come first
from thriftpy2.thrift import TException

from models.errors import Unavailable

__all__ = ["Client", "HBasePool", "ServerError", "text_of", "thrift"]

T = TypeVar("T")
Client: TypeAlias = Any
"""The Thrift client: the methods of HBase's Hbase.thrift; thriftpy2 makes it at run time, without types."""

_PAUSES: Final = (0.05, 0.25)
"""Seconds before the second and the third try."""
_ANSWERS: Final = (thrift.IOError, thrift.IllegalArgument, thrift.AlreadyExists)
"""Errors that the server sent: the connection is in order."""


class ServerError(Unavailable):
    """The server was reached and answered with an error, after whatever tries it made itself."""


class HBasePool:
    """
    Lends connections to one Thrift server; makes them when they are needed.

    Args:
        host, port: Where the server listens; IPv4, as happybase knows nothing else.
        timeout: Seconds to wait for a connection and for each answer.
    """

    def __init__(self, host: str, port: int, timeout: float = 5.0) -> None:
        self._host, self._port, self._timeout = host, port, timeout
        self._idle: deque[Any] = deque()

    def call(self, use: Callable[[Client], T]) -> T:
        """
        The result of ``use(client)``, which may run up to three times and must be harmless when it does.

        A call that took the whole time-out is not repeated: the caller has waited long enough.

        Raises ServerError or another Unavailable, with the first line of the reason.
        """
        give_up = time.monotonic() + self._timeout
        for pause in (*_PAUSES, None):
            try:
                return self._once(use)
            except _ANSWERS as error:
                raise ServerError("plays", self._reason(error)) from error
            except (TException, OSError) as error:
                self.close()  # the others are as old, and as broken after a restart
                if pause is None or time.monotonic() > give_up:
                    raise Unavailable("plays", self._reason(error)) from error
            time.sleep(pause)
        raise AssertionError  # the last pass returns or raises

    def close(self) -> None:
        """Close idle connections; those that are lent close when they break, or stay for the next call."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def _once(self, use: Callable[[Client], T]) -> T:
        connection = self._take()
        try:
            result = use(connection.client)
        except _ANSWERS:
            self._idle.append(connection)
            raise
        except BaseException:
            connection.close()  # an answer may still be under way
            raise
        self._idle.append(connection)
        return result

    def _take(self) -> Any:
        with suppress(IndexError):
            return self._idle.pop()
        connection = happybase.Connection(
            self._host,
            self._port,
            timeout=round(self._timeout * 1000),
            autoconnect=False,
            transport="buffered",
            protocol="binary",
        )
        connection.open()
        return connection

    def _reason(self, error: BaseException) -> str:
        """Where, and the first line of a Java stack or what Python says; 200 characters of it at most."""
        line = (text_of(error).strip().splitlines() or [type(error).__name__])[0]
        return f"HBase Thrift server {self._host}:{self._port}: {line[:200]}"


def text_of(error: BaseException) -> str:
    """What an error says; HBase's say it in bytes."""
    message = getattr(error, "message", None) or str(error)
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)
