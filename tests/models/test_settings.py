"""The settings: defaults, precedence, every wrong value, and what is never shown."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import settings
from models.errors import InvalidSetting
from models.settings import RawSettings, read

SECRET = "correct horse battery staple, thirty-two"
SERVERS = {
    "PLAYTRAIL_EVENTS": "kafka://k:9092",
    "PLAYTRAIL_DB": "mysql+pymysql://u:p@m/d",
    "PLAYTRAIL_PLAYS": "hbase://h",
}


def test_the_defaults_are_the_embedded_system() -> None:
    found = read({})
    assert found.embedded
    assert (found.events, found.db, found.plays) == tuple(
        f"sqlite:///data/{name}.db" for name in ("events", "playtrail", "plays")
    )
    assert (found.host, found.port, found.metrics) == ("127.0.0.1", 8080, ("127.0.0.1", 9108))
    assert (found.topics, found.secret, found.jwks, found.origins, found.replication) == (None, None, None, (), None)
    assert (found.rate_user, found.rate_address, found.spool, found.log) == (50, 0, 1024, "auto")


def test_the_files_are_in_the_data_folder() -> None:
    assert read({"PLAYTRAIL_DATA": "/var/lib/playtrail"}).events == "sqlite:////var/lib/playtrail/events.db"


def test_a_flag_goes_before_the_environment_and_that_before_the_default() -> None:
    environ = {"PLAYTRAIL_PORT": "81", "PLAYTRAIL_HOST": "0.0.0.0"}
    found = read(environ, port="82", host=None)
    assert (found.port, found.host) == (82, "0.0.0.0")


def test_an_empty_variable_is_none_at_all() -> None:
    assert read({settings.name_of(f.name): "" for f in dataclasses.fields(RawSettings)}) == read({})


def test_every_setting_has_a_help_text() -> None:
    assert all(settings.help_of(f.name) for f in dataclasses.fields(RawSettings))


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("events", "kafka://a:9092,b-1.example:9093", "kafka://a:9092,b-1.example:9093"),
        (
            "db",
            "mariadb+pymysql://u:p%40@h:3307/d?charset=utf8mb4",
            "mariadb+pymysql://u:p%40@h:3307/d?charset=utf8mb4",
        ),
        ("plays", "hbase://h:9090?prefix=test-1", "hbase://h:9090?prefix=test-1"),
        ("plays", "hbase://h", "hbase://h"),
        ("host", "::1", "::1"),
        ("host", "gateway.example", "gateway.example"),
        ("port", "0", 0),
        ("metrics", "0.0.0.0:0", ("0.0.0.0", 0)),
        ("metrics", "[::1]:9108", ("::1", 9108)),
        ("origins", "https://A.example, http://localhost:5173", ("https://a.example", "http://localhost:5173")),
        ("replication", "1", 1),
        ("rate_user", "0", 0),
        ("rate_user", "5000", 5000),
        ("rate_address", "500", 500),
        ("spool", "1", 1),
        ("log", "json", "json"),
        ("topics", "/etc/topics.yaml", Path("/etc/topics.yaml")),
        ("secret", SECRET, SECRET),
    ],
)
def test_right_values(name: str, value: str, found: object) -> None:
    assert getattr(read({settings.name_of(name): value}), name) == found
    assert getattr(read({}, **{name: value}), name) == found


WRONG = [
    *(("events", value) for value in ["x", "kafka://", "kafka://h", "kafka://h:x", "kafka://h:1,", "kafka://h:65536"]),
    *(
        ("events", value)
        for value in ["http://h:1", "sqlite:///", "sqlite://x", "sqlite:x", "kafka://h:٣", "kafka://u@h:1"]
    ),
    *(
        ("db", value)
        for value in ["x", "mysql://h/d", "mysql+pymysql://h", "mysql+pymysql:///d", "sqlite:///", "postgres://h/d"]
    ),
    *(("db", value) for value in ["mysql+pymysql://[h/d", "mysql+pymysql://h:99999/d", "mysql+pymysql://h:x/d"]),
    *(
        ("plays", value)
        for value in ["x", "hbase://", "hbase://h:x", "hbase://h:99999", "hbase://h?prefx=a", "hbase://[h"]
    ),
    *(("plays", value) for value in ["hbase://h?prefix=", "hbase://h?prefix=a%20b", "hbase://h/t", "hbase://u:p@h"]),
    *(("plays", value) for value in ["hbase://h?prefix=a&prefix=b", "hbase://h?prefix=-a", "sqlite:///"]),
    *(("port", value) for value in ["x", "-1", "65536", "80.0", " 80", "٣", "9" * 5000]),
    *(("host", value) for value in ["a b", "h:80", "http://h", "[::1]"]),
    *(("metrics", value) for value in ["x", ":1", "h:", "h:x", "h:65536", "::1", "::1:9108", "a b:1"]),
    *(("origins", value) for value in ["x", "*", "https://a/", "https://a/b", "ftp://a", "https://a,x", "https://a:٣"]),
    *(("replication", value) for value in ["x", "0", "33", "1.5", "-1", "²", "9" * 5000]),
    *(
        (name, value)
        for name in ["rate_user", "rate_address", "spool"]
        for value in ["x", "-1", "1.5", "٣", "9" * 5000]
    ),
    *((name, "1000001") for name in ["rate_user", "rate_address"]),
    *(("spool", value) for value in ["0", "1048577", "1 GiB"]),
    *(("log", value) for value in ["x", "JSON", "debug"]),
    ("secret", "too short"),
    ("secret", "\udcff" * 31),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
@pytest.mark.parametrize("by_flag", [False, True])
def test_a_wrong_value_stops_with_one_line_naming_setting_value_and_what_is_allowed(
    name: str, value: str, by_flag: bool
) -> None:
    variable = settings.name_of(name)
    with pytest.raises(InvalidSetting) as caught:
        read({}, **{name: value}) if by_flag else read({variable: value})
    error = caught.value
    assert error.field == variable
    assert str(error).startswith(f"{variable} is ")
    assert len(error.allowed) > 5
    assert "\n" not in str(error)
    assert len(str(error)) < 400
    if name not in ("secret", "origins") and "@" not in value:
        assert repr(value)[:100] in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://root:hush@h/d",
        "mysql+pymysql://root:hush@h",
        "mysql+pymysql://root:hush@h:99999/d",
        "mysql+pymysql://root:hu@hush@h",
        "mysql+pymysql://root:x/hush@h",
        "mysql+pymysql://root:x#hush@h",
        "mysql+pymysql://:hush@h",
        "mysql:root:hush@h/d",
        "root:hush@h/d",
        "postgres://h/d?user=x&password=hush",
        "kafka://root:hush@h:9092",
        "hbase://root:hush@h",
    ],
)
@pytest.mark.parametrize("name", ["events", "db", "plays"])
def test_a_password_is_not_in_the_error(name: str, url: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        read({settings.name_of(name): url})
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(caught.value)
    assert "h" in str(caught.value.value)


password = st.text(st.characters(codec="ascii", exclude_characters="@"), min_size=1).map(lambda text: f"<{text}>")


@given(password)
def test_no_password_whatever_is_in_it_is_shown(text: str) -> None:
    shown = settings.without_password(f"mysql+pymysql://root:{text}@db.example:3306/videos")
    assert shown == "mysql+pymysql://root:***@db.example:3306/videos"


@pytest.mark.parametrize(
    "url", ["kafka://a:1,b:2", "sqlite:///a.db", "mysql+pymysql://u@h:3306/d", "hbase://h:9090?prefix=x"]
)
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert settings.without_password(url) == url


def test_secrets_and_passwords_are_not_in_repr() -> None:
    jwks = "https://user:hush@idp.example/keys"
    found = read({"PLAYTRAIL_DB": "mysql+pymysql://root:hush@h/d", "PLAYTRAIL_SECRET": SECRET, "PLAYTRAIL_JWKS": jwks})
    assert "hush" not in repr(found)
    assert SECRET not in repr(found)


def test_a_short_secret_is_not_shown() -> None:
    with pytest.raises(InvalidSetting, match=r"PLAYTRAIL_SECRET is '\(4 bytes\)'; allowed: 32 bytes or more"):
        read({"PLAYTRAIL_SECRET": "hush"})


def test_a_secret_is_counted_in_bytes() -> None:
    assert read({"PLAYTRAIL_SECRET": "é" * 16}).secret == "é" * 16


@pytest.mark.parametrize("name", list(SERVERS))
def test_with_a_real_server_no_secret_is_generated(name: str, tmp_path: Path) -> None:
    found = read({name: SERVERS[name], "PLAYTRAIL_DATA": str(tmp_path)})
    assert not found.embedded
    with pytest.raises(InvalidSetting, match=r"PLAYTRAIL_SECRET is None; allowed: .* PLAYTRAIL_JWKS"):
        found.signing_secret()
    assert list(tmp_path.iterdir()) == []


def test_a_given_secret_or_a_jwks_is_taken_and_none_is_generated(tmp_path: Path) -> None:
    data = {"PLAYTRAIL_DATA": str(tmp_path)}
    assert read({**data, "PLAYTRAIL_SECRET": SECRET}).signing_secret() == SECRET
    assert read({**data, "PLAYTRAIL_JWKS": "keys.json"}).signing_secret() is None
    assert list(tmp_path.iterdir()) == []


def test_the_generated_secret_stays_the_same_and_is_for_its_owner_only(tmp_path: Path) -> None:
    found = read({"PLAYTRAIL_DATA": str(tmp_path / "new" / "folder")})
    secret = found.signing_secret()
    assert secret is not None
    assert len(secret) >= 32
    assert found.signing_secret() == secret
    assert stat.S_IMODE((found.data / "secret").stat().st_mode) == 0o600


def test_two_folders_have_two_secrets(tmp_path: Path) -> None:
    made = {read({"PLAYTRAIL_DATA": str(tmp_path / name)}).signing_secret() for name in "ab"}
    assert len(made) == 2


def _secret_in(folder: str) -> str | None:
    return read({"PLAYTRAIL_DATA": folder}).signing_secret()


def test_racing_processes_make_one_secret(tmp_path: Path) -> None:
    folders = [str(tmp_path / f"{n}") for n in range(25) for _ in range(4)]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(4, context) as pool:
        made = set(zip(folders, pool.map(_secret_in, folders), strict=True))
    assert len(made) == 25
    assert all(secret for _, secret in made)


@pytest.mark.parametrize("left", ["", "half of it"])
def test_a_secret_whose_writer_was_killed_is_made_again(left: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(left)
    made = _secret_in(str(tmp_path))
    assert made is not None
    assert len(made) >= 32
    assert _secret_in(str(tmp_path)) == made


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match=r"PLAYTRAIL_DATA is .*file/data'; allowed: a folder that can be written"):
        _secret_in(str(tmp_path / "file" / "data"))
