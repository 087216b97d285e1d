"""The errors of Playtrail, sorted by what the caller should do.

    PlaytrailError
    ├── Refused              the input is wrong: say which field, which value, what is allowed; do not retry
    │   ├── InvalidSetting   a setting or flag; stops the start
    │   ├── InvalidTopics    topics.yaml; stops the start
    │   └── PoisonRecord     a record of the log that is no event: put it aside as a dead letter
    ├── Unavailable          a server is away or full; nothing was changed: retry later
    ├── OutcomeUnknown       an append may or may not be in the log: send it again with the same event_id
    ├── Fenced               another owner moved this partition on: let go of it
    └── LogMismatch          the log is not the one that was folded: stop until an operator decides

Driver exceptions are translated into these at one place per adapter, with ``from``.
"""

from __future__ import annotations


class PlaytrailError(Exception):
    """Root of everything that Playtrail raises on purpose; its text is one line for a person."""


class Refused(PlaytrailError):  # noqa: N818 -- the tree is named by decisions, not by the suffix Error
    """
    Input that cannot be used, now or later.

    Attributes:
        field: Name of the offending field, setting or file.
        value: What was found, as given. Must not be a secret: it is shown.
        allowed: What would have been accepted, for a person.
        where: For a file, where in it: ``line 3``; otherwise empty.
    """

    def __init__(self, field: str, value: object, allowed: str, where: str = "") -> None:
        self.field, self.value, self.allowed, self.where = field, value, allowed, where
        shown = repr(value)
        shown = shown if len(shown) <= 120 else shown[:117] + "..."
        super().__init__(f"{where + ': ' if where else ''}{field} is {shown}; allowed: {allowed}")


class InvalidSetting(Refused):
    """A setting that stops the start."""


class InvalidTopics(Refused):
    """A topics.yaml that stops the start."""


class PoisonRecord(Refused):
    """A record that no projection can fold; ``str()`` is the reason kept with the dead letter."""


class Unavailable(PlaytrailError):  # noqa: N818
    """
    A server is away, slow or full; the call changed nothing.

    Attributes:
        part: Which one: ``log``, ``spool``, ``sql`` or ``plays``.
        retry_after: Seconds after which another try makes sense.
    """

    def __init__(self, part: str, reason: str, retry_after: float = 1.0) -> None:
        self.part, self.reason, self.retry_after = part, reason, retry_after
        super().__init__(f"{part} is unavailable: {reason}")


class OutcomeUnknown(PlaytrailError):  # noqa: N818
    """An append was sent and not answered in time; the log may have it, now or in a moment."""


class Fenced(PlaytrailError):  # noqa: N818
    """The sink's position is not where this owner left it: another consumer owns the partition now."""


class LogMismatch(PlaytrailError):  # noqa: N818
    """
    The log does not continue where the read model stands: re-created, truncated or re-partitioned.

    The text says what differs and names the command that continues.
    """
