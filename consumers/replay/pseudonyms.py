"""
A keyed hash in the place of what names a person.

The same person has the same pseudonym in every topic, field and record key, as long as the key is the same; without
the key nobody can go from one to the other, not even by trying all ten digits of a user id. Forgetting the key makes an
export anonymous as far as its fields go; what a viewer did is of course still there.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from models.errors import Refused
from models.topics import Topic

LEAST: Final = 32
"""Bytes of a key."""

DIGITS: Final = 32
"""Hexadecimal digits of a pseudonym: 128 bits, of which no two persons ever share one."""

REMEMBERED: Final = 100_000
"""Pseudonyms kept, since the same viewers come again and again."""

HEADERS: Final = frozenset({"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"})
"""The headers that our own writer sets; none names a person, and what others set is left out."""


class Pseudonyms:
    """
    The pseudonyms of one key for one topic.

    Attributes:
        fields: The fields that topics.yaml marks as personal.
        id: Tells keys apart and gives none away: two exports with the same id can be joined.
    """

    def __init__(self, key: bytes, topic: Topic) -> None:
        if not topic.events:
            raise Refused("--pseudonymise", topic.name, "topics of events: what others hold may name anybody, anywhere")
        self._key = key
        self._seen: dict[Any, str] = {}
        self.fields = frozenset(topic.personal)
        self.id = self.of("playtrail: the id of this key")[:8]
        self._keyed = any(word in self.fields for word in re.findall(r"\w+", topic.key))

    def of(self, value: Any) -> str:
        """HMAC-SHA256 (RFC 2104) of the value's text, cut to 128 bits, hexadecimal."""
        found = self._seen.get(value)
        if found is None:
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            found = hmac.digest(self._key, str(value).encode(), "sha256").hex()[:DIGITS]
            self._seen[value] = found
        return found

    def hides(self, name: str) -> Callable[[Any], Any] | None:
        """What to do with a field's value, or None when it may stay as it is."""
        if name in self.fields or (name == "key" and self._keyed):
            return lambda value: None if value is None else self.of(value)
        return _ours if name == "headers" else None


def _ours(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name in HEADERS}


def read_key(path: Path) -> bytes:
    """The key in a file, white space around it left out; raises Refused."""
    allowed = f"a file with {LEAST} bytes or more; `openssl rand -hex 32 > FILE` makes one"
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise Refused("--pseudonymise-key", str(path), f"{allowed} ({error.strerror})") from error
    if len(key) < LEAST:
        raise Refused("--pseudonymise-key", f"{path} ({len(key)} bytes)", allowed)
    return key
