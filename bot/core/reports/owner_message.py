"""The message to the owner of a lock, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.gate.ending import short_name
from bot.core.gate.inspection import StateName
from bot.core.lock import LockInfo
from bot.core.people import OwnerAnswer
from bot.core.run import Conclusion, Phase, Run


class OwnerNews(StrEnum):
    """What an owner hears about their lock, in the order of its weight: the weightiest is the headline."""

    ASKED = "somebody asks about your lock"
    BLOCKS = "others wait for your lock"
    RUN_DIED = "your run has ended and still holds the lock"
    UNLOCK_WANTED = "somebody wants to unlock"
    RELEASED = "your lock was released"

    @property
    def weight(self) -> int:
        return list(OwnerNews).index(self)


@dataclass(frozen=True, slots=True)
class OwnerNotice:
    """One thing that the owner heard. `by` asked or acted, in `channel`; empty where the bot saw it itself."""

    news: OwnerNews
    at: datetime
    by: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class HolderRun:
    """The run that holds the lock, as it was at the owner's last message."""

    title: str
    url: str
    phase: Phase
    conclusion: Conclusion | None = None
    ended_at: datetime | None = None

    @staticmethod
    def of(run: Run) -> HolderRun:
        return HolderRun(short_name(run).text, run.ref.url, run.phase, run.conclusion, run.ended_at)


class OwnerMessageStatus(StrEnum):
    """Whether an answer is still wanted. `GONE`: the lock went away without the bot; `MOVED`: it is another's lock."""

    OPEN = "open"
    GONE = "gone"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class OwnerMessage:
    """The message to the owner of a lock, which holds everything that they heard about it: `history`, oldest first.

    `news` is the headline, with the one who asked and where; `link` is the address of the request's message. With
    `answer` set, the message shows what they said, with a button to take it back or change it. `waiting` counts the
    runs that wait for the lock. `disturbs` says that they are notified although they are on do-not-disturb.
    """

    news: OwnerNews
    state: StateName
    lock: LockInfo
    asker: str
    channel: str
    request: str
    run: HolderRun | None = None
    answer: OwnerAnswer | None = None
    history: tuple[OwnerNotice, ...] = ()
    waiting: int = 0
    link: str = ""
    status: OwnerMessageStatus = OwnerMessageStatus.OPEN
    disturbs: bool = False


@dataclass(frozen=True, slots=True)
class Nudge:
    """The line below the message that names the owner, so that Slack notifies them: it does so of no update."""

    owner: str
    message: OwnerMessage
