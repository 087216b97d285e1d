"""
The specification of the stores, cut by who calls them.

All methods block; every object is safe to use from several threads. Each method is atomic unless it says otherwise,
and raises Unavailable when the server is away or slow, with nothing changed.
An *epoch* numbers the logs that a projection has folded: a log that is re-created or re-partitioned starts a new one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from models.eventlog.port import Identity
from models.stores.deadletters import DeadLetter as DeadLetter  # of the port: steps bring letters along
from models.stores.deadletters import DeadLetters as DeadLetters
from models.stores.deadletters import Place as Place
from models.stores.deadletters import ViewLetters as ViewLetters
from models.stores.servers import About as About
from models.stores.servers import Tables as Tables

Kind: TypeAlias = Literal["like", "collect", "follow"]
"""The reactions; ``like`` and ``collect`` aim at a video, ``follow`` at a user."""
Pair: TypeAlias = tuple[int, int]
"""(user_id, target_id)"""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """
    How far a projection has folded one partition.

    Attributes:
        epoch: Which log.
        next_offset: The offset that is folded next.
        last_event_id: event_id of the record folded last; empty when none was, or when it was no event.
        parts: Names of the parts that hold the sessions, in the order to read them; plays only.
    """

    epoch: int
    next_offset: int
    last_event_id: str = ""
    parts: tuple[str, ...] = ()


class Advance(NamedTuple):
    """One step of a position in SQL: from ``expected`` to ``next_offset``, or Fenced."""

    projection: str
    topic: str
    partition: int
    epoch: int
    expected: int
    next_offset: int
    last_event_id: str


class PositionStore(ABC):
    """Where a projection stands; kept in the sink itself."""

    @abstractmethod
    def open(self, projection: str, topic: str, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        """
        The partition's checkpoint; on first sight one at ``earliest`` is stored, with the log's identity.

        Raises LogMismatch when the projection was folded from a log with another identity.
        """

    @abstractmethod
    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        """Every stored checkpoint of the projection by partition."""

    @abstractmethod
    def new_epoch(self, projection: str, topic: str, identity: Identity, starts: Mapping[int, int]) -> int:
        """Begin an epoch on a log with this identity, at these offsets by partition; returns its number."""


class Reaction(NamedTuple):
    """The newest word of one viewer on one target; ``status`` is 1 (on) or 0 (off)."""

    kind: Kind
    user_id: int
    target_id: int
    status: int
    event_id: str
    at_ms: int


class ReactionSink(PositionStore):
    """Materialises content_like, content_collect, user_follow and their counts."""

    @abstractmethod
    def apply_reactions(self, step: Advance, reactions: Sequence[Reaction], dead: Sequence[DeadLetter] = ()) -> None:
        """
        In one transaction: move the position, upsert the rows, change the counts, keep the dead letters.

        ``reactions`` has each (kind, user, target) once. A row changes only when the event_id is larger than the
        stored one. A count changes by what the row changed.

        Raises Fenced when the position is not at ``step.expected`` in ``step.epoch``; nothing was changed.
        """


class ViewSink(PositionStore):
    """Counts clicks into content_main."""

    @abstractmethod
    def apply_clicks(self, step: Advance, clicks: Mapping[int, int], dead: Sequence[DeadLetter] = ()) -> None:
        """In one transaction: move the position, add the clicks (by video id), keep the dead letters. Raises Fenced."""


class Film(Struct, frozen=True, kw_only=True):
    """A video to load: content_main's columns first, then ``facts`` for video_data by column name."""

    title: str
    id: int | None = None
    category: int = 1
    cover_url: str = ""
    video_url: str = ""
    duration: int = 0
    owner_id: int = 1
    status: int = 0
    audit_status: int = 0
    facts: dict[str, str] = {}


class Entry(NamedTuple):
    """What the gateway keeps in memory of every video."""

    id: int
    category: int
    owner_id: int
    status: int
    audit_status: int


class Video(NamedTuple):
    """One row of content_main; ``created_at`` is RFC 3339."""

    id: int
    title: str
    category: int
    cover_url: str
    video_url: str
    duration: int
    owner_id: int
    status: int
    audit_status: int
    clicks: int
    created_at: str


class Counts(NamedTuple):
    """How many viewers like and keep a video."""

    likes: int = 0
    collects: int = 0


class Catalogue(ABC):
    """The videos: content_main and video_data."""

    @abstractmethod
    def entries(self, after_id: int, limit: int) -> Sequence[Entry]:
        """The next ``limit`` videos with an id above ``after_id``, by id."""

    @abstractmethod
    def videos(self, ids: Collection[int]) -> Mapping[int, Video]:
        """Those of ``ids`` that exist, by id. Clicks are included."""

    @abstractmethod
    def rank(self, limit: int) -> Sequence[tuple[int, str]]:
        """(id, title) of the most clicked videos with status 0; ties by id."""

    @abstractmethod
    def load(self, films: Iterable[Film]) -> int:
        """
        Insert or update films; returns how many. Clicks are left alone.

        A film is known by its id; without one by title and category, and of several that share both (remakes) the n-th
        of this call is the n-th that is there.

        Atomic by batches of a few hundred, not as a whole; the same call again is harmless. Facts replace the video's
        row of video_data; a film without facts leaves it alone.
        """


class States(NamedTuple):
    statuses: Mapping[Kind, Mapping[Pair, int]]
    counts: Mapping[int, Counts]


class ReactionReader(ABC):
    """Reads what ReactionSink wrote."""

    @abstractmethod
    def states(self, pairs: Mapping[Kind, Collection[Pair]], ids: Collection[int]) -> States:
        """Statuses of the pairs, and counts by video id; what has no row is absent. One query."""

    def statuses(self, kind: Kind, pairs: Collection[Pair]) -> Mapping[Pair, int]:
        return self.states({kind: pairs}, ()).statuses[kind]

    def counts(self, ids: Collection[int]) -> Mapping[int, Counts]:
        return self.states({}, ids).counts


class PlayRow(NamedTuple):
    """One video's aggregate. ``stamp`` is ``epoch << 48 | next_offset`` of the batch that wrote it."""

    times: int
    duration: int
    stamp: int


class Top(Struct, frozen=True, array_like=True):
    """One partition's best: (video id, value) pairs, largest first, ties by id."""

    by_times: tuple[tuple[int, int], ...] = ()
    by_duration: tuple[tuple[int, int], ...] = ()


class PlayStore(PositionStore):
    """
    Play aggregates, the top lists and the checkpoints of the plays projection.

    The store keeps, for every row and part, the content with the largest stamp ever written: a later write with a
    smaller one is invisible. There are no transactions: the order of the caller's calls is what keeps it right.
    """

    @abstractmethod
    def rows(self, ids: Collection[int]) -> Mapping[int, PlayRow]:
        """Those of ``ids`` that have a row, by video id."""

    @abstractmethod
    def put(self, partition: int, stamp: int, rows: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        """
        Write rows (times, duration by video id), all of them durable, and then the partition's top list, if given.

        Not atomic: after Unavailable some of the rows may be written. The same call again is harmless.
        """

    @abstractmethod
    def tops(self) -> Mapping[int, Top]:
        """The top list of every partition that has one. One read, whatever the number of videos."""

    @abstractmethod
    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        """
        Write ``content`` as the part ``part``, and then the checkpoint; both with the checkpoint's stamp.

        Raises Fenced when the store has a checkpoint with a larger stamp.
        """

    @abstractmethod
    def parts(self, projection: str, partition: int, names: Sequence[str]) -> Sequence[bytes]:
        """The content of parts, in the order of ``names``; an absent one is empty."""

    def pinned(self) -> PlayStore:
        """The store of the version that is active now: ``put`` and ``save`` raise Fenced once another is."""
        return self


def stamp_of(epoch: int, next_offset: int) -> int:
    """The cell timestamp of a batch: larger for a later batch, and for any batch of a later epoch."""
    return epoch << 48 | next_offset


class SqlStores(ReactionSink, ViewSink, DeadLetters, ViewLetters, Catalogue, ReactionReader, Tables):
    """Everything that lives in SQL, behind one URL."""


class PlayStores(PlayStore, Tables):
    """Everything that lives in HBase, or the SQLite file in its place."""
