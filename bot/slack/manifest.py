"""The manifest of the Slack app: what it asks for, and where Slack sends its requests.

Source: https://docs.slack.dev/reference/app-manifest. With Socket Mode no address is needed.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from bot.slack.rights import SCOPES

EXAMPLE = "https://YOUR-HOST/slack/events"
"""Where the address has to be put in."""

_PATH = "/slack/events"


def manifest(*, url: str = EXAMPLE, socket: bool = False, hint: str) -> str:
    """The YAML. `hint` is what Slack shows beside the slash command."""
    made = Environment(  # noqa: S701 - YAML, and every value is ours or was checked
        loader=PackageLoader("bot.slack", "."), trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    template = made.get_template("manifest.yml.j2")
    return template.render(url=url, example=EXAMPLE, socket=socket, hint=hint, scopes=SCOPES)


def request_url(given: str) -> str:
    """Where Slack sends everything to, of the address of the bot. Raises ValueError for what Slack cannot reach."""
    try:
        parts = urlsplit(given)
        extra = parts.username or parts.query or parts.fragment
        good = parts.scheme == "https" and bool(parts.hostname) and not extra
    except ValueError:
        good = False
    if not good or any(letter.isspace() or letter in "#\"'{}" for letter in given):
        raise ValueError("must be the bot's public address, as https://tflock.example.com")
    return given.rstrip("/").removesuffix(_PATH) + _PATH
