"""The catalogue of the SQL store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, select

from models.stores.port import Entry, Film, SqlStores, Video
from models.tables import FACTS, video_data
from tests.contract.sql_base import Opener, SqlSuite, opened, view_step

TITLES = ["无间道", "肖申克的救赎 🎬", "🎬", "🎥", "Amélie", "Amelie", "AMELIE", 'a\'b\\c%s:d "e"', "a ", "a"]


def stored_facts(url: str) -> dict[int, dict[str, str]]:
    """The facts of video_data that are not empty, by video; the port writes them and nothing reads them yet."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(select(video_data)).mappings().all()
    engine.dispose()
    return {row["content_id"]: {name: row[name] for name in FACTS if row[name]} for row in rows}


class SqlCatalogueContract(SqlSuite):
    """load, entries, videos and rank."""

    def test_every_column_comes_back(self, store: SqlStores) -> None:
        film = Film(
            id=9_999_999_999,
            title="霸王别姬 🎭",
            category=2,
            cover_url="/c.jpg",
            video_url="/v.mp4",
            duration=171,
            owner_id=12,
            status=1,
            audit_status=2,
        )
        assert store.load([film]) == 1
        video = store.videos([film.id or 0])[9_999_999_999]
        expected = Video(9_999_999_999, "霸王别姬 🎭", 2, "/c.jpg", "/v.mp4", 171, 12, 1, 2, 0, video.created_at)
        assert video == expected
        assert len(video.created_at) == len("2026-11-24T06:30:00.123Z")

    def test_titles_are_told_apart_by_every_character(self, store: SqlStores) -> None:
        for _ in range(2):
            assert store.load([Film(title=title) for title in TITLES]) == len(TITLES)
        found = store.videos(range(1, 100))
        assert [found[n].title for n in sorted(found)] == TITLES

    def test_load_by_id_updates_and_leaves_clicks_alone(self, store: SqlStores) -> None:
        store.load([Film(id=5, title="old", duration=1)])
        opened(store)
        store.apply_clicks(view_step(0, 1), {5: 3})
        before = store.videos([5])[5]
        store.load([Film(id=5, title="new", duration=2)])
        assert store.videos([5])[5] == before._replace(title="new", duration=2)

    def test_facts_are_replaced_whole_or_left_alone(self, store: SqlStores, url: str) -> None:
        store.load([Film(id=3, title="a", facts={"rating": "9.7", "storyline": "长 🎬" * 900}), Film(id=4, title="b")])
        store.load([Film(title="a"), Film(title="c", facts={"stars": "张国荣"})])
        assert stored_facts(url) == {3: {"rating": "9.7", "storyline": "长 🎬" * 900}, 5: {"stars": "张国荣"}}
        store.load([Film(id=3, title="a", facts={"rating": "9.8"})])
        assert stored_facts(url)[3] == {"rating": "9.8"}

    def test_load_by_title_and_category(self, store: SqlStores) -> None:
        store.load([Film(id=40, title="a"), Film(title="a", category=2), Film(title="b")])
        store.load([Film(title="a", duration=7), Film(title="b", category=2), Film(title="b", duration=8)])
        found = store.videos(range(100))
        assert {n: (v.title, v.category, v.duration) for n, v in found.items()} == {
            40: ("a", 1, 7),
            41: ("a", 2, 0),
            42: ("b", 1, 8),
            43: ("b", 2, 0),
        }

    def test_an_id_given_twice_is_one_video_and_the_last_counts(self, store: SqlStores) -> None:
        assert store.load([Film(id=8, title="b", duration=1), Film(id=8, title="b", duration=2)]) == 2
        assert {n: v.duration for n, v in store.videos(range(20)).items()} == {8: 2}

    def test_films_that_share_a_title_stay_apart(self, store: SqlStores) -> None:
        remakes = [Film(title="a", duration=1), Film(title="b"), Film(title="a", duration=2)]
        for _ in range(2):
            assert store.load(remakes) == 3
            assert {n: v.duration for n, v in store.videos(range(20)).items()} == {1: 1, 2: 0, 3: 2}

    def test_load_of_many_and_paging(self, store: SqlStores) -> None:
        films = (Film(title=f"film {n}", category=n % 3, facts={"rating": str(n)}) for n in range(1234))
        assert store.load(films) == 1234
        pages, after = [], 0
        while page := store.entries(after, 500):
            pages.append(len(page))
            assert [entry.id for entry in page] == list(range(after + 1, after + 1 + len(page)))
            after = page[-1].id
        assert pages == [500, 500, 234]
        assert store.entries(0, 1) == [Entry(1, 0, 1, 0, 0)]

    def test_nothing_loaded(self, store: SqlStores) -> None:
        assert store.load([]) == 0
        assert (store.entries(0, 10), store.videos([]), store.videos([1]), store.rank(10)) == ([], {}, {}, [])

    def test_loaders_at_once_keep_every_film_once(self, store: SqlStores, another: Opener) -> None:
        loaders = [another() for _ in range(3)]
        own = [[Film(title=f"{n} of {who}") for n in range(700)] for who in range(3)]
        shared = [Film(title="shared")]
        with ThreadPoolExecutor(3) as pool:
            counted = list(pool.map(lambda s, films: s.load(shared + films), loaders, own))
        found = store.videos(range(1, 5000))
        assert counted == [701] * 3
        assert sorted(v.title for v in found.values()) == sorted(f.title for films in [*own, shared] for f in films)

    @pytest.mark.parametrize("limit", [3, 10])
    def test_rank_is_by_clicks_then_id_among_status_0(self, store: SqlStores, limit: int) -> None:
        store.load(Film(id=n, title=f"片 {n}", status=int(n == 6)) for n in range(1, 9))
        opened(store)
        store.apply_clicks(view_step(0, 1), {2: 5, 7: 9, 4: 5, 6: 99})
        expected = [(n, f"片 {n}") for n in (7, 2, 4, 1, 3, 5, 8)]
        assert store.rank(limit) == expected[:limit]
