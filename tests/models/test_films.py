"""Films from JSON, JSON lines and CSV: good rows are kept, bad ones are named, nothing else comes out."""

from __future__ import annotations

import json
import string
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Refused
from models.films import BadRow, Film, read

DEMO = Path(__file__).parents[2] / "gateway" / "demo" / "catalogue.json"


def _read(folder: Path, content: str | bytes, name: str = "films.json") -> list[Film | BadRow]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read(path))


def _one(folder: Path, **row: Any) -> Film | BadRow:
    (film,) = _read(folder, json.dumps([row]))
    return film


FILM = Film(title="霜降", category=2, duration=5400, owner_id=7, facts={"director": "某人", "title": "霜降"})


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '[{"title": "霜降", "category": 2, "duration": 5400, "owner_id": 7, "director": "某人"}]'),
        (
            "a.jsonl",
            '\n{"Title": "霜降", "Category": "game", "Running_Time_min": 90, "Owner": "7", "Director": "某人"}\r\n',
        ),
        ("a.csv", "TITLE,category,runtime,owner id,导演\n霜降,游戏,90,7,某人\n"),
        ("a.csv", '标题;category;DURATION;owner-id;director\r\n"霜降";2;5400;7;某人'),
        ("a.tsv", "title\tcategory\tduration\towner_id\tdirector\n霜降\t2\t5400.0\t7\t某人\n"),
        (
            "no-extension",
            '  [ {"name": " 霜降 ", "category": "GAME", "seconds": "5400", "owner_id": 7, "directors": ["某人"]} ] ',
        ),
    ],
)
def test_every_format_gives_the_same_film(tmp_path: Path, name: str, content: str, mark: bytes) -> None:
    assert _read(tmp_path, mark + content.encode(), name) == [FILM]


def test_the_content_decides_between_array_and_lines(tmp_path: Path) -> None:
    assert _read(tmp_path, '{"title": "a"}\n{"title": "b"}', "films.json") == [Film(title="a"), Film(title="b")]
    assert _read(tmp_path, '[{"title": "a"}]', "films.jsonl") == [Film(title="a")]


def test_the_defaults_are_those_of_a_public_film(tmp_path: Path) -> None:
    assert _one(tmp_path, title="a", id=None, duration="", director=None) == Film(title="a")


@pytest.mark.parametrize(("given", "title"), [(1776, "1776"), (9.5, "9.5"), ("LÈon ³", "LÈon ³"), ("\u3000a\n", "a")])
def test_titles_may_be_numbers_and_odd_characters(tmp_path: Path, given: object, title: str) -> None:
    assert _one(tmp_path, title=given) == Film(title=title)


def test_words_that_are_no_category_are_the_genre(tmp_path: Path) -> None:
    assert _one(tmp_path, title="a", category="Drama/Crime") == Film(
        title="a", facts={"category": "Drama/Crime", "title": "a"}
    )


def test_facts_are_text_and_lists_are_joined(tmp_path: Path) -> None:
    film = _one(
        tmp_path,
        **{"title": "a", "IMDB Rating": 6.1, "stars": ["x", "y"], "Genres": [{"id": 18, "name": "Drama"}]},
        **{"true_video_url": "http://a/b", "new_img_url": "c", "unknown": {"is": "ignored"}, "_id": {"$oid": "1"}},
    )
    assert film == Film(
        title="a",
        facts={
            **{"rating": "6.1", "stars": "x, y", "category": "Drama", "true_video_url": "http://a/b"},
            **{"new_img_url": "c", "title": "a"},
        },
    )


def test_of_two_columns_with_one_meaning_the_plainer_one_counts(tmp_path: Path) -> None:
    assert _one(tmp_path, name="b", title="a", runtime=2, duration=60) == Film(title="a", duration=60)
    assert _one(tmp_path, name="b", title=None) == Film(title="b")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, "element 1: title is None; allowed: 1 to 255 characters"),
        ({"title": "  "}, "title is None"),
        ({"title": "x" * 256}, "title is 'xxx"),
        ({"title": True}, "title is True; allowed: text or a number"),
        ({"title": {"en": "a"}}, "title is None"),
        ({"title": [["a"]]}, "title is ['a']; allowed: text or a number"),
        ({"title": "\ud800"}, "title is '\\ud800'; allowed: valid UTF-8"),
        ({"title": "a", "duration": -1}, "duration is -1; allowed: seconds, 0 to 604800"),
        ({"title": "a", "duration": "long"}, "duration is 'long'; allowed: seconds"),
        ({"title": "a", "runtime": 99999}, "duration is 99999; allowed: minutes, 0 to 10080"),
        ({"title": "a", "id": 0}, "id is 0; allowed: a whole number, 1 to 9999999999"),
        ({"title": "a", "id": 1.5}, "id is 1.5"),
        ({"title": "a", "id": "tt01"}, "id is 'tt01'"),
        ({"title": "a", "owner_id": False}, "owner_id is False"),
        ({"title": "a", "category": 3}, "category is 3; allowed: 1, 2, film, game, or a genre in words"),
        ({"title": "a", "status": "rumored"}, "status is 'rumored'; allowed: a whole number, 0 to 127"),
        ({"title": "a", "cover_url": "x" * 513}, "cover_url is 'xxx"),
        ({"title": "a", "storyline": "长" * 21_846}, "allowed: at most 65535 bytes"),
        ({"title": "a", "rating": {"imdb": 5}}, "rating is"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, row: dict[str, Any], text: str) -> None:
    bad = _one(tmp_path, **row)
    assert isinstance(bad, BadRow)
    assert text in str(bad)
    assert "\n" not in str(bad)


def _places(rows: list[Film | BadRow]) -> list[str]:
    return [row.title if isinstance(row, Film) else f"{row.where} {row.field}" for row in rows]


def test_bad_lines_do_not_hide_the_good_ones(tmp_path: Path) -> None:
    content = (
        b'{"title": "a"}\n\n{"title": }\n[1]\n{"title": "b"} more\n{"title": "\xff"}\n{"title": NaN}\n{"title": "c"}'
    )
    assert _places(_read(tmp_path, content)) == [
        *("a", "line 3 JSON", "line 4 row", "line 5 JSON", "line 6 title", "line 7 JSON", "c"),
    ]


def test_bad_elements_do_not_hide_the_good_ones(tmp_path: Path) -> None:
    content = '[{"title": "a"}, 12, "x", null, {"title": ["b"]}, {"title": "c"}]'
    assert _places(_read(tmp_path, content)) == ["a", "element 2 row", "element 3 row", "element 4 row", "b", "c"]


@pytest.mark.parametrize(
    "tail", [", {broken}, {}]", ", ", "", " {}]", "] more", ", 1e999999" + "9" * 9 + "]", ", " + "[" * 99_999]
)
def test_a_broken_array_keeps_what_came_before(tmp_path: Path, tail: str) -> None:
    first, *rest = _read(tmp_path, '[{"title": "a"}' + tail)
    assert first == Film(title="a")
    (bad,) = rest
    assert isinstance(bad, BadRow)
    assert bad.where == "element 2"


def test_csv_rows_are_named_by_the_line_that_they_begin_on(tmp_path: Path) -> None:
    content = 'title,storyline\n"a","two\nlines"\n\nb\n"c",x,y\n,z\n"d",' + "x" * 131_073 + "\ne,\n"
    assert _places(_read(tmp_path, content, "films.csv")) == [
        *("a", "line 5 columns", "line 6 columns", "line 7 title", "line 8 CSV", "e"),
    ]


def test_a_large_array_is_read_in_pieces(tmp_path: Path) -> None:
    films = [Film(title=f"{n} " + "长" * 200, duration=n) for n in range(2000)]
    content = json.dumps([{"title": f.title, "duration": f.duration} for f in films], indent=1, ensure_ascii=False)
    assert _read(tmp_path, content) == films


@pytest.mark.parametrize(
    "content", [b"", b"   ", b"\x89PNG\r\n", b"\xff\xfe[\x00", b"name\x00,x", b"a,b\n1,2\n", b"<html>"]
)
@pytest.mark.parametrize("name", ["f.json", "f.csv", "f"])
def test_another_format_is_refused_in_one_line(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(
        Refused, match=r"^file is .*allowed: a JSON array, JSON lines, or CSV with a title column"
    ) as info:
        _read(tmp_path, content, name)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("name", ["missing.json", ".", "a\0b"])
def test_an_unreadable_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match=r"^file is .*allowed: a readable file \(") as info:
        list(read(tmp_path / name))
    assert "\n" not in str(info.value)


_text = st.text(alphabet=st.sampled_from(string.printable + "长\0\ufeff"), max_size=40)
_json = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | _text, lambda x: st.lists(x, max_size=3))
_columns = st.sampled_from(["title", "id", "category", "duration", "runtime", "status", "rating", "stars", "cover"])
_bytes = st.one_of(
    st.binary(max_size=200),
    st.lists(st.dictionaries(_columns, _json), max_size=4).map(lambda rows: json.dumps(rows).encode()),
    st.tuples(
        st.sampled_from(["[", '{"title": "a"}\n', "title\n", "title,id\n", '[{"title":1},']), st.binary(max_size=60)
    ).map(lambda parts: parts[0].encode() + parts[1]),
    _text.map(lambda text: f"title,{text}\n{text}".encode()),
)


@given(content=_bytes, suffix=st.sampled_from([".json", ".jsonl", ".csv", ".tsv", ""]))
def test_any_bytes_give_films_bad_rows_or_a_refusal(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows = _read(Path(folder), content, f"films{suffix}")
        except Refused:
            return
    for row in rows:
        assert isinstance(row, Film | BadRow)
        if isinstance(row, Film):
            _check(row)
        else:
            assert str(row).startswith(("line ", "element "))


def _check(film: Film) -> None:
    """Every value fits its column."""
    assert 1 <= len(film.title) <= 255
    assert film.id is None or 1 <= film.id <= 9_999_999_999
    assert film.category in (1, 2)
    assert 0 <= film.duration <= 604_800
    assert all(isinstance(value, str) and value.encode() is not None for value in film.facts.values())


def test_the_demo_catalogue_is_all_good() -> None:
    films = list(read(DEMO))
    assert [row for row in films if isinstance(row, BadRow)] == []
    by_category = [[f for f in films if isinstance(f, Film) and f.category == c] for c in (1, 2)]
    assert len(by_category[0]) >= 40
    assert len(by_category[1]) >= 10
    assert len({f.title for f in films if isinstance(f, Film)}) == len(films)
    assert all(isinstance(f, Film) and f.duration >= 60 and f.cover_url == "" for f in films)
