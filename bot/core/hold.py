"""A hold: a lock of tflock's own, as Terraform would write it, so that everyone's Terraform prints who holds the
state, why, until when, and where.

Nobody writes a state under a hold, and no run has it. What a hold says is in its lock: it can be shown without any
record of it. Source of the form: the contract's "Holds".
"""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.core.lock import LockInfo, LockSeen
from bot.core.phrase import Phrase, Quoted, one_line

OPERATION = "tflock hold"

USUALLY = timedelta(minutes=30)
LONGEST = timedelta(hours=24)
SHORTEST = timedelta(minutes=1)

_LONGEST_REASON = 200
_LONGEST_NAME = 80
_INFO = re.compile(
    r"(?P<why>.*); until (?P<until>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}) UTC; (?P<link>\S+); hold (?P<ref>[\w.-]+)",
    re.ASCII | re.DOTALL,
)
_BY = re.compile(r"tflock@(?P<channel>.*?) \(@(?P<user>.*)\)", re.DOTALL)
_YEARS = range(2000, 9000)
_NO_REASON = "no reason given"
_NO_LINK = "-"


@dataclass(frozen=True, slots=True)
class HoldWords:
    """What the lock of a hold says. `ref` names the hold; what cannot be read is empty, and `until` None."""

    ref: str
    user: str
    channel: str
    reason: str
    until: datetime | None
    link: str


def is_hold(info: LockInfo) -> bool:
    """Whether it is a hold's lock. No operation of Terraform's has this name."""
    return info.operation == OPERATION


def hold_in(seen: LockSeen) -> LockInfo | None:
    """The hold that the state has now, in any place."""
    return next((info for info in seen.locks if is_hold(info)), None)


def words_of(info: LockInfo) -> HoldWords | None:
    """What the hold says of itself; None for a lock that is no hold's. Never raises."""
    return said_in(info.who, info.info) if is_hold(info) else None


def said_in(who: str, text: str) -> HoldWords:
    """What a hold says in the `Who` and the `Info` of its lock. Never raises."""
    said, by = _INFO.fullmatch(text), _BY.fullmatch(who)
    user, channel = (by["user"], by["channel"]) if by else ("", "")
    if said is None:
        return HoldWords("", user, channel, one_line(text), None, "")
    why = "" if said["why"] == _NO_REASON else said["why"]
    link = "" if said["link"] == _NO_LINK else said["link"]
    return HoldWords(said["ref"], user, channel, why, _instant(said["until"]), link)


def hold_info(lock_id: str, said: HoldWords, *, created: datetime, path: str) -> LockInfo:
    """The lock info of a hold that says this. `lock_id` is a UUID: Azure takes nothing else for a lease.

    Raises ValueError for a hold without an end.
    """
    if said.until is None:
        raise ValueError("a hold has an end")
    why = one_line(said.reason)[:_LONGEST_REASON].rstrip(" ;.") or _NO_REASON
    ends = f"{said.until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return LockInfo(
        id=lock_id,
        operation=OPERATION,
        info=f"{why}; until {ends}; {_word(said.link) or _NO_LINK}; hold {said.ref}",
        who=f"tflock@{_name(said.channel)} (@{_name(said.user)})",
        version="tflock",
        created=created.astimezone(UTC),
        path=path,
    )


def prolonged(info: LockInfo, until: datetime) -> LockInfo:
    """The same hold with another end. Raises ValueError for a lock that is no hold's."""
    said = words_of(info)
    if said is None or not said.ref:
        raise ValueError("not a hold's lock")
    return replace(info, info=hold_info(info.id, replace(said, until=until), created=info.created, path=info.path).info)


def throw_away(now: datetime) -> LockInfo:
    """A hold to try a store on."""
    said = HoldWords(secrets.token_hex(4), "tflock", "tflock", "a throw-away lock", now + timedelta(minutes=1), "")
    return hold_info(str(uuid.uuid4()), said, created=now, path="")


def is_of(info: LockInfo | None, hold: LockInfo) -> bool:
    """Whether a lock that was read is this very hold's, with its present end or another.

    A store may have given the lock another ID than the one in its text (Cloud Storage shows the generation).
    """
    if info is None:
        return False
    mine, theirs = words_of(hold), words_of(info)
    if mine is None or theirs is None or not mine.ref or mine.ref != theirs.ref:
        return False
    return (info.who, info.created) == (hold.who, hold.created)


def held_by(said: HoldWords, *, now: datetime | None = None) -> Phrase:
    """`held by quinn until 12:30`, for after a state's name; that it is over by `now`, if it is."""
    by: Phrase = ("held by ", Quoted(said.user) if said.user else Quoted("tflock"))
    if said.until is None:
        return by
    if now is not None and now >= said.until:
        return (*by, ", which ended at ", said.until)
    return (*by, " until ", said.until)


def _instant(text: str) -> datetime | None:
    """None also for a year with which nothing can be counted: anyone who can write the store can write one."""
    try:
        found = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if found.year in _YEARS else None


def _name(text: str) -> str:
    """A name such that what is read from a lock gives the same lock again."""
    return one_line(text)[:_LONGEST_NAME].rstrip()


def _word(text: str) -> str:
    """A link without anything that a terminal or the form above would read otherwise."""
    return text if text.isprintable() and text.isascii() and not set(text) & set(" ;") else ""
