"""What is asked for: which events of which topic, shown how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consumers.replay.expression import Predicate
from consumers.replay.fields import checked
from consumers.replay.filters import wanted
from consumers.replay.formats import Selection
from consumers.replay.pseudonyms import Pseudonyms
from consumers.replay.ranges import Pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    Everything about a replay but its time and place.

    Attributes:
        topic: Its name.
        events, users, videos, where: See ``filters.wanted``.
        fields: The fields to show; None: all.
        limit: How many events at most.
        pseudonyms: When nobody is to be named.
    """

    topic: str
    events: tuple[str, ...] = ()
    users: tuple[int, ...] = ()
    videos: tuple[int, ...] = ()
    where: str | None = None
    fields: tuple[str, ...] | None = None
    limit: int | None = None
    pseudonyms: Pseudonyms | None = None

    def selection(self) -> Selection:
        """Raises Refused for a field that the topic does not have."""
        fields = self.fields if self.fields is None else checked("--fields", self.fields, self.topic)
        return Selection(self.topic, fields, self.pseudonyms)

    def wanted(self, pinned: Pinned | None = None) -> Predicate | None:
        """Which events, within the times of the pinned range; raises Refused."""
        since, until = (pinned.since, pinned.until) if pinned else (None, None)
        return wanted(self.topic, self.events, self.users, self.videos, self.where, since, until)

    def as_json(self) -> dict[str, Any]:
        """For the manifest. Filters may name persons, so they are hidden as the persons are."""
        hide = self.pseudonyms.of if self.pseudonyms else None
        return {
            "events": self.events,
            "users": [hide(user) if hide else user for user in self.users],
            "videos": self.videos,
            "where": hide(self.where) if hide and self.where is not None else self.where,
            "fields": self.fields,
            "limit": self.limit,
            "pseudonymised": None
            if self.pseudonyms is None
            else {"key": self.pseudonyms.id, "fields": sorted(self.pseudonyms.fields)},
        }
