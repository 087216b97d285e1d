"""What the folding sections compare with: made events, and the plain folds of them."""

from __future__ import annotations

from collections import Counter

import orjson

from benchmarks.folding_log import PlaysFold, ReactionsFold, watched
from benchmarks.folding_runs import Outcome, Run, compared, middle, rows
from models import events
from tests.real.chaos import filling


def test_a_play_is_a_session_and_its_seconds_are_the_largest() -> None:
    fold = PlaysFold()
    for session, video, play_time in (("a", 1, 0), ("a", 1, 30), ("a", 1, 15), ("b", 1, 5), ("c", 2, 0)):
        fold.add({"session": session, "video_id": video, "play_time": play_time})
    assert fold.totals() == {1: (2, 35), 2: (1, 0)}


def test_the_newest_event_says_who_likes_what() -> None:
    fold = ReactionsFold()
    for event_id, user, event in (("1", 7, "like"), ("3", 7, "no_like"), ("2", 7, "like"), ("4", 8, "like")):
        fold.add({"event_id": event_id, "user_id": user, "video_id": 1, "event": event})
    assert fold.likes() == {1: 1}


def test_made_plays_are_events_of_a_third_as_many_sessions_mostly_of_the_first_videos() -> None:
    fold, videos, sessions = PlaysFold(), Counter[int](), set[str]()
    made = filling.plays(30_000, videos=100, beats=3, zipf=True, span=filling.Span(1_790_000_000_000, 60_000))
    for one in watched(made, fold.add):
        event = events.decode_play(one.value)
        videos[event.video_id] += 1
        sessions.add(event.session)
    assert 10_000 <= len(sessions) <= 10_000 + filling.ALIVE
    assert videos.most_common(1)[0][0] == 1
    assert 1.5 < videos[1] / videos[2] < 2.5
    assert sum(plays for plays, _ in fold.totals().values()) == len(sessions)


def test_made_reactions_are_events_in_the_order_of_their_ids() -> None:
    made = [events.decode_reaction(one.value) for one in filling.reactions(1_000)]
    assert [event.event_id for event in made] == sorted(event.event_id for event in made)
    assert orjson.loads(next(filling.reactions(1)).value)["event"] in ("like", "no_like")


def test_a_wrong_video_is_counted_whichever_side_lacks_it() -> None:
    assert compared({1: 5, 2: 6}, {1: 5, 2: 6}) == "exact"
    assert compared({1: 5, 2: 6}, {1: 5, 3: 6}) == "wrong: 2 of 2 videos"


def test_a_peer_without_a_run_says_why_in_its_line() -> None:
    run = middle([Run(100, 1.0, 0.1, 50.0), Run(100, 2.0, 0.3, 52.0), Run(100, 4.0, 0.2, 51.0)])
    assert run == Run(100, 2.0, 0.2, 51.0)
    mine, peer = rows([Outcome("ours", "HBase", run, "exact"), Outcome("peer", "?", None, "not installed: no")], run)
    assert mine[:4] == ["ours", 1.0, 1.0, 50]
    assert peer[1:3] == ["–", "–"]
    assert peer[-1] == "not installed: no"
    assert len(mine) == len(peer)
