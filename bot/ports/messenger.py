"""What is read and written in Slack: messages, dialogs, steps of workflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bot.core.evidence import Observation
from bot.core.record.message import Said
from bot.core.reports.kill import KillReport
from bot.core.reports.letter import OwnerLetter
from bot.core.reports.report import Notice
from bot.core.reports.step import StepReport
from bot.core.reports.unlock import UnlockReport


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, the newest first, without those that were deleted. `cursor` is empty at the end."""

    messages: tuple[Said, ...]
    cursor: str


class Messages(Protocol):
    """What was said in a channel. A channel that the bot may not read is DENIED, not a message that is not there."""

    async def message(self, channel: str, ts: str) -> Observation[Said]:
        """One message as it stands now, a reply in a thread too, with everybody who marked it."""
        ...

    async def history(
        self, channel: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        """A page of what was said in the channel itself, both ends included. THROTTLED says when to go on."""
        ...

    async def replies(
        self, channel: str, thread: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        """A page of the replies in a thread, without its root, in whatever order."""
        ...

    async def permalink(self, channel: str, ts: str, *, thread: str = "") -> Observation[str]: ...


Blocks = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands: enough to update it."""

    channel: str
    ts: str


class Notifier(Protocol):
    """Writes to Slack. Raises UpstreamError if Slack did not take it (after the retries that its limits ask for)."""

    async def post(self, channel: str, *, text: str, blocks: Blocks, thread: str | None = None) -> Posted: ...

    async def whisper(self, channel: str, user: str, *, text: str, blocks: Blocks, thread: str | None = None) -> None:
        """A message that only this user sees."""
        ...

    async def update(self, posted: Posted, *, text: str, blocks: Blocks) -> None: ...

    async def direct(
        self, user: str, *, text: str, blocks: Blocks, mark: str = "", thread: str | None = None
    ) -> Posted:
        """A message to one user in his DM with the bot, with a mark on it that nobody sees."""
        ...

    async def find_direct(self, user: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        """The message in his DM that has this mark, if it was written since."""
        ...

    async def respond(self, response_url: str, *, text: str, blocks: Blocks, replace: bool = False) -> None:
        """Answers through a response URL, to the asker alone; with `replace` in place of the message he clicked in."""
        ...


class Views(Protocol):
    """Slack's dialogs and home tabs. Raises UpstreamError if Slack did not take it."""

    async def open(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        """Opens a dialog and returns its id. A trigger lives three seconds and is good for one dialog."""
        ...

    async def update(self, view_id: str, view: Mapping[str, Any]) -> None: ...

    async def publish(self, user: str, view: Mapping[str, Any]) -> None:
        """Shows the user's home tab."""
        ...


class Teller(Protocol):
    """Says the use cases' reports in Slack, in the words of `slack.render`. Raises UpstreamError like Notifier."""

    async def unlock(self, report: UnlockReport) -> Posted:
        """Posts the request's message, or updates it if `report.request.ts` says that it stands already."""
        ...

    async def kill(self, report: KillReport) -> Posted:
        """As `unlock`."""
        ...

    async def letter(self, owner: str, letter: OwnerLetter, *, posted: Posted | None = None, mark: str = "") -> Posted:
        """Writes to the owner, with a mark on it, or updates what was written."""
        ...

    async def nudge(self, owner: str, letter: OwnerLetter, posted: Posted, *, mark: str) -> Posted:
        """Says below what was written that it says something new, which an update of it tells nobody."""
        ...

    async def find_letter(self, owner: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        """What was written to the owner with this mark, if it was."""
        ...

    async def notice(self, channel: str, notice: Notice, *, thread: str = "", posted: Posted | None = None) -> Posted:
        """Says something to the whole channel, or in the place of what was said there before."""
        ...

    async def whisper(self, channel: str, user: str, notice: Notice) -> None:
        """Says something to one person in a channel."""
        ...


class Steps(Protocol):
    """Steps of workflows in Slack. Raises UpstreamError like Notifier."""

    async def show(self, report: StepReport, *, posted: Posted | None = None) -> Posted:
        """Posts the step's message in its channel, or updates it."""
        ...

    async def find(self, execution: str, channel: str, *, since: datetime) -> Posted | None:
        """The step's message, by its mark, if it was posted since."""
        ...

    async def complete(self, execution: str, outputs: Mapping[str, str]) -> None:
        """Lets the workflow go on. A step that is over already stays as it is."""
        ...

    async def fail(self, execution: str, why: str) -> None:
        """Ends the workflow with a sentence. A step that is over already stays as it is."""
        ...
