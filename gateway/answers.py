"""The ``data`` of answers, as Structs: what is sent, and what OpenAPI shows."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class VideoAnswer(Struct, frozen=True, gc=False):
    """A video; the columns of content_main, in the order of ``models.stores.port.Video``."""

    id: int
    title: str
    category: int
    cover_url: str
    video_url: str
    duration: Annotated[int, Meta(description="seconds")]
    owner_id: int
    status: int
    audit_status: int
    clicks: int
    created_at: Annotated[str, Meta(description="RFC 3339")]


class DetailAnswer(VideoAnswer, frozen=True, gc=False, kw_only=True):
    """A video with its counts and the viewer's own state; ``plays`` and ``seconds`` are null while HBase is away."""

    likes: int
    collects: int
    plays: int | None
    seconds: Annotated[int | None, Meta(description="seconds watched, by all viewers")]
    like: Literal[0, 1]
    collect: Literal[0, 1]
    follow: Annotated[Literal[0, 1], Meta(description="whether the viewer follows the owner")]


class RankedAnswer(Struct, frozen=True, gc=False):
    """One line of the click rank."""

    id: int
    title: str


class HeartbeatAnswer(Struct, frozen=True, gc=False):
    """``next_ping``: seconds until the player should report again; 0 when it need not."""

    session: str
    next_ping: int


class ItemStyle(Struct, frozen=True, gc=False):
    """ECharts: the colour of a bar."""

    color: str


class Bar(Struct, frozen=True, gc=False):
    """ECharts: one bar."""

    value: int
    name: str
    itemStyle: ItemStyle  # noqa: N815 -- ECharts' own name


class StatisticsAnswer(Struct, frozen=True, gc=False):
    """Top ten by seconds watched (time) and by plays (counts), ready for ECharts: ids for x, bars for y."""

    time_x_data: list[str]
    time_y_data: list[Bar]
    counts_x_data: list[str]
    counts_y_data: list[Bar]
    valid_through: Annotated[str, Meta(description="RFC 3339: when this was read")]


class LiveAnswer(Struct, frozen=True, gc=False):
    """The process answers."""

    live: bool


class ReadyAnswer(Struct, frozen=True, gc=False):
    """Each part: ``ok``, or why it fails."""

    log: str
    spool: str
    sql: str
    plays: str
    catalogue: str
