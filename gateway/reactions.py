"""Like, collect and follow: one code, and a table of three kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.auth import Gate
from gateway.bodies import Body, CollectBody, FollowBody, LikeBody, Switch, video_id
from gateway.catalogue import Catalogue, Known
from gateway.emit import Emitter, Stamps, accepted, position_of
from gateway.envelope import bad_field, ok
from gateway.positions import Positions
from gateway.workers import Gatherer, Workers
from models import events
from models.stores.port import Kind, ReactionReader

Maker = Callable[..., events.AnyReaction]
TOPICS: Final = frozenset({events.REACTIONS})


@dataclass(frozen=True)
class KindOf:
    """One kind of reaction; pairs are (off, on)."""

    kind: Kind
    path: str
    body: Body[Any]
    makers: tuple[Maker, Maker]
    words: tuple[str, str]
    done: tuple[str, str]
    read: str
    state: type[Struct]
    accepted: type[Struct]


def _kind(kind: Kind, body: type[Struct], off: Maker, on: Maker, word: str) -> KindOf:
    durable = ("durable", Literal["log", "spool"])
    return KindOf(
        kind=kind,
        path=f"/video/{kind}/",
        body=Body(body, {b"%s=%d" % (kind.encode(), on): body(on) for on in (0, 1)}),
        makers=(off, on),
        words=(f"video cancel {kind}", f"video {kind}"),
        done=(f"取消{word}成功", f"{word}成功"),
        read=f"获取{word}信息成功",
        state=msgspec.defstruct(f"{kind.title()}Answer", [(kind, Switch)], frozen=True),
        accepted=msgspec.defstruct(
            f"{kind.title()}Accepted", [(kind, Switch), ("position", str | None), durable], frozen=True
        ),
    )


KINDS: Final[dict[Kind, KindOf]] = {
    "like": _kind("like", LikeBody, events.NoLike, events.Like, "点赞"),
    "collect": _kind("collect", CollectBody, events.NoCollect, events.Collect, "收藏"),
    "follow": _kind("follow", FollowBody, events.NoFollow, events.Follow, "关注"),
}


class Reactions:
    """GET and POST of one kind."""

    def __init__(
        self,
        kind: Kind,
        gate: Gate,
        catalogue: Catalogue,
        positions: Positions,
        stamps: Stamps,
        emitter: Emitter,
        reader: ReactionReader,
        workers: Workers,
    ) -> None:
        self.of = KINDS[kind]
        self._gate, self._catalogue, self._positions = gate, catalogue, positions
        self._stamps, self._emitter = stamps, emitter
        self._statuses: Gatherer[tuple[int, int], int] = Gatherer(workers, _loader(reader, kind))

    async def get(self, request: web.Request) -> web.Response:
        """The viewer's own state."""
        user = await self._gate.user(request)
        video = video_id(request)
        known = await self._catalogue.find(video)
        reached = await self._positions.wait(request, TOPICS)
        status = await self._statuses.get((user, self._target(video, known)))
        stale = {"X-Stale": "true"} if reached.stale else None
        return ok(self.of.state(status or 0), self.of.read, headers=stale)

    async def post(self, request: web.Request) -> web.Response:
        """Change it: validate, append, answer. No database on this path."""
        user = await self._gate.user(request)
        video = video_id(request)
        on = (await self.of.body.read(request)).on
        known = await self._catalogue.find(video)
        further = self._further(user, known, on)
        stamp = self._stamps.next()
        event = self.of.makers[on](
            event_id=stamp.event_id,
            occurred_at=stamp.occurred_at,
            user_id=user,
            url=f"{self.of.path}{video}",
            method="post",
            msg=self.of.words[on],
            video_id=video,
            **further,
        )
        receipt = await self._emitter.append(events.REACTIONS, event, stamp.ms)
        position = position_of(receipt)
        return accepted(request, position, self.of.accepted(on, position, receipt.durable), self.of.done[on])

    def _target(self, video: int, known: Known) -> int:
        return known.owner_id if self.of.kind == "follow" else video

    def _further(self, user: int, known: Known, on: int) -> Mapping[str, int]:
        """Follow names the owner; raises HttpError 400 when that is the viewer."""
        if self.of.kind != "follow":
            return {}
        if known.owner_id == user:
            raise bad_field("follow", on, "a video that belongs to somebody else", "不能关注自己")
        return {"followee_id": known.owner_id}


def _loader(reader: ReactionReader, kind: Kind) -> Callable[[list[tuple[int, int]]], Mapping[tuple[int, int], int]]:
    return lambda pairs: reader.statuses(kind, pairs)
