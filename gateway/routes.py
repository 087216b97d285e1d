"""Every URL of the gateway, on one screen. To add a route, add a line; OpenAPI and the metrics follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway import answers
from gateway.health import Health
from gateway.metrics import Metrics
from gateway.openapi import Description
from gateway.ops import Ops, OpsAnswer
from gateway.page import Page
from gateway.plays import BODY, Plays
from gateway.reactions import Reactions
from gateway.route import Route
from gateway.statistics import Statistics
from gateway.views import Views


@dataclass(frozen=True)
class Handlers:
    """What answers."""

    views: Views
    reactions: tuple[Reactions, ...]
    plays: Plays
    statistics: Statistics
    health: Health
    metrics: Metrics
    description: Description
    page: Page
    ops: Ops


READ: Final = (400, 401, 404, 429, 503)
WRITE: Final = (400, 401, 403, 404, 413, 429, 503)
VIDEOS: Final = list[answers.VideoAnswer]
RANKED: Final = list[answers.RankedAnswer]
BEAT: Final = answers.HeartbeatAnswer


def table(h: Handlers) -> list[Route]:
    """All routes."""
    return [
        Route("GET", "/video/hot", h.views.hot, "anyone", "Eight random videos", VIDEOS, errors=(401, 503)),
        Route("GET", "/video/rank", h.views.rank, "anyone", "Ten videos by clicks", RANKED, errors=(503,)),
        Route("GET", "/video/detail/{id}", h.views.detail, "anyone", "A video, its counts, the viewer's own state",
              answers.DetailAnswer, waits=True, errors=READ),
        *(route for reaction in h.reactions for route in _of(reaction)),
        Route("POST", "/video/play/{id}", h.plays.play, "anyone", "A heartbeat of a play", BEAT, BODY.struct,
              errors=WRITE),
        Route("POST", "/video/destroy/{id}", h.plays.destroy, "anyone", "The same as /video/play/{id}", BEAT,
              BODY.struct, errors=WRITE),
        Route("GET", "/video/statistics", h.statistics.get, "anyone", "Top ten by seconds watched and by plays",
              answers.StatisticsAnswer, waits=True, errors=(400, 503)),
        Route("GET", "/health/live", h.health.live, "anyone", "Whether the process answers", answers.LiveAnswer),
        Route("GET", "/health/ready", h.health.ready, "anyone", "Whether each part works", answers.ReadyAnswer,
              errors=(503,)),
        Route("GET", "/metrics", h.metrics.get, "anyone", "Prometheus metrics", content="text/plain"),
        Route("GET", "/ops", h.ops.page, "anyone", "The operator's page", content="text/html"),
        Route("GET", "/ops/lag", h.ops.lag, "anyone", "How far each projection is behind the log", OpsAnswer),
        Route("GET", "/openapi.json", h.description.get, "anyone", "This description"),
        Route("GET", "/docs", h.page.docs, "anyone", "This description as a page", content="text/html"),
        Route("GET", "/static/{name}", h.page.asset, "anyone", "A file of the dashboard", errors=(404,)),
        Route("GET", "/", h.page.get, "anyone", "The live dashboard", content="text/html"),
    ]  # fmt: skip


def _of(reaction: Reactions) -> Iterable[Route]:
    of = reaction.of
    path, aim = of.path + "{id}", "follows the owner" if of.kind == "follow" else f"{of.kind}s the video"
    yield Route("GET", path, reaction.get, "user", f"Whether the viewer {aim}", of.state, waits=True, errors=READ)
    yield Route(
        "POST", path, reaction.post, "user", f"The viewer {aim}, or no longer", of.accepted, of.body.struct,
        errors=WRITE,
    )  # fmt: skip
