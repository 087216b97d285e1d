"""The heartbeats of play sessions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.answers import HeartbeatAnswer
from gateway.auth import Gate
from gateway.bodies import Body, PlayBody, video_id
from gateway.catalogue import Catalogue
from gateway.emit import Emitter, Stamps, accepted, position_of
from models import events

NEXT_PING: Final = 15
"""Seconds between heartbeats. A session's seconds are its largest play_time, so a lost one costs nothing."""
BODY: Final = Body(PlayBody)
MAKERS: Final[dict[str, Callable[..., events.AnyPlay]]] = {
    "start": events.Start,
    "ping": events.Ping,
    "stop": events.Stop,
    "end": events.End,
}


class Plays:
    """POST of a heartbeat, by anyone."""

    def __init__(self, gate: Gate, catalogue: Catalogue, stamps: Stamps, emitter: Emitter) -> None:
        self._gate, self._catalogue, self._stamps, self._emitter = gate, catalogue, stamps, emitter

    async def play(self, request: web.Request) -> web.Response:
        """POST /video/play/ID."""
        return await self._post(request, "/video/play/")

    async def destroy(self, request: web.Request) -> web.Response:
        """POST /video/destroy/ID: the same, under the name that players call when they go away."""
        return await self._post(request, "/video/destroy/")

    async def _post(self, request: web.Request, path: str) -> web.Response:
        viewer = await self._gate.viewer(request)
        video = video_id(request)
        body = await BODY.read(request)
        await self._catalogue.find(video)
        stamp = self._stamps.next()
        session = body.session.lower()
        event = MAKERS[body.type](
            event_id=stamp.event_id,
            occurred_at=stamp.occurred_at,
            user_id=viewer,
            url=f"{path}{video}",
            method="post",
            msg=f"video play {body.type}",
            video_id=video,
            session=session,
            seq=body.seq,
            play_time=math.floor(body.play_time),
            cur_time=body.cur_time,
        )
        # A heartbeat may be refused when the spool is nearly full: the next one says all that it said.
        receipt = await self._emitter.append(events.PLAYS, event, stamp.ms, may_refuse=body.type == "ping")
        answer = HeartbeatAnswer(session, 0 if body.type == "end" else NEXT_PING)
        return accepted(request, position_of(receipt), answer, "播放记录成功")
