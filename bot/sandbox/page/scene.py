"""What one person sees of the local workspace at one place, as HTML in regions of keyed items.

A region is a list of (key, HTML): the browser replaces the items that have changed and leaves the others alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, TypeAlias
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bot.sandbox.page.blocks import drawn, text
from bot.sandbox.page.document import message
from bot.sandbox.page.emoji import emoji
from bot.sandbox.page.mrkdwn import Reader, formatted
from bot.sandbox.slack.team import BOT_USER, SLACKBOT, Place, Team, TeamMessage, User
from bot.sandbox.slack.workspace import SlackWorkspace

HOME, DIRECT = "home", "direct"
"""The app's two tabs, beside the channels' ids."""

NEWEST = 80
SHORTCUTS = {
    "check_lock": "Check the lock",
    "explain_error": "Explain this error",
    "add_to_timeline": "Add to tflock timeline",
}
"""The app's message shortcuts, as in manifest.yml."""

Item: TypeAlias = tuple[str, str]
Regions: TypeAlias = dict[str, list[Item]]

_COLOURS = 4


@dataclass(frozen=True, slots=True)
class Guide:
    """What the page says of itself: who can be played and what they want, how it began, and what may be tried.

    `tries` are labels and commands; `terminal` is what to type in another terminal.
    """

    people: Mapping[str, str]
    story: str
    tries: Sequence[tuple[str, str]] = ()
    terminal: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """`place` is a channel's id, HOME or DIRECT; empty: the list of places. `thread` is its root's `ts`.

    `read` has the `ts` that was seen last, by person and channel; `kept` are messages as they were drawn.
    """

    slack: SlackWorkspace
    guide: Guide
    user: str
    place: str
    thread: str = ""
    read: dict[tuple[str, str], str] = field(default_factory=dict)
    kept: dict[tuple[object, ...], str] = field(default_factory=dict)

    @property
    def team(self) -> Team:
        return self.slack.team

    @property
    def direct(self) -> str:
        """The id of this person's DM with the bot."""
        return self.team.direct(self.user).id

    @property
    def is_channel(self) -> bool:
        return self.place not in ("", HOME, DIRECT)

    @property
    def channel(self) -> str:
        """The id of the conversation that is shown; empty where there is none."""
        return self.direct if self.place == DIRECT else self.place if self.is_channel else ""

    @property
    def title(self) -> str:
        return f"#{self.team.places[self.place].name}" if self.is_channel else "tflock"

    def regions(self) -> Regions:
        """All that may change while someone looks, by the id of its element."""
        reader = self._reader()
        shown = self._messages()
        if shown:
            self.read[self.user, self.channel] = shown[-1].ts
        in_thread = [one for one in shown if self.thread and self.thread in (one.ts, one.thread_ts)]
        replies = Counter(one.thread_ts for one in shown if one.thread_ts != one.ts and not one.to)
        top = [one for one in shown if not _is_reply(one)][-NEWEST:]
        return {
            "people": [("people", _part("people")(self))],
            "places": [("places", _part("places")(self))],
            "feed": [self._item(one, reader, replies[one.ts]) for one in top] or self._instead(reader),
            "thread": [self._item(one, reader, None) for one in in_thread],
            "dialogs": self._dialog(reader),
        }

    def pulse(self) -> tuple[object, ...]:
        """Changes when a region may have changed, and costs little."""
        messages = (
            (one.ts, len(one.history), one.is_deleted, *((name, len(users)) for name, users in one.reactions.items()))
            for one in self.team.messages
        )
        views = ((view["id"], view["hash"]) for view in self.team.views.values())
        stacks = tuple(self.team.stacks.get(self.user, ()))
        return (*messages, *views, stacks, tuple(self.read.items()))

    def whole(self) -> Markup:
        """The page around the regions, which are empty."""
        members = len(self.team.places[self.place].members) if self.is_channel else 0
        return Markup(_part("whole")(self, self.title, members))

    def address(self, *, user: str | None = None, place: str | None = None, thread: str | None = None) -> str:
        """This page's address, with some of it changed."""
        at = {
            "as": self.user if user is None else user,
            "in": self.place if place is None else place,
            "thread": self.thread if thread is None else thread,
        }
        return "/?" + urlencode({name: value for name, value in at.items() if value})

    def channels(self) -> list[Place]:
        """The channels that this person is in."""
        return [one for one in self.team.places.values() if self.user in one.members and not one.direct_to]

    def persons(self) -> Iterator[tuple[User, str, str, int]]:
        """Who can be played: what they want, the same place for them, and how much the bot wrote to them unseen."""
        for key, wants in self.guide.people.items():
            inside = not self.is_channel or key in self.team.places[self.place].members
            href = self.address(user=key, place=None if inside else DIRECT, thread=None if inside else "")
            yield self.team.users[key], wants, href, 0 if key == self.user else self.new(key, self.team.direct(key).id)

    def new(self, user: str, channel: str) -> int:
        """How many messages of others a person has not seen there."""
        seen = self.read.get((user, channel), "")
        there = (one for one in self.team.messages if one.channel == channel and one.ts > seen and not one.is_deleted)
        return sum(one.user != user and one.to in (None, user) for one in there)

    def number(self, user: str) -> int:
        """Which colour a person's avatar has."""
        people = [one for one in self.team.users if one != BOT_USER]
        return people.index(user) % _COLOURS if user in people else 0

    def _reader(self) -> Reader:
        users = {user.id: user.name for user in self.team.users.values() if not user.is_deleted}
        names = users | {place.id: place.name for place in self.team.places.values()}
        return Reader(names, ZoneInfo(self.team.users[self.user].tz))

    def _messages(self) -> list[TeamMessage]:
        """What this person sees here, in order."""
        there = (one for one in self.team.messages if one.channel == self.channel and not one.is_deleted)
        return [one for one in there if one.to in (None, self.user)]

    def _instead(self, reader: Reader) -> list[Item]:
        """What is shown where there are no messages: the home tab, or a word."""
        quiet = Markup('<p class="quiet">{}</p>')
        view = self.slack.home(self.user)
        if self.place == DIRECT:
            return [("none", quiet.format("tflock has written nothing to you yet."))]
        if self.place != HOME:
            return []
        if view is None:
            return [("none", quiet.format("tflock is drawing this tab …"))]
        tab = Markup('<div class="view" data-view="{}">{}</div>').format(view["id"], drawn(view["blocks"], reader))
        return [("home", tab)]

    def _item(self, one: TeamMessage, reader: Reader, replies: int | None) -> Item:
        """A message; drawn again only when something about it has changed. None for `replies`: it is in its thread."""
        reactions = tuple((name, len(users)) for name, users in one.reactions.items())
        state = (self.address(), one.channel, one.ts, len(one.history), reactions, replies)
        if state not in self.kept:
            self.kept[state] = str(self._drawn(one, reader, replies))
        return one.ts, self.kept[state]

    def _drawn(self, one: TeamMessage, reader: Reader, replies: int | None) -> Markup:
        user = self.team.users.get(one.user)
        name = user.name if user else "Slackbot" if one.user == SLACKBOT else one.user
        words = Markup('<div class="text">{}</div>').format(formatted(one.text, reader))
        said = drawn(one.blocks, reader) if one.blocks else words
        below = Markup(_part("below")(self, one, replies, name))
        return message(
            name,
            f"{datetime.fromtimestamp(float(one.ts), reader.zone):%-I:%M %p}",
            said + below,
            is_app=user is None or user.is_bot,
            note="Only visible to you" if one.to else "",
            facts=Markup(' data-message="{} {}" data-by="{}"').format(one.channel, one.ts, self.number(one.user)),
        )

    def _dialog(self, reader: Reader) -> list[Item]:
        """The dialog on top, if one is open."""
        views = self.slack.dialogs(self.user)
        return [(str(view["root_view_id"]), _form(view, reader)) for view in views[-1:]]


def _form(view: Mapping[str, Any], reader: Reader) -> str:
    close = text(view["close"], reader) if view.get("close") else "Close"
    submit = text(view["submit"], reader) if view.get("submit") else ""
    return _part("dialog")(view, text(view.get("title"), reader), drawn(view["blocks"], reader), close, submit)


def _is_reply(one: TeamMessage) -> bool:
    return one.thread_ts not in (None, one.ts) and one.facts.get("subtype") != "thread_broadcast"


@cache
def _part(name: str) -> Callable[..., str]:
    """A macro of the template."""
    environment = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    environment.globals |= {"emoji": emoji, "shortcuts": SHORTCUTS}
    source = resources.files("bot.sandbox.page").joinpath("page.html.j2").read_text("utf-8")
    macro: Callable[..., str] = getattr(environment.from_string(source).module, name)
    return macro
