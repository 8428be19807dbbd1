"""A message of a channel as it bears on the timeline: who wrote it, when, what it says to a reader, who marked it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

_MARK = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
_GROUP = "subteam^"
_DATE = "date^"


@dataclass(frozen=True, slots=True)
class SharedFile:
    name: str
    title: str
    mimetype: str
    permalink: str


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """A message as it is now. Ids are Slack's; `thread` is the root of its thread, empty outside of one.

    `author` is the id of a user, or of a bot that has none; `bot` is the name of a bot or a workflow, empty for people.
    `raw` has Slack's own marks and escapes. `marks` has who reacted, by the reaction's name without a skin tone.
    `by_person` is False for bots and for what Slack writes itself, such as who joined. `latest_reply` is None without
    replies.
    """

    channel: str
    ts: str
    at: datetime
    author: str
    bot: str
    raw: str
    thread: str = ""
    files: tuple[SharedFile, ...] = ()
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_person: bool = True
    latest_reply: datetime | None = None

    @property
    def digest(self) -> str:
        """The same as long as it says the same."""
        return sha256(self.raw.encode("utf-8", "replace")).hexdigest()[:32]


def base_name(reaction: str) -> str:
    """The reaction without its skin tone: `thumbsup::skin-tone-2` is `thumbsup`."""
    return reaction.split("::", 1)[0].strip(":")


def people_in(raw: str) -> tuple[str, ...]:
    """The ids of the users that a text names without saying what they are called."""
    return tuple(dict.fromkeys(id_ for sign, id_, label in _MARK.findall(raw) if sign == "@" and not label))


def channels_in(raw: str) -> tuple[str, ...]:
    """The same of channels."""
    return tuple(dict.fromkeys(id_ for sign, id_, label in _MARK.findall(raw) if sign == "#" and not label))


def readable(raw: str, names: Mapping[str, str]) -> str:
    """The text as people read it: `@quinn`, `#inc-1`, a link's words with its address. `names` are by id.

    Escapes are undone last, so that a typed `&lt;@U1&gt;` stays the words that it is
    (docs.slack.dev/messaging/formatting-message-text).
    """
    shown = _MARK.sub(lambda found: _shown(names, *found.groups(default="")), raw)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def _shown(names: Mapping[str, str], sign: str, target: str, label: str) -> str:
    match sign:
        case "@":
            return f"@{(label or names.get(target, target)).removeprefix('@')}"
        case "#":
            return f"#{(label or names.get(target, target)).removeprefix('#')}"
        case "!" if target.startswith(_DATE):
            return label or target
        case "!":
            return f"@{(label or target.removeprefix(_GROUP)).removeprefix('@')}"
        case _:
            return _link(target, label)


def _link(address: str, label: str) -> str:
    bare = address.removeprefix("mailto:")
    return f"{label} ({bare})" if label and label not in {bare, address} and not bare.endswith(f"//{label}") else bare


def file_names(files: Iterable[SharedFile]) -> str:
    return ", ".join(file.title or file.name for file in files)
