"""A follow-up on its way into a ticket system: what the ticket says, and what became of filing it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.core.account.values import FollowUp
from bot.core.phrase import Linked, Part, Person, Phrase, Quoted, one_line
from bot.core.record.redact import redact

_TITLE = 200
_TEXT = 1_000
_STEPS = 20
_APART = "\u200b"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is filed. `marker` is found again in the ticket whatever becomes of the answer.

    `title` is one line in which nothing refers to anyone. `facts` are labels with what they say; `names` are what
    people are called, by id.
    """

    marker: str
    title: str
    reason: Phrase
    todo: tuple[Phrase, ...]
    facts: tuple[tuple[str, Phrase], ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


class FileResult(StrEnum):
    """REFUSED and LATER: nothing was filed. NOT_KNOWN: the request may have been taken; look before filing again."""

    FILED = "filed"
    REFUSED = "refused"
    LATER = "later"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Filing:
    """`url` is the ticket's page. `detail` says in plain words why there is none; `retry_after` is in seconds."""

    result: FileResult
    url: str = ""
    detail: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class TicketReadiness:
    """Whether tickets could be filed, as far as that can be known without filing one. `fix` is empty where they can."""

    is_ready: bool
    detail: str
    fix: str = ""


def digest_of(key: str) -> str:
    """Short for a proposal's key, in any place that takes only letters and digits."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()[:12]


def marker_of(incident_id: str, key: str) -> str:
    """Names one proposal of one incident. Jira's labels take it: no blanks, 255 characters at most."""
    return f"tflock-{incident_id}-{digest_of(key)}"


def ticket_of(
    followup: FollowUp, incident_id: str, facts: tuple[tuple[str, Phrase], ...], names: Mapping[str, str]
) -> Ticket:
    """The ticket of a proposal, without the secrets in people's words."""
    return Ticket(
        marker=marker_of(incident_id, followup.key),
        title=ticket_title(followup.title),
        reason=_cut(followup.reason),
        todo=tuple(_cut(step) for step in followup.todo[:_STEPS]),
        facts=tuple((label, _cut(phrase)) for label, phrase in facts),
        names={user: redact(name) for user, name in names.items()},
    )


def ticket_title(text: str) -> str:
    """One line that the systems take, in which nobody is mentioned: GitLab notifies people from titles too."""
    line = one_line(redact(text))
    short = line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"
    return short.replace("@", f"@{_APART}").replace("#", f"#{_APART}") or "Follow-up"


def _cut(phrase: Phrase) -> Phrase:
    return tuple(_short(part) for part in phrase)


def _short(part: Part) -> Part:
    match part:
        case str():
            return redact(part)[:_TEXT]
        case Quoted(text):
            return Quoted(redact(text)[:_TEXT])
        case Linked(text, url):
            return Linked(redact(text)[:_TEXT], None if url is None else redact(url))
        case Person(slack_id, name):
            return Person(slack_id, redact(name))
        case _:
            return part


def dump_followup(followup: FollowUp) -> dict[str, Any]:
    """A proposal with all the values in its words, as JSON."""
    return {
        "key": followup.key,
        "title": followup.title,
        "reason": _dump(followup.reason),
        "todo": [_dump(step) for step in followup.todo],
    }


def load_followup(given: Mapping[str, Any]) -> FollowUp:
    """What `dump_followup` made. Raises KeyError, ValueError or TypeError for anything else."""
    todo = tuple(_load(step) for step in given["todo"])
    return FollowUp(str(given["key"]), str(given["title"]), _load(given["reason"]), todo)


def _dump(phrase: Phrase) -> list[list[str | float | None]]:
    return [_dump_part(part) for part in phrase]


def _dump_part(part: Part) -> list[str | float | None]:
    match part:
        case str():
            return ["text", part]
        case Quoted(text):
            return ["quoted", text]
        case Linked(text, url):
            return ["linked", text, url]
        case Person(slack_id, name):
            return ["person", slack_id, name]
        case datetime():
            return ["at", part.astimezone(UTC).isoformat()]
        case timedelta():
            return ["span", part.total_seconds()]


def _load(given: Any) -> Phrase:
    return tuple(_load_part(part) for part in given)


def _load_part(given: Any) -> Part:
    match given:
        case ["text", str(text)]:
            return text
        case ["quoted", str(text)]:
            return Quoted(text)
        case ["linked", str(text), url]:
            return Linked(text, url)
        case ["person", slack_id, str(name)]:
            return Person(slack_id, name)
        case ["at", str(text)]:
            return datetime.fromisoformat(text)
        case ["span", int() | float() as seconds]:
            return timedelta(seconds=seconds)
        case _:
            raise ValueError("not a part of a phrase")
