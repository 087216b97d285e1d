"""
The settings: one frozen object, read from the environment, overridden by flags, checked at once.

The defaults are the embedded system: three SQLite files in the data folder. A wrong value raises InvalidSetting,
which names the setting, the value and what is allowed; secrets and passwords are never shown.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from models.errors import InvalidSetting

_LEAST_SECRET = 32
_SQL = ("sqlite", "mysql+pymysql", "mariadb+pymysql")


def _setting(default: str | None, help_text: str) -> str:
    """A field with its help; environment name PLAYTRAIL_<FIELD>."""
    return field(default=default, metadata={"help": help_text})  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class RawSettings:
    """Every setting as text, with default and help: the one list behind the command line and the README."""

    events: str | None = _setting(
        None, "the event log: sqlite:///FILE or kafka://host:port,host:port [events.db in the data folder]"
    )
    db: str | None = _setting(
        None,
        "catalogue and reactions: an SQLAlchemy URL of SQLite, MySQL or MariaDB [playtrail.db in the data folder]",
    )
    plays: str | None = _setting(
        None, "play aggregates: sqlite:///FILE or hbase://host:9090?prefix=x [plays.db in the data folder]"
    )
    data: str = _setting("data", "folder of the embedded files, the spool and the generated secret")
    topics: str | None = _setting(None, "topics.yaml [beside the checkout, or as installed]")
    secret: str | None = _setting(None, "HS256 secret of the tokens, 32 bytes or more [generated, embedded mode only]")
    jwks: str | None = _setting(None, "JWKS of the tokens' issuer: a URL or a file [none]")
    host: str = _setting("127.0.0.1", "where the gateway listens")
    port: str = _setting("8080", "where the gateway listens; 0 takes a free port")
    metrics: str = _setting("127.0.0.1:9108", "where `consume` serves /metrics and /health; port 0 takes a free one")
    origins: str | None = _setting(None, "origins allowed to call from a browser, comma-separated [none]")
    rate_user: str = _setting("50", "writes a second that one user may make of one gateway; 0 is no limit")
    probe: str = _setting("0", "seconds between probes of the way from an event to what is read; 0 is none")
    rate_address: str = _setting("0", "requests a second from one client address to one gateway; 0 is no limit")
    spool: str = _setting("1024", "how large the spool may become, in MiB")
    replication: str | None = _setting(None, "overrides every topic's replication factor [topics.yaml]")
    log: str = _setting("auto", "own logs: json, console, or auto (by terminal)")


@dataclass(frozen=True, slots=True)
class Settings:
    """
    The settings, checked. ``events``, ``db`` and ``plays`` are complete URLs; ``spool`` is in MiB.

    No address is limited by default: behind a proxy all viewers have one address, and a limit would be for all of
    them together. The address is never taken from a header, since anybody can write one.
    """

    events: str
    db: str = field(repr=False)
    plays: str
    data: Path
    topics: Path | None
    secret: str | None = field(repr=False)
    jwks: str | None = field(repr=False)
    host: str
    port: int
    metrics: tuple[str, int]
    origins: tuple[str, ...]
    rate_user: int
    rate_address: int
    probe: int
    spool: int
    replication: int | None
    log: str

    @property
    def embedded(self) -> bool:
        """Whether all three servers are SQLite files here: then a secret may be generated."""
        return all(url.startswith("sqlite:") for url in (self.events, self.db, self.plays))

    def signing_secret(self) -> str | None:
        """
        The HS256 secret: the setting, else in embedded mode the one generated into the data folder.

        Raises InvalidSetting when there is neither a secret nor a JWKS.
        """
        if self.secret is not None or self.jwks is not None:
            return self.secret
        if not self.embedded:
            allowed = "a secret of 32 bytes or more, or PLAYTRAIL_JWKS, when a real server is used"
            raise InvalidSetting("PLAYTRAIL_SECRET", None, allowed)
        return _generated(self.data / "secret")


def read(environ: Mapping[str, str] | None = None, **flags: str | None) -> Settings:
    """
    Settings from flags (by field name, None when not given), else the environment, else the defaults.

    Raises InvalidSetting. Touches no file and no server.
    """
    environ = os.environ if environ is None else environ
    raw: dict[str, str | None] = {}
    for item in fields(RawSettings):
        given = flags.get(item.name)
        default: str | None = getattr(RawSettings(), item.name)
        raw[item.name] = given if given is not None else environ.get(name_of(item.name)) or default
    data = Path(raw["data"] or "data")
    return Settings(
        events=_events(raw["events"] or _file(data, "events.db")),
        db=_db(raw["db"] or _file(data, "playtrail.db")),
        plays=_plays(raw["plays"] or _file(data, "plays.db")),
        data=data,
        topics=Path(raw["topics"]) if raw["topics"] else None,
        secret=_secret(raw["secret"]),
        jwks=raw["jwks"] or None,
        host=_host("PLAYTRAIL_HOST", raw["host"] or ""),
        port=_port("PLAYTRAIL_PORT", raw["port"] or ""),
        metrics=_address("PLAYTRAIL_METRICS", raw["metrics"] or ""),
        origins=tuple(_origin(o) for o in (raw["origins"] or "").split(",") if o.strip()),
        rate_user=_whole("PLAYTRAIL_RATE_USER", raw["rate_user"] or "", 0, 1_000_000),
        rate_address=_whole("PLAYTRAIL_RATE_ADDRESS", raw["rate_address"] or "", 0, 1_000_000),
        probe=_whole("PLAYTRAIL_PROBE", raw["probe"] or "", 0, 86_400),
        spool=_whole("PLAYTRAIL_SPOOL", raw["spool"] or "", 1, 1_048_576),
        replication=_optional(raw["replication"], _replication),
        log=_log(raw["log"] or ""),
    )


def name_of(setting: str) -> str:
    """The environment variable of a field."""
    return "PLAYTRAIL_" + setting.upper()


def help_of(setting: str) -> str:
    """What a field means, with its default: the text of its flag."""
    return str(RawSettings.__dataclass_fields__[setting].metadata["help"])


def without_password(url: str) -> str:
    """A URL that may be shown."""
    # Up to the last @, since a password that was not escaped may hold any character.
    url = re.sub(r"(?s)^((?:[^:/]*://)?+[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&](?:password|passwd|pwd)=)[^&]*", r"\1***", url)


def _file(data: Path, name: str) -> str:
    return f"sqlite:///{data / name}"


def _optional(value: str | None, check: Callable[[str], int]) -> int | None:
    return None if value is None else check(value)


def _sqlite_path(setting: str, url: str) -> str:
    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise InvalidSetting(setting, without_password(url), "sqlite:///FILE")
    return url


def _events(url: str) -> str:
    if url.startswith("sqlite:"):
        return _sqlite_path("PLAYTRAIL_EVENTS", url)
    hosts = [re.fullmatch(r"[A-Za-z0-9._-]+:([0-9]{1,5})", h) for h in url.removeprefix("kafka://").split(",")]
    if not url.startswith("kafka://") or not all(h and int(h[1]) < 65_536 for h in hosts):
        allowed = "sqlite:///FILE or kafka://host:port,host:port"
        raise InvalidSetting("PLAYTRAIL_EVENTS", without_password(url), allowed)
    return url


def _db(url: str) -> str:
    if url.startswith("sqlite:"):
        return _sqlite_path("PLAYTRAIL_DB", url)
    try:
        parts = urlsplit(url)
        good = parts.scheme in _SQL and parts.hostname and parts.path.strip("/") and (parts.port or 3306)
    except ValueError:  # a port or an IPv6 address that is none
        good = False
    if not good:
        allowed = "sqlite:///FILE, mysql+pymysql://user:password@host:port/database or mariadb+pymysql://…"
        raise InvalidSetting("PLAYTRAIL_DB", without_password(url), allowed)
    return url


def _plays(url: str) -> str:
    if url.startswith("sqlite:"):
        return _sqlite_path("PLAYTRAIL_PLAYS", url)
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        prefix = query.pop("prefix", ["x"])
        named = re.fullmatch(r"hbase://[^/?#@]+/?(\?.*)?", url) and parts.hostname and (parts.port or 9090)
        good = named and not query and len(prefix) == 1 and re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_.-]*", prefix[0])
    except ValueError:
        good = False
    if not good:
        raise InvalidSetting("PLAYTRAIL_PLAYS", without_password(url), "sqlite:///FILE or hbase://host:9090?prefix=x")
    return url


def _secret(value: str | None) -> str | None:
    # Bytes of the environment that are no UTF-8 arrive as surrogates.
    size = 0 if value is None else len(value.encode(errors="surrogateescape"))
    if value is not None and size < _LEAST_SECRET:
        raise InvalidSetting("PLAYTRAIL_SECRET", f"({size} bytes)", f"{_LEAST_SECRET} bytes or more")
    return value


def _port(setting: str, value: str) -> int:
    if not _is_port(value):
        raise InvalidSetting(setting, value, "a port, 0 to 65535")
    return int(value)


def _host(setting: str, value: str) -> str:
    if not _is_host(value):
        raise InvalidSetting(setting, value, "an address or a host name")
    return value


def _address(setting: str, value: str) -> tuple[str, int]:
    found = re.fullmatch(r"([^:\[\]]+|\[[^\[\]]+\]):([^:]*)", value)
    host, port = (found[1].strip("[]"), found[2]) if found else ("", "")
    if not (_is_host(host) and _is_port(port)):
        raise InvalidSetting(setting, value, "host:port, the port 0 to 65535 and an IPv6 address in brackets")
    return host, int(port)


def _is_port(value: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", value) is not None and int(value) < 65_536


def _is_host(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w+)?", value) is not None


def _origin(value: str) -> str:
    if not re.fullmatch(r"(?i)https?://[a-z0-9.-]+(:[0-9]{1,5})?", value.strip()):
        allowed = "scheme://host[:port] without a path, comma-separated"
        raise InvalidSetting("PLAYTRAIL_ORIGINS", without_password(value.strip()), allowed)
    return value.strip().lower()  # as browsers send it


def _replication(value: str) -> int:
    return _whole("PLAYTRAIL_REPLICATION", value, 1, 32)


def _whole(setting: str, value: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,9}", value) or not least <= int(value) <= most:
        raise InvalidSetting(setting, value, f"a whole number, {least} to {most}")
    return int(value)


def _log(value: str) -> str:
    if value not in ("auto", "json", "console"):
        raise InvalidSetting("PLAYTRAIL_LOG", value, "auto, json or console")
    return value


def _generated(path: Path) -> str:
    """
    Read or make the secret; the first of several processes wins.

    The lock is held from the look into the file to the end of the writing, so nobody reads half a secret, and one
    whose writer was killed is written anew.
    """
    import fcntl  # here, since everything else in this module works without it

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            secret = file.read()
            if len(secret) < _LEAST_SECRET:
                secret = secrets.token_urlsafe(48)
                file.seek(0)
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
    except (OSError, UnicodeDecodeError) as error:
        allowed = f"a folder that can be written, for the generated secret ({error})"
        raise InvalidSetting("PLAYTRAIL_DATA", str(path.parent), allowed) from error
    return secret
