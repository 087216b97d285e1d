"""
The peer: a site of the usual kind, Flask with its database in the request and a warning log as its event stream.

Same routes and same tables as the gateway's. Run by gunicorn: ``gunicorn --workers 2 --threads 8 app:app``.
Settings: PEER_DB (SQLAlchemy URL), PEER_HBASE (host:port), PEER_TABLE (its video table), PEER_SECRET, PEER_LOG (file).
"""

from __future__ import annotations

import logging
import os
import queue
import random
import time
from typing import Any

import flask
import happybase
import jwt
from sqlalchemy import create_engine, text
from werkzeug.exceptions import NotFound, Unauthorized

THREADS = 8
engine = create_engine(os.environ["PEER_DB"], pool_size=THREADS, max_overflow=0, pool_recycle=1800)
connections: queue.LifoQueue[Any] = queue.LifoQueue()
logging.basicConfig(filename=os.environ["PEER_LOG"], level=logging.WARNING, format="%(asctime)s %(message)s")
app = flask.Flask(__name__)


def answer(data: Any, msg: str) -> flask.Response:
    response: flask.Response = flask.jsonify(code=200, msg=msg, data=data)
    return response


def user() -> int:
    """The user of the token; raises Unauthorized."""
    token = flask.request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, os.environ["PEER_SECRET"], algorithms=["HS256"], audience="playtrail")
    except jwt.InvalidTokenError as error:
        raise Unauthorized from error
    return int(claims["sub"])


def warn(user_id: int | None, msg: str) -> None:
    """An event, as a line of the warning log."""
    request = flask.request
    logging.warning("%s %s %s %s", user_id, request.path, request.method.lower(), msg)


def like(video: int) -> flask.Response:
    viewer, on = user(), int(flask.request.form["like"])
    key = {"user": viewer, "video": video}
    with engine.begin() as sql:
        if sql.execute(text("SELECT id FROM content_main WHERE id = :video"), key).first() is None:
            raise NotFound
        found = sql.execute(
            text("SELECT status FROM content_like WHERE user_id = :user AND content_id = :video"), key
        ).first()
        row = {**key, "on": on, "at": time.time_ns() // 1_000_000}
        if found is None:
            statement = "INSERT INTO content_like VALUES (:user, :video, :on, '', :at)"
        else:
            statement = (
                "UPDATE content_like SET status = :on, updated_at = :at WHERE user_id = :user AND content_id = :video"
            )
        sql.execute(text(statement), row)
    warn(viewer, "video like" if on else "video cancel like")
    return answer({"like": on}, "点赞成功" if on else "取消点赞成功")


def liked(video: int) -> flask.Response:
    key = {"user": user(), "video": video}
    with engine.connect() as sql:
        found = sql.execute(
            text("SELECT status FROM content_like WHERE user_id = :user AND content_id = :video"), key
        ).first()
    return answer({"like": found.status if found else 0}, "获取点赞信息成功")


def hot() -> flask.Response:
    with engine.connect() as sql:
        videos = sql.execute(text("SELECT * FROM content_main WHERE audit_status = 0")).mappings().all()
    shown = random.sample(videos, min(8, len(videos)))
    return answer([dict(video) for video in shown], "获取热点视频成功")


def rank() -> flask.Response:
    with engine.connect() as sql:
        rows = sql.execute(text("SELECT id, title FROM content_main WHERE status = 0 ORDER BY clicks DESC LIMIT 10"))
        return answer([dict(row) for row in rows.mappings()], "获取排行榜信息成功")


def detail(video: int) -> flask.Response:
    viewer = user()
    key = {"user": viewer, "video": video}
    with engine.begin() as sql:
        found = sql.execute(text("SELECT * FROM content_main WHERE id = :video"), key).mappings().first()
        if found is None:
            raise NotFound
        sql.execute(text("UPDATE content_main SET clicks = clicks + 1 WHERE id = :video"), key)
        shown = dict(found)
        for name in ("like", "collect"):
            table = f"content_{name}"
            count = text(f"SELECT COUNT(*) FROM {table} WHERE content_id = :video AND status = 1")
            own = text(f"SELECT status FROM {table} WHERE user_id = :user AND content_id = :video")
            shown[f"{name}s"] = sql.execute(count, key).scalar()
            shown[name] = sql.execute(own, key).scalar() or 0
    warn(viewer, "video detail")
    return answer(shown, "获取视频详情成功")


def statistics() -> flask.Response:
    """Every row of HBase, sorted twice."""
    connection = _lent()
    table = connection.table(os.environ["PEER_TABLE"])
    rows = [
        (int(cells[b"video:content_id"]), int(cells[b"play:times"]), int(cells[b"play:duration"]))
        for _, cells in table.scan()
    ]
    connections.put(connection)
    by_time, by_count = (sorted(rows, key=lambda row: row[column], reverse=True)[:10] for column in (2, 1))
    data = {
        "time_x_data": [str(row[0]) for row in by_time],
        "time_y_data": [row[2] for row in by_time],
        "counts_x_data": [str(row[0]) for row in by_count],
        "counts_y_data": [row[1] for row in by_count],
    }
    return answer(data, "获取统计信息成功")


def _lent() -> Any:
    """A connection to HBase; one that broke is not put back."""
    try:
        return connections.get_nowait()
    except queue.Empty:
        host, _, port = os.environ["PEER_HBASE"].partition(":")
        return happybase.Connection(host, int(port), timeout=60_000)


app.add_url_rule("/video/like/<int:video>", view_func=like, methods=["POST"])
app.add_url_rule("/video/like/<int:video>", view_func=liked, methods=["GET"])
app.add_url_rule("/video/detail/<int:video>", view_func=detail)
app.add_url_rule("/video/hot", view_func=hot)
app.add_url_rule("/video/rank", view_func=rank)
app.add_url_rule("/video/statistics", view_func=statistics)
