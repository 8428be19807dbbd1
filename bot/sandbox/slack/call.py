"""What the methods of the local workspace's Web API share: refusals, arguments, pages, and whom a call is about.

A method takes its arguments and gives its answer without `ok`; it raises Refused for an answer of `"ok": false`.
Shapes and errors follow docs.slack.dev/reference/methods.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bot.sandbox.slack.team import BOT_USER, Json, Place, Team, User

T = TypeVar("T")
Args = Mapping[str, Any]
Method = Callable[[Team, Args], Json]


class ApiError(Exception):
    """Slack's `"ok": false`. `facts` are further fields of the answer."""

    def __init__(self, error: str, **facts: Any) -> None:
        super().__init__(error)
        self.error = error
        self.facts = facts


@dataclass(frozen=True, slots=True)
class PageSize:
    """How a collection is cut: the size if the caller names none, and the largest that they may name."""

    usual: int = 100
    most: int = 1000


def place_of(team: Team, channel: Any) -> Place:
    """The place that the bot may know of. A private channel that it is not in does not exist for it."""
    place = team.places.get(str(channel))
    if place is None or (place.is_private and BOT_USER not in place.members):
        raise ApiError("channel_not_found")
    return place


def writable(team: Team, channel: Any) -> Place:
    """The place, if the bot may write there. A user's id stands for their DM."""
    place = team.direct(str(channel)) if str(channel) in team.users else place_of(team, channel)
    if BOT_USER not in place.members:
        raise ApiError("not_in_channel")
    if place.is_archived:
        raise ApiError("is_archived")
    return place


def user_of(team: Team, user: Any) -> User:
    if str(user) not in team.users:
        raise ApiError("user_not_found")
    return team.users[str(user)]


def truthy(value: Any) -> bool:
    return value in (True, 1, "1", "true", "True")


def decoded(value: Any) -> Any:
    """An argument that form bodies carry as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def paged(items: Sequence[T], args: Args, page: PageSize) -> tuple[Sequence[T], Json]:
    """One page and its `response_metadata`. Every second page is a third short, well before the end."""
    limit, start = _limit(args, page), _position(args)
    length = max(1, limit * 2 // 3) if (start // limit) % 2 else limit
    end = start + length
    cursor = base64.b64encode(f"at:{end}".encode()).decode() if end < len(items) else ""
    return items[start:end], {"response_metadata": {"next_cursor": cursor}}


def _limit(args: Args, page: PageSize) -> int:
    try:
        limit = int(args.get("limit") or page.usual)
    except ValueError:
        raise ApiError("invalid_limit") from None
    if not 1 <= limit <= page.most:
        raise ApiError("invalid_limit")
    return limit


def _position(args: Args) -> int:
    cursor = str(args.get("cursor") or "")
    if not cursor:
        return 0
    try:
        word, _, position = base64.b64decode(cursor, validate=True).decode().partition(":")
        return int(position) if word == "at" else int("")
    except (ValueError, binascii.Error):
        raise ApiError("invalid_cursor") from None
