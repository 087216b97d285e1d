"""The events of the log, as msgspec Structs: one class per event name, one union per topic.

A record's value is one JSON object; ``event`` tags the union. Every event carries the fields of the warning
log that it replaces (user_id, url, method, msg, event) and what makes it foldable (event_id, occurred_at, schema).
Readers ignore fields that they do not know, so that a newer writer does not break them.
"""

from __future__ import annotations

import random
import secrets
import threading
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from models.clock import Clock, SystemClock
from models.errors import PoisonRecord
from models.upcast import upcast

SCHEMA: Final = 1
VIEWS: Final = "behavior.views"
REACTIONS: Final = "behavior.reactions"
PLAYS: Final = "behavior.plays"
DEAD: Final = "behavior.dead"

Id: TypeAlias = Annotated[int, Meta(ge=1, le=9_999_999_999, description="A video's or user's id")]
Uuid: TypeAlias = Annotated[str, Meta(min_length=36, max_length=36)]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=604_800, description="Whole seconds, at most a week")]


class Event(Struct, frozen=True, kw_only=True, tag_field="event", gc=False):
    """
    What every event has.

    Attributes:
        event_id: UUIDv7, lower case; its text order is the order of time.
        occurred_at: RFC 3339, UTC, milliseconds.
        schema: Version of this structure.
        user_id: The viewer, or None for a guest.
        url, method, msg: As in the warning log: path of the request, lower-case method, what happened.
    """

    event_id: Uuid
    occurred_at: Annotated[str, Meta(min_length=24, max_length=24)]
    schema: Annotated[int, Meta(ge=1)] = SCHEMA
    user_id: Id | None
    url: Annotated[str, Meta(max_length=2048)]
    method: Annotated[str, Meta(max_length=16)]
    msg: Annotated[str, Meta(max_length=256)]


class Hot(Event, frozen=True, kw_only=True, tag="hot", gc=False):
    """The hot list was opened; ``video_ids`` is what it showed."""

    video_ids: list[Id]


class Detail(Event, frozen=True, kw_only=True, tag="detail", gc=False):
    """A video's page was opened: one click."""

    video_id: Id


class VideoReaction(Event, frozen=True, kw_only=True, gc=False):
    """A logged-in viewer's standing towards a video changed."""

    user_id: Id
    video_id: Id


class Like(VideoReaction, frozen=True, kw_only=True, tag="like", gc=False):
    """The viewer likes the video."""


class NoLike(VideoReaction, frozen=True, kw_only=True, tag="no_like", gc=False):
    """The viewer took the like back."""


class Collect(VideoReaction, frozen=True, kw_only=True, tag="collect", gc=False):
    """The viewer keeps the video in the collection."""


class NoCollect(VideoReaction, frozen=True, kw_only=True, tag="no_collect", gc=False):
    """The viewer took the video out of the collection."""


class Follow(VideoReaction, frozen=True, kw_only=True, tag="follow", gc=False):
    """The viewer follows the owner of the video."""

    followee_id: Id


class NoFollow(VideoReaction, frozen=True, kw_only=True, tag="no_follow", gc=False):
    """The viewer no longer follows the owner of the video."""

    followee_id: Id


class Play(Event, frozen=True, kw_only=True, gc=False):
    """
    One heartbeat of a play session.

    Attributes:
        session: UUID that the player made for one playback of one video.
        seq: 0, 1, 2 and so on within the session.
        play_time: Seconds watched so far in this session. Cumulative, so that a lost, repeated or reordered
            heartbeat costs nothing.
        cur_time: Position of the playhead in seconds, or None when the player did not say.
    """

    video_id: Id
    session: Uuid
    seq: Annotated[int, Meta(ge=0, le=2_147_483_647)]
    play_time: Seconds
    cur_time: Annotated[float, Meta(ge=0, le=604_800)] | None = None


class Start(Play, frozen=True, kw_only=True, tag="start", gc=False):
    """The playback began."""


class Ping(Play, frozen=True, kw_only=True, tag="ping", gc=False):
    """The playback goes on."""


class Stop(Play, frozen=True, kw_only=True, tag="stop", gc=False):
    """The playback paused, or the page was hidden or left."""


class End(Play, frozen=True, kw_only=True, tag="end", gc=False):
    """The video was watched to its end."""


AnyView: TypeAlias = Hot | Detail
AnyReaction: TypeAlias = Like | NoLike | Collect | NoCollect | Follow | NoFollow
AnyPlay: TypeAlias = Start | Ping | Stop | End
AnyEvent: TypeAlias = AnyView | AnyReaction | AnyPlay

BY_TOPIC: Final[dict[str, tuple[type[Event], ...]]] = {
    VIEWS: (Hot, Detail),
    REACTIONS: (Like, NoLike, Collect, NoCollect, Follow, NoFollow),
    PLAYS: (Start, Ping, Stop, End),
}
"""The classes of each topic; topics.yaml names their tags, and a test compares the two."""

KEYS: Final = {VIEWS: "user_id, random for guests", REACTIONS: "user_id", PLAYS: "video_id", DEAD: "as it was"}
"""What the key of each topic is made of: ``key_of`` in the words of topics.yaml."""

_E = TypeVar("_E", bound=Event)
_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""``encode(event) -> bytes``: the JSON of a record's value."""

_views: msgspec.json.Decoder[AnyView] = msgspec.json.Decoder(AnyView)
_reactions: msgspec.json.Decoder[AnyReaction] = msgspec.json.Decoder(AnyReaction)
_plays: msgspec.json.Decoder[AnyPlay] = msgspec.json.Decoder(AnyPlay)

NEWEST: Final[dict[str, msgspec.json.Decoder[Any]]] = {VIEWS: _views, REACTIONS: _reactions, PLAYS: _plays}
"""By topic, what reads the newest version alone, quickly; what it refuses, the functions below look at again."""


# Beside what does not fit: a record without a value, and JSON nested thousands deep.
_UNREADABLE = (ValueError, TypeError, RecursionError)


def decode_view(value: bytes) -> AnyView:
    """The event in a record of behavior.views, of any version of the schema; raises PoisonRecord."""
    return _newest(_views, value)


def decode_reaction(value: bytes) -> AnyReaction:
    """The event in a record of behavior.reactions, of any version of the schema; raises PoisonRecord."""
    return _newest(_reactions, value)


def decode_play(value: bytes) -> AnyPlay:
    """The event in a record of behavior.plays, of any version of the schema; raises PoisonRecord."""
    return _newest(_plays, value)


def decode(topic: str, value: bytes) -> Event:
    """The event in a record of any topic that has events; raises PoisonRecord."""
    event: Event = _newest(NEWEST[topic], value)
    return event


def _newest(decoder: msgspec.json.Decoder[_E], value: bytes) -> _E:
    try:
        event = decoder.decode(value)
    except _UNREADABLE as error:
        return _brought_up(decoder, value, error)
    return event if event.schema >= SCHEMA else _brought_up(decoder, value, ValueError("no step reads its schema"))


def _brought_up(decoder: msgspec.json.Decoder[_E], value: bytes, failure: Exception) -> _E:
    """The event that an older version means; ``failure`` is why it could not be read as the newest."""
    newer = upcast(value, SCHEMA)
    if newer is None:
        raise _poison(value, failure) from failure
    try:
        return decoder.decode(newer)
    except _UNREADABLE as error:
        raise _poison(value, error) from error


def _poison(value: bytes | None, error: Exception) -> PoisonRecord:
    return PoisonRecord("value", value and value[:80], f"an event of this topic ({error})")


def name_of(event: type[Event] | Event) -> str:
    """The wire name of an event or its class: ``no_like`` for NoLike."""
    return str(event.__struct_config__.tag)


_TYPES: Final = {kind: b"playtrail." + name_of(kind).encode() for kinds in BY_TOPIC.values() for kind in kinds}


def headers_of(event: Event) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0, binary mode: the attributes that Kafka tools can filter by without reading the value."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.event_id.encode()),
        ("ce_type", _TYPES[type(event)]),
        ("ce_source", event.url.encode()),
        ("ce_time", event.occurred_at.encode()),
        ("content-type", b"application/json"),
    ]


def key_of(event: Event) -> bytes:
    """
    The record key: the video of a play, the user of anything else, decimal text.

    A guest's view gets a random key: nothing is folded per guest, and one key for all would fill one partition.
    """
    if isinstance(event, Play):
        return b"%d" % event.video_id
    return b"%d" % event.user_id if event.user_id is not None else secrets.token_hex(8).encode()


def rfc3339(ms: int) -> str:
    """``2026-11-24T06:30:00.123Z`` for milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


class EventIds:
    """
    Makes UUIDv7 (RFC 9562, section 5.7; monotonic by method 1, a counter in rand_a).

    Ids of one instance ascend strictly even within a millisecond and when the clock steps back, since the newest
    event_id wins in the reactions read model.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._ms, self._count, self._prefix = 0, 0, ""
        # Seeded by the system once: an id must be unique, not secret, and asking the system each time costs 3 µs.
        self._random = random.Random()  # noqa: S311

    def next(self) -> tuple[str, int]:
        """A new id, and the milliseconds in it."""
        with self._lock:
            now = self._clock.now_ms()
            if now > self._ms or self._count == 0xFFF:
                self._begin(max(now, self._ms + 1))
            else:
                self._count += 1
            ms, count, prefix = self._ms, self._count, self._prefix
        tail = self._random.getrandbits(62)
        return f"{prefix}{count:03x}-{0x8000 | tail >> 48:x}-{tail & 0xFFFF_FFFF_FFFF:012x}", ms

    def _begin(self, ms: int) -> None:
        """The first id of a millisecond; what its ids begin with is kept, since a busy one has ten."""
        self._ms, self._count, self._prefix = ms, 0, f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7"
