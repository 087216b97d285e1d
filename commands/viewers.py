"""token, demo: viewers, real and simulated."""

from __future__ import annotations

import asyncio

import click

from gateway.auth import issue
from models.clock import SystemClock
from models.errors import InvalidSetting, Refused
from models.flags import run_async, with_settings
from models.settings import Settings
from playtrail import PARTS


@click.command()
@click.argument("user", type=int)
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=24, show_default=True, help="Life time.")
@with_settings(*PARTS, "secret", "jwks")
def token(config: Settings, user: int, hours: float) -> None:
    """Print a token for USER (a user id), signed with the secret.

    \b
    Example:
      curl -H "Authorization: Bearer $(playtrail token 7)" http://127.0.0.1:8080/video/like/1
    """

    if not 1 <= user <= 9_999_999_999:
        raise Refused("USER", user, "a user id, 1 to 9999999999")
    click.echo(issue(_secret(config), user, round(hours * 3600), SystemClock().now_ms()))


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The gateway.")
@click.option("--viewers", type=click.IntRange(1, 1000), default=5, show_default=True)
@with_settings(*PARTS, "secret", "jwks", "log")
def demo(config: Settings, url: str, viewers: int) -> None:
    """Simulated viewers against a running gateway, until Ctrl-C.

    \b
    Example:
      playtrail demo --url http://127.0.0.1:8080 --viewers 20
    """
    from gateway.demo.viewers import drive

    async def run(stop: asyncio.Event) -> int:
        click.echo(str(await drive(url, _secret(config), viewers=viewers, stop=stop)))
        return 0

    run_async(run)


def _secret(config: Settings) -> str:
    secret = config.signing_secret()
    if secret is None:
        raise InvalidSetting("PLAYTRAIL_SECRET", None, "the secret; with PLAYTRAIL_JWKS alone the issuer makes tokens")
    return secret
