"""
Bodies: read under a limit of size and of time, and parsed into Structs.

The kind is told by the first byte, never by Content-Type alone: sendBeacon sends JSON as text/plain. The
``description`` of a field is what an error names as allowed, and what OpenAPI shows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, Literal, TypeVar
from urllib.parse import parse_qs

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.envelope import bad_field
from models.errors import Refused

MAX_BYTES: Final = 64 * 1024
SECONDS: Final = 5.0
MAX_FIELDS: Final = 64
KINDS: Final = "a URL-encoded form or a JSON object"

Switch = Annotated[int, Meta(ge=0, le=1, description="1 (on) or 0 (off)")]


class LikeBody(Struct, frozen=True, gc=False):
    """Body of POST /video/like/ID."""

    like: Switch

    @property
    def on(self) -> int:
        return self.like


class CollectBody(Struct, frozen=True, gc=False):
    """Body of POST /video/collect/ID."""

    collect: Switch

    @property
    def on(self) -> int:
        return self.collect


class FollowBody(Struct, frozen=True, gc=False):
    """Body of POST /video/follow/ID."""

    follow: Switch

    @property
    def on(self) -> int:
        return self.follow


_WEEK: Final = "a number of seconds, 0 to 604800"
_UUID: Final = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"


class PlayBody(Struct, frozen=True, gc=False):
    """Body of POST /video/play/ID: one heartbeat of a play session."""

    type: Annotated[Literal["start", "ping", "stop", "end"], Meta(description="start, ping, stop or end")]
    session: Annotated[
        str, Meta(pattern=_UUID, max_length=36, description="a UUID that the player makes for one playback")
    ]
    seq: Annotated[int, Meta(ge=0, le=2_147_483_647, description="a whole number, 0, 1, 2 and so on in the session")]
    play_time: Annotated[
        float, Meta(ge=0, le=604_800, description=f"{_WEEK}, watched so far in the session (cumulative)")
    ]
    cur_time: Annotated[
        Annotated[float, Meta(ge=0, le=604_800)] | None, Meta(description=f"{_WEEK}: the playhead; or left out")
    ] = None


B = TypeVar("B", bound=Struct)


class Body(Generic[B]):
    """Parses bodies into one Struct."""

    def __init__(self, struct: type[B], usual: Mapping[bytes, B] | None = None) -> None:
        """``usual``: bodies that nearly everyone sends; looked up, since parsing a form costs 4 µs."""
        self.struct = struct
        self._usual = usual or {}
        self._json = msgspec.json.Decoder(struct, strict=False)
        self._allowed = {f.name: _description(f.type) for f in msgspec.structs.fields(struct)}

    async def read(self, request: web.Request) -> B:
        """The request's body; raises HttpError 400, HTTPRequestEntityTooLarge."""
        return self.parse(await read(request))

    def parse(self, body: bytes) -> B:
        """The body as the Struct; raises HttpError 400 that names the field."""
        usual = self._usual.get(body)
        if usual is not None:
            return usual
        is_json = body.lstrip()[:1] == b"{"
        try:
            if is_json:
                return self._json.decode(body)
            return msgspec.convert(_form(body), self.struct, strict=False)
        except msgspec.ValidationError as error:
            raise self._bad_field(body, is_json, str(error)) from error
        except (ValueError, RecursionError) as error:
            raise bad_field("body", body[:80], f"{KINDS}: {error}") from error

    def _bad_field(self, body: bytes, is_json: bool, reason: str) -> Exception:
        """400 for a body that is well formed; msgspec names the field in its text only."""
        found = re.search(r"`\$\.(\w+)|required field `(\w+)`", reason)
        field = (found.group(1) or found.group(2)) if found else ""
        if field not in self._allowed:
            return bad_field("body", body[:80], f"{KINDS}: {reason}")
        return bad_field(field, _value(body, is_json, field), self._allowed[field])


async def read(request: web.Request) -> bytes:
    """The raw body; raises HttpError 400 when it does not come within five seconds or cannot be unpacked."""
    content = request.content
    try:
        if content.is_eof():  # it came with the headers: nothing to wait for; request.read() costs 2 µs more
            body = content.read_nowait()
            if len(body) > MAX_BYTES:
                raise web.HTTPRequestEntityTooLarge(MAX_BYTES, len(body))
            return body
        async with asyncio.timeout(SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise bad_field("body", None, f"a body that arrives within {SECONDS:g} seconds") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        encoding = request.headers.get("Content-Encoding")
        raise bad_field("body", encoding, "a whole body, as its Content-Encoding says") from error


def _value(body: bytes, is_json: bool, field: str) -> Any:
    """What came in a field; None for what cannot be read without its type, such as 1e999."""
    try:
        raw: dict[str, Any] = msgspec.json.decode(body) if is_json else _form(body)
    except (ValueError, RecursionError):
        return None
    return raw.get(field)


def _form(body: bytes) -> dict[str, str]:
    """The last value of each field; raises ValueError (UnicodeDecodeError, too many fields)."""
    fields = parse_qs(body.decode("utf-8"), errors="strict", max_num_fields=MAX_FIELDS)
    return {name: values[-1] for name, values in fields.items()}


def _description(hint: Any) -> str:
    """The description in an Annotated type."""
    metas = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Meta)]
    return next((m.description for m in metas if m.description), "")


_PATH_ID: Final = re.compile(r"[1-9][0-9]{0,9}")


def video_id(request: web.Request) -> int:
    """The id in the path; raises Refused."""
    text = request.match_info["id"]
    if not _PATH_ID.fullmatch(text):
        raise Refused("id", text, "a video id, 1 to 9999999999")
    return int(text)
