"""What viewers do: a plan of records from a seed, with repeats, late ones, idle times, and what is no event."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Final

from models import events
from models.eventlog.port import Message

HOUR: Final = 3_600_000
BEGIN: Final = 1_700_000_000_000
POISON: Final = ("poison", b"1")

SIZES: Final = (8, 15, 25, 40, 60, 120)


def plan(rng: random.Random, topic: str) -> list[Message]:
    """The records in the order in which the gateway sends them."""
    made = Maker(rng).many(topic, rng.choice(SIZES))
    repeats, late = rng.choice((0.0, 0.05, 0.3)), rng.choice((0.0, 0.1, 0.4))
    ordered: list[tuple[float, Message]] = []
    for number, message in enumerate(made):
        ordered.append((number + (rng.uniform(0, 8) if rng.random() < late else 0), message))
        if rng.random() < repeats:
            ordered.append((number + rng.uniform(0, 20), message))
    return [message for _, message in sorted(ordered, key=lambda pair: pair[0])]


class Maker:
    """Makes events of few viewers, videos and sessions, so that they meet."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._now = BEGIN
        # Sessions are forgotten after a day or more: where that is near, a repeated or a skipped record shows.
        long = (0, 1_000, HOUR * 7, rng.choice((HOUR * 7, HOUR * 13, HOUR * 31)))
        self._idle = rng.choice(((0, 1_000, 30_000), (0, 1_000, HOUR, HOUR * 8), long, long))
        self._poison = rng.choice((0.0, 0.03, 0.15))
        self._users, self._videos = rng.randint(1, 9), rng.choice((1, 3, 8, 40))
        sessions = rng.choice((1, 2, 3, 8, 25))  # few, so that each is forgotten and comes back
        self._sessions = [(str(uuid.UUID(int=n + 1)), rng.randint(1, self._videos)) for n in range(sessions)]
        self._number = 0

    def many(self, topic: str, size: int) -> list[Message]:
        """Messages of one topic."""
        make = {events.REACTIONS: self._reaction, events.VIEWS: self._view, events.PLAYS: self._play}[topic]
        return [self._one(topic, make) for _ in range(size)]

    def _one(self, topic: str, make: Callable[[], events.Event]) -> Message:
        self._now += self._rng.choice(self._idle)
        self._number += 1
        event = make()
        late = self._rng.choice((0, 0, 0, 0, 5_000, HOUR * 7))
        message = Message(topic, events.key_of(event), events.encode(event), (), self._now - late)
        return self._spoiled(message, topic) if self._rng.random() < self._poison else message

    def _spoiled(self, message: Message, topic: str) -> Message:
        """The same record, but none that a projection can fold."""
        other = self._reaction() if topic == events.VIEWS else self._view()
        odd = self._odd(self._play()) if topic == events.PLAYS else self._odd(self._reaction())
        values = (b"", b"no event", message.value[:-1], events.encode(other), odd, b"[" * 5_000)
        return message._replace(value=self._rng.choice(values), headers=(POISON,))

    def _odd(self, event: events.Event) -> bytes:
        """An event that can be decoded, but whose ids cannot be stored."""
        if isinstance(event, events.Play) and self._rng.random() < 0.5:
            return events.encode(event).replace(event.session.encode(), b"x" * 36)
        return events.encode(event).replace(event.event_id.encode(), "\u00e9".encode() * 36)

    def _common(self, user: int | None) -> dict[str, object]:
        # Now and then an id that was used already, by another event.
        number = self._rng.randint(1, self._number) if self._rng.random() < 0.03 else self._number
        at = {"event_id": f"01890000-0000-7000-8000-{number:012x}", "occurred_at": "2026-11-24T06:30:00.123Z"}
        return {**at, "user_id": user, "url": "/test", "method": "post", "msg": "test"}

    def _reaction(self) -> events.Event:
        kind = self._rng.choice(events.BY_TOPIC[events.REACTIONS])
        fields = self._common(self._rng.randint(1, self._users)) | {"video_id": self._rng.randint(1, self._videos)}
        if kind in (events.Follow, events.NoFollow):
            fields["followee_id"] = self._rng.randint(1, 3)
        return kind(**fields)  # type: ignore[arg-type]  # the fields of any event

    def _view(self) -> events.Event:
        video, fields = self._rng.randint(1, self._videos), self._common(self._rng.randint(1, self._users))
        if self._rng.random() < 0.2:
            return events.Hot(video_ids=[video], **fields)  # type: ignore[arg-type]  # the fields of any event
        return events.Detail(video_id=video, **fields)  # type: ignore[arg-type]  # the fields of any event

    def _play(self) -> events.Event:
        session, video = self._rng.choice(self._sessions)
        if self._rng.random() < 0.05:
            video = self._rng.randint(1, self._videos)  # a player that says another video for its session
        kind = self._rng.choice(events.BY_TOPIC[events.PLAYS])
        seconds = self._rng.choice((0, 5, 10, 300, self._rng.randint(0, 600)))
        fields = self._common(None) | {"session": session, "video_id": video, "seq": 0, "play_time": seconds}
        return kind(**fields)  # type: ignore[arg-type]  # the fields of any event
