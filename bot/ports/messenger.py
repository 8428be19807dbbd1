"""What is read and written in Slack: messages, dialogs, home tabs, and the ends of workflow steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from bot.core.account.edition import ExportReport
from bot.core.evidence import Observation
from bot.core.record.message import SlackMessage
from bot.core.recovery.recovery import Recovery
from bot.core.reports.alert import Bulletin
from bot.core.reports.followups import FollowUpsReport
from bot.core.reports.hold import HoldReport
from bot.core.reports.kill import KillReport
from bot.core.reports.owner_message import Nudge, OwnerMessage
from bot.core.reports.report import Checklist, Notice, Overview, StatusReport, TimelineReport
from bot.core.reports.step import StepReport
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.waiting import QueueNews, WatchReport
from bot.core.reports.who import UserReport, WhoReport


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, the newest first, without those that were deleted. `cursor` is empty at the end."""

    messages: tuple[SlackMessage, ...]
    cursor: str


class Messages(Protocol):
    """What people wrote in a channel. A channel that the bot may not read is DENIED, not a missing message."""

    async def message(self, channel: str, ts: str) -> Observation[SlackMessage]:
        """One message as it is now, a reply in a thread too, with everyone who marked it."""
        ...

    async def history(
        self, channel: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        """A page of what people wrote in the channel itself, both ends included. THROTTLED says when to continue."""
        ...

    async def replies(
        self, channel: str, thread: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        """A page of the replies in a thread, without its root, in whatever order."""
        ...

    async def permalink(self, channel: str, ts: str, *, thread: str = "") -> Observation[str]: ...


Blocks = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: `text` for notifications and screen readers, `blocks` for the channel.

    `plain` says the same in blocks that every workspace takes; empty where `blocks` are such already.
    """

    text: str
    blocks: Blocks
    plain: Blocks = ()


Report: TypeAlias = (
    UnlockReport
    | KillReport
    | HoldReport
    | OwnerMessage
    | Nudge
    | Notice
    | QueueNews
    | WatchReport
    | Recovery
    | StatusReport
    | Checklist
    | Overview
    | WhoReport
    | UserReport
    | TimelineReport
    | StepReport
    | ExportReport
    | FollowUpsReport
    | Bulletin
)
"""What there is to say: `slack.render` has the words."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that was posted: enough to update it."""

    channel: str
    ts: str


class Messenger(Protocol):
    """Writes to Slack: reports in the words of `slack.render`, or messages that are ready.

    Raises UpstreamError if Slack did not take it (after the retries that its limits ask for). A message may have been
    posted although Passing was raised; an update may simply be made again.
    """

    async def post(self, to: str, what: Report | Message, *, thread: str = "", mark: str = "") -> Posted:
        """Posts to a channel, or to a person (by user id) in their DM with the bot. Nobody sees the `mark`."""
        ...

    async def find(self, to: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        """What was posted there with this mark since then, if it was."""
        ...

    async def update(self, posted: Posted, what: Report | Message) -> None:
        """Shows this in place of what the message says. It keeps its mark."""
        ...

    async def whisper(self, channel: str, user: str, what: Report | Message, *, thread: str = "") -> None:
        """A message in a channel that only this user sees."""
        ...

    async def respond(self, response_url: str, what: Report | Message, *, replace: bool = False) -> None:
        """Answers through a response URL, to the asker only; with `replace` in place of the message they clicked."""
        ...

    async def room(self, user: str) -> str:
        """The channel of the user's DM with the bot."""
        ...

    async def link(self, posted: Posted) -> str: ...

    async def open_dialog(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        """Opens a dialog and returns its id. A trigger lives three seconds and is good for one dialog."""
        ...

    async def update_dialog(self, view_id: str, view: Mapping[str, Any]) -> None: ...

    async def publish_home(self, user: str, view: Mapping[str, Any]) -> None:
        """Shows the user's home tab."""
        ...

    async def complete_step(self, execution: str, outputs: Mapping[str, str]) -> None:
        """Lets the workflow of this step continue. A step that is over already stays as it is."""
        ...

    async def fail_step(self, execution: str, why: str) -> None:
        """Ends the step's workflow with a sentence. A step that is over already stays as it is."""
        ...
