"""What a local Slack workspace knows: people, channels, messages, files and views. Slack calls a workspace a team."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TEAM = "T0SANDBOX"
DOMAIN = "sandbox"
APP = "A0TFLOCK"
BOT = "B0TFLOCK"
BOT_USER = "U0TFLOCK"
BOT_NAME = "tflock"
SLACKBOT = "USLACKBOT"
TRIGGER_SECONDS = 3.0
RESPONSE_SECONDS = 30 * 60.0
RESPONSE_USES = 5

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class User:
    """A person or a bot. `status_until` and `dnd_until` are Unix seconds; 0: no end, or no such thing."""

    id: str
    name: str
    tz: str = "Europe/Berlin"
    presence: str = "active"
    status_text: str = ""
    status_emoji: str = ""
    status_until: int = 0
    dnd_until: int = 0
    is_guest: bool = False
    is_stranger: bool = False
    is_bot: bool = False
    is_deleted: bool = False
    email: str | None = None
    team: str | None = TEAM
    enterprise: str | None = None


@dataclass(slots=True)
class Place:
    """A channel, or with `direct_to` a user's DM with the bot."""

    id: str
    name: str
    members: list[str]
    is_private: bool = False
    is_archived: bool = False
    is_shared: bool = False
    direct_to: str | None = None


@dataclass(frozen=True, slots=True)
class Usergroup:
    id: str
    handle: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """What a message said before an edit."""

    text: str
    blocks: tuple[Json, ...]


@dataclass(slots=True)
class TeamMessage:
    """A message as it is now. `to`: only that user sees it. `history` has the earlier versions, in order.

    `reactions` has who reacted, by name. `facts` are further fields that Slack shows (`subtype`, `bot_profile` …).
    """

    channel: str
    ts: str
    user: str
    text: str
    blocks: tuple[Json, ...]
    thread_ts: str | None = None
    to: str | None = None
    by_bot: bool = True
    edited_at: str | None = None
    is_deleted: bool = False
    files: tuple[Json, ...] = ()
    history: list[Version] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    facts: Json = field(default_factory=dict)
    metadata: Json | None = None

    def shown(self) -> Json:
        """The message as Slack's methods and payloads show it."""
        view: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text, "team": TEAM}
        if self.by_bot:
            view |= {"bot_id": BOT, "app_id": APP}
        if self.blocks:
            view["blocks"] = copy.deepcopy(list(self.blocks))
        if self.thread_ts:
            view["thread_ts"] = self.thread_ts
        if self.edited_at:
            view["edited"] = {"user": self.user, "ts": self.edited_at}
        if self.files:
            view["files"] = list(self.files)
        if self.reactions:
            view["reactions"] = [
                {"name": name, "users": list(users), "count": len(users)} for name, users in self.reactions.items()
            ]
        return view | copy.deepcopy(self.facts)

    def replace(self, text: str, blocks: Sequence[Json], at: str) -> None:
        """Edits the message; what it said goes to its history."""
        self.history.append(Version(self.text, self.blocks))
        self.text, self.blocks, self.edited_at = text, tuple(blocks), at


@dataclass(slots=True)
class ResponseUrl:
    """Where one interaction may be answered. `source` is the message it came from; None for a slash command."""

    channel: str
    user: str
    source: TeamMessage | None
    made_at: float
    used: int = 0


@dataclass(slots=True)
class Trigger:
    """What opens one dialog for the user whose doing it came from."""

    user: str
    made_at: float
    is_used: bool = False


@dataclass(slots=True)
class Upload:
    """`content` is None until the bytes have come; `shared_in` is None until the upload has been completed.

    `shares` are the messages that show it, by channel.
    """

    id: str
    filename: str
    length: int
    content: bytes | None = None
    title: str = ""
    comment: str = ""
    shared_in: str | None = None
    is_completed: bool = False
    shares: dict[str, list[Json]] = field(default_factory=dict)


SCOPES = (
    "app_mentions:read",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "dnd:read",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:write",
    "reactions:read",
    "usergroups:read",
    "users.profile:read",
    "users:read",
    "users:read.email",
)
"""Those of manifest.yml."""


@dataclass(slots=True)
class Team:
    """All that is in the workspace. `clock` gives Unix seconds. `scopes` are what answers say that the bot's token has.

    `history_page` is the most that one page of messages holds, whatever is asked for: 15 for apps that are sold
    outside of Slack's Marketplace.

    `check` raises Refused for what Slack would not take as a `message`'s blocks, a `modal` or a `home` tab. The demo's
    Slack takes what the bot sends.

    `stacks` are the dialogs that each user has open, the one on top last. `executions` are steps of workflows by id:
    `state` is running, succeeded (with `outputs`) or failed (with `error`).
    """

    clock: Callable[[], float]
    enterprise: str | None = None
    scopes: tuple[str, ...] = SCOPES
    history_page: int | None = None
    users: dict[str, User] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    groups: dict[str, Usergroup] = field(default_factory=dict)
    messages: list[TeamMessage] = field(default_factory=list)
    uploads: dict[str, Upload] = field(default_factory=dict)
    views: dict[str, Json] = field(default_factory=dict)
    stacks: dict[str, list[str]] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    responses: dict[str, ResponseUrl] = field(default_factory=dict)
    executions: dict[str, Json] = field(default_factory=dict)
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    last_ts: int = 0
    check: Callable[[Any, str], None] = lambda _thing, _kind: None

    def fresh(self, prefix: str) -> str:
        """An id that nothing else has."""
        return f"{prefix}{next(self.counter):08X}"

    def stamp(self) -> str:
        """A message's `ts`: seconds and microseconds, never the same twice."""
        self.last_ts = max(self.last_ts + 1, round(self.clock() * 1_000_000))
        seconds, micros = divmod(self.last_ts, 1_000_000)
        return f"{seconds}.{micros:06d}"

    def trigger(self, user: str) -> str:
        """What someone does gives a trigger, which opens a dialog for them."""
        trigger_id = f"{self.fresh('')}.{TEAM}"
        self.triggers[trigger_id] = Trigger(user, self.clock())
        return trigger_id

    def response(self, channel: str, user: str, source: TeamMessage | None) -> str:
        """The secret part of a new response URL."""
        token = f"{TEAM}/{self.fresh('R')}"
        self.responses[token] = ResponseUrl(channel, user, source, self.clock())
        return token

    def keep(
        self,
        channel: str,
        user: str,
        text: str,
        blocks: Sequence[Json] = (),
        *,
        thread_ts: str | None = None,
        to: str | None = None,
        files: tuple[Json, ...] = (),
    ) -> TeamMessage:
        """Stores a message, with a `block_id` and `action_id` wherever the sender gave none, as Slack does."""
        message = TeamMessage(
            channel=channel,
            ts=self.stamp(),
            user=user,
            text=text,
            blocks=self.identified(blocks),
            thread_ts=thread_ts,
            to=to,
            by_bot=user == BOT_USER,
            files=files,
        )
        self.messages.append(message)
        return message

    def identified(self, blocks: Sequence[Json]) -> tuple[Json, ...]:
        """Copies of the blocks with an id on each block and each interactive element."""
        copies = tuple(copy.deepcopy(dict(block)) for block in blocks)
        for block in nested(copies):
            block.setdefault("block_id", self.fresh("b"))
            for element in elements(block):
                element.setdefault("action_id", self.fresh("a"))
        return copies

    def find(self, channel: str, ts: str, *, hidden: bool = False) -> TeamMessage | None:
        """A message that has not been deleted; ephemeral ones only with `hidden`."""
        for message in self.messages:
            if (message.channel, message.ts) == (channel, ts) and not message.is_deleted and (hidden or not message.to):
                return message
        return None

    def direct(self, user: str) -> Place:
        """The user's DM with the bot, opened if need be."""
        for place in self.places.values():
            if place.direct_to == user:
                return place
        place = Place(id=self.fresh("D"), name="", members=[user, BOT_USER], direct_to=user)
        self.places[place.id] = place
        return place


def nested(blocks: Iterable[Json]) -> Iterator[Json]:
    """The blocks, and those inside of containers."""
    for block in blocks:
        yield block
        yield from nested(block.get("child_blocks", ()))


def elements(block: Mapping[str, Any]) -> Iterator[Json]:
    """The interactive elements of a block, not of those inside of it."""
    inside = [*block.get("elements", ()), block.get("accessory"), block.get("element")]
    for element in inside:
        if isinstance(element, dict) and element.get("type") in INTERACTIVE:
            yield element


INTERACTIVE = frozenset(
    {"button", "static_select", "users_select", "overflow", "plain_text_input", "datepicker", "timepicker"}
)
