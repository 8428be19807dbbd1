"""What the use cases need from the world, as small protocols. Adapters implement them; only `bot.app` knows which.

Adapters answer a *question* with an observation (`bot.core.evidence`) and never raise for anything that the other
system did. They raise `bot.errors` only where the docstring says so. Every call has a time-out of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from bot.core.account import Account
from bot.core.alert import Bulletin
from bot.core.edition import ExportReport
from bot.core.evidence import Observation
from bot.core.followups import FollowUpsReport
from bot.core.incident import Incident
from bot.core.lock import Half, HalfRelease, LockSeen, StateCheck, TableSeen
from bot.core.message import Said
from bot.core.people import Channel, Member, Presence, Roll, Whereabouts
from bot.core.queue import QueueNews
from bot.core.report import KillReport, Notice, OwnerLetter, UnlockReport
from bot.core.run import Cancelled, Pipeline, Run, RunRef, Switched
from bot.core.step import StepReport
from bot.core.ticket import Filing, Readiness, Ticket
from bot.core.timeline import Draft, Entry

__all__ = [
    "Appended",
    "Blocks",
    "Channel",
    "Clock",
    "Directory",
    "Exporter",
    "Jobs",
    "Journal",
    "LockBackend",
    "LockSweep",
    "Member",
    "MessagePage",
    "Messages",
    "Notifier",
    "Posted",
    "Presence",
    "Records",
    "Roll",
    "RunSource",
    "Sharing",
    "Steps",
    "Target",
    "Teller",
    "Tickets",
    "Views",
    "Whereabouts",
    "Written",
]


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


class LockBackend(Protocol):
    """Where one state and its lock live. Bound to one state of the configuration."""

    async def read_lock(self) -> LockSeen:
        """Reads all halves at the same time, strongly consistent. Never raises for what the store says."""
        ...

    async def read_state(self) -> StateCheck:
        """Looks at the state object and the digest. Streams the object; memory does not grow with it."""
        ...

    async def read_table(self) -> TableSeen | None:
        """What is known of the lock table; None for a state without one. Never raises for what the store says.

        Takes two seconds at most. May be a minute old, but not older than the last read that the table throttled.
        """
        ...

    async def release(self, half: Half) -> HalfRelease:
        """Deletes exactly the lock whose fence `half` carries, or nothing. One attempt, no retry inside.

        After an outcome that the store left open (a time-out, a cut connection) it reads again and says what stands
        there now; `NOT_KNOWN` only if that read fails as well.
        """
        ...


class LockSweep(Protocol):
    """The locks of many states at once, in as few calls as their stores allow."""

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        """What each of these configured states' `LockBackend.read_lock` would say. Never raises for what a store says.

        Takes half a minute at most: what was not read by then is unseen, and nothing is free that was not read.
        """
        ...


class RunSource(Protocol):
    """One configured CI system. `name` is its key in the configuration, `system` its proper name (`GitHub Actions`)."""

    @property
    def name(self) -> str: ...

    @property
    def system(self) -> str: ...

    @property
    def escalate_after(self) -> timedelta:
        """How long the system itself takes over a polite end, before an end by force is called for."""
        ...

    async def runs(self, pipeline: Pipeline, *, since: datetime) -> Observation[tuple[Run, ...]]:
        """Every run of the pipeline with any attempt that may have been going on at or after `since`, newest first,
        as the list tells it: without jobs. Runs that are going on now are always among them.

        An incomplete list is never `Found`: if a page or too much of the history could not be read, it is `Unseen`.
        One exception: of a GitHub workflow with 1,000 runs or more in 65 days, a run created more than three days
        before `since` that is completed by now (a re-run, or a run that took days) is not among them.
        """
        ...

    async def with_jobs(self, run: Run) -> Observation[Run]:
        """A listed run, read afresh, with the jobs of all its attempts.

        The list may be stale: what is returned is the fresh run. Where the run and its jobs disagree on whether
        something still goes on, the run has not ended. A run whose jobs could not be read has `jobs=None` and
        `jobs_missing`, and has not ended either.
        """
        ...

    async def run(self, ref: RunRef) -> Observation[Run]:
        """One run with the jobs of all its attempts, read now, as `with_jobs` does.

        The returned run's `ref` names the configured pipeline that the run belongs to, if there is one.
        """
        ...

    def ref_from_url(self, url: str) -> RunRef | None:
        """The run that a URL of this system means, if it belongs to a configured pipeline's scope; else None.

        Makes no request. The pipeline's fields beyond the scope may be unknown until the run has been read.
        """
        ...

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        """Asks for the end of a run, or with `force` for an end that does not wait for the runner."""
        ...

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        """Stops the pipeline from being started (or lets it be started again)."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Appended:
    """`added` is False where the draft's `once` key was there already; `entry` is then the earlier entry."""

    entry: Entry
    added: bool


class Journal(Protocol):
    """The timelines of the incidents. Every method raises JournalAway if the store cannot be reached in time."""

    async def open(self, *, channel: str, title: str, by: str, at: datetime) -> tuple[Incident, bool]:
        """The channel's open incident, or a new one; True if it is new. Two callers at once get the same one.

        A new one's first entry, `incident.opened`, is appended with it.
        """
        ...

    async def current(self, channel: str) -> Incident | None:
        """The channel's open incident."""
        ...

    async def find(self, incident_id: str) -> Incident | None: ...

    async def incidents(self, *, open_only: bool = False, limit: int = 100) -> tuple[Incident, ...]:
        """Newest first."""
        ...

    async def append(self, incident_id: str, draft: Draft) -> Appended:
        """Adds an entry to the chain, once. Raises JournalAway, also if the incident is unknown."""
        ...

    def entries(self, incident_id: str, *, after: str | None = None) -> AsyncIterator[Entry]:
        """All entries in order, from behind the entry `after`, in bounded memory."""
        ...

    async def tail(self, incident_id: str, count: int) -> tuple[Entry, ...]:
        """The last `count` entries in order."""
        ...

    async def page(self, incident_id: str, *, before: str | None, count: int) -> tuple[Entry, ...]:
        """The `count` entries in order that end right before the entry `before`; the newest for None."""
        ...

    async def entry(self, incident_id: str, entry_id: str) -> Entry | None: ...

    async def corrections(self, incident_id: str) -> tuple[Entry, ...]:
        """The entries that correct others, in order. What it reads grows with them, not with the timeline."""
        ...

    async def end(self, incident_id: str) -> tuple[str, str] | None:
        """Id and hash of the last entry as the incident's own fields say it, which are kept beside the timeline."""
        ...

    async def close(self, incident_id: str, *, by: str, at: datetime, if_last: str | None = None) -> Incident | None:
        """Closes the incident with its `incident.closed` entry; None if it was closed already.

        With `if_last`, only while that entry is the last one; else None, and no change.
        """
        ...

    async def reopen(self, incident_id: str, *, by: str, at: datetime) -> Incident | None:
        """Opens it again with an `incident.reopened` entry, and gives it its channel back.

        None if it is open already or unknown, or if another incident is open in its channel: there are never two.
        """
        ...

    async def rename(self, incident_id: str, title: str, *, by: str, at: datetime) -> Incident | None:
        """Gives the incident another title, with an `incident.renamed` entry (facts `title`, `before`).

        None if it is unknown. A title that it has already adds nothing.
        """
        ...

    async def restore(self, incident: Incident, entries: AsyncIterator[Entry]) -> bool:
        """Puts back an exported timeline, entry by entry with its exact hashes, in bounded memory.

        False, and no change, if the incident is there already. Until all of it is in, nothing of it can be seen, and
        it can be tried again. Raises ChainBroken if the entries do not fit one another or the incident, NotPermitted
        if it is open and another incident is open in its channel.
        """
        ...

    async def ping(self) -> None:
        """Raises JournalAway if the store does not answer or does not take writes."""
        ...


class Records(Protocol):
    """Small facts that outlive a process: requests, answers, what was told. Raises JournalAway like the Journal."""

    async def put(self, kind: str, key: str, value: Mapping[str, Any], *, ttl: timedelta) -> None: ...

    async def get(self, kind: str, key: str) -> dict[str, Any] | None: ...

    async def update(
        self,
        kind: str,
        key: str,
        changes: Mapping[str, Any],
        *,
        only_if: tuple[str, Sequence[str]] | None = None,
    ) -> dict[str, Any] | None:
        """Sets some fields of a record at once and returns all of it; None (and no change) if it is not there.

        `only_if` is a field with the texts that it may have now; with any other it changes nothing and returns None.
        """
        ...

    async def swap(self, kind: str, key: str, value: Mapping[str, Any], *, was: str, ttl: timedelta) -> bool:
        """Replaces the whole record if its field `version` is the text `was`, empty for a record that is not there.

        False, and no change, for any other. `value` has a `version` that no other value ever had: asked again with it,
        after an answer that was lost, it says True again.
        """
        ...

    async def forget(self, kind: str, key: str) -> None: ...

    async def once(self, kind: str, key: str, *, ttl: timedelta) -> bool:
        """True for the first caller with this key, False for all others until `ttl` has passed."""
        ...

    async def take(self, kind: str, key: str, *, holder: str, ttl: timedelta) -> bool:
        """Takes or renews a lease; False if another holder has it."""
        ...

    async def give_back(self, kind: str, key: str, *, holder: str) -> None:
        """Gives a lease back, if this holder still has it."""
        ...

    async def enlist(self, kind: str, key: str, member: str, *, at: datetime, ttl: timedelta) -> None:
        """Puts a member on a list, at an instant; whoever has been on it longer than `ttl` by then is taken off."""
        ...

    async def enlisted(self, kind: str, key: str, *, since: datetime, until: datetime, limit: int) -> tuple[str, ...]:
        """The members from `since` to `until`, both inclusive, newest first, `limit` of them at most."""
        ...


class Directory(Protocol):
    """Who people are and where they belong, in Slack. Authorise by ids, never by names."""

    @property
    def home_team(self) -> str | None:
        """The workspace that the bot is installed in; None until `introduce` has been called."""
        ...

    async def introduce(self) -> str:
        """Asks Slack who the bot is; returns its user id. Raises UpstreamError."""
        ...

    async def member(self, user_id: str) -> Observation[Member]: ...

    async def is_in_channel(self, user_id: str, channel_id: str) -> Observation[bool]:
        """Follows the cursor until the user is found or the last page is read."""
        ...

    async def is_in_groups(self, user_id: str, group_ids: Sequence[str]) -> Observation[bool]:
        """Whether the user is in any of the groups; unseen if one cannot be read and no other has him."""
        ...

    async def channel(self, channel_id: str) -> Observation[Channel]: ...

    async def whereabouts(self, user_id: str) -> Observation[Whereabouts]: ...

    async def by_email(self, email: str) -> Observation[Member]: ...

    async def members(self, channel_id: str) -> Observation[tuple[str, ...]]:
        """The ids of all members of a channel."""
        ...

    async def roll(self, channel_id: str, *, within: float) -> Roll:
        """The ids of a channel's members, as many as could be read within so many seconds."""
        ...

    async def group_members(self, group_ids: Sequence[str]) -> Observation[tuple[str, ...]]:
        """Whoever is in any of the user groups; unseen if one of them cannot be read."""
        ...

    async def presence(self, user_id: str) -> Observation[Presence]: ...


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


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one export. `account` is what all of them tell; `paths` are the files that were written.

    `failed` says by format (`markdown`, `html`, `json`, `csv`, `chart`) why that one was not.
    """

    account: Account
    paths: tuple[Path, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


class Exporter(Protocol):
    """Writes the record of an incident as files."""

    async def write(
        self,
        incident: Incident,
        names: Mapping[str, str],
        zone: str,
        *,
        until: str | None = None,
        directory: Path | None = None,
    ) -> Written:
        """Writes all configured formats and the chart, replacing earlier ones; one that fails does not stop the others.

        `names` are those of people and channel, by id; `zone` is the IANA name of the time zone beside UTC. The record
        ends with the entry `until`, or with the one that is the last now; the same entries make the same files. They go
        to the export directory unless another `directory` is named.
        Raises JournalAway or ChainBroken, and OSError if there is no room for any file.
        """
        ...


class Target(Protocol):
    """A place beside the export directory and the channel where exports go. `name` is its word on the timeline."""

    @property
    def name(self) -> str: ...

    def place(self, incident_id: str) -> str:
        """Where the files of the incident go, for a person."""
        ...

    async def deliver(self, incident_id: str, paths: Sequence[Path]) -> None:
        """Puts the files there, whole, in the place of earlier ones. Raises UpstreamError or OSError."""
        ...


class Sharing(Protocol):
    """Puts an export into a channel, step by step, so that after a crash each step can be looked at before it is
    done again. Raises UpstreamError like Notifier.
    """

    async def post(self, report: ExportReport, *, thread: str = "") -> Posted:
        """Posts the summary with the version's mark on it."""
        ...

    async def find(self, report: ExportReport, *, thread: str, since: datetime) -> Posted | None:
        """The summary of this version, by its mark, if it was posted since."""
        ...

    async def redraw(self, report: ExportReport, posted: Posted) -> None: ...

    async def tell(self, channel: str, notice: Notice, *, mark: str, thread: str = "") -> Posted:
        """Says something with a mark on it."""
        ...

    async def room(self, user: str) -> str:
        """The channel of the user's DM with the bot."""
        ...

    async def call(self, channel: str, news: QueueNews, *, mark: str, thread: str = "") -> Posted:
        """Tells somebody who waits for a state, with a mark on it."""
        ...

    async def told(self, channel: str, *, mark: str, thread: str, since: datetime) -> Posted | None:
        """What was said with this mark."""
        ...

    async def propose(self, report: FollowUpsReport, *, mark: str, thread: str) -> Posted:
        """Posts the follow-ups with a mark on them."""
        ...

    async def redraw_proposals(self, report: FollowUpsReport, posted: Posted) -> None: ...

    async def alert(self, channel: str, bulletin: Bulletin, *, mark: str) -> Posted:
        """Posts alerts, one with its buttons or a digest of many, with a mark that `told` finds."""
        ...

    async def redraw_alerts(self, bulletin: Bulletin, posted: Posted) -> None: ...

    async def stage(self, path: Path) -> str:
        """Uploads a file that nobody sees yet; its id."""
        ...

    async def share(self, channel: str, file_ids: Mapping[str, str], *, thread: str) -> None:
        """Shows staged files, ids with their titles, in one message. Raises Missing if one is not there any more."""
        ...

    async def is_shared(self, channel: str, file_id: str) -> bool | None:
        """Whether the file can be seen in the channel; None for a file that Slack does not know."""
        ...

    async def link(self, posted: Posted) -> str:
        """The address of a message."""
        ...


class Tickets(Protocol):
    """Where follow-ups are filed. `system` is its proper name (`GitHub`), `place` the repository or project there.

    None of these systems takes a ticket "once": `find` is what keeps it from being filed twice.
    """

    @property
    def system(self) -> str: ...

    @property
    def place(self) -> str: ...

    async def find(self, marker: str, *, since: datetime) -> Observation[str]:
        """The page of the ticket with this marker, if it was filed since. Open and closed ones are looked at.

        The system may show a ticket some seconds after it took it. An incomplete look is `Unseen`, never `NotFound`.
        """
        ...

    async def file(self, ticket: Ticket) -> Filing:
        """Files a ticket: one request, which is not repeated. Never raises for what the system did."""
        ...

    async def ready(self) -> Readiness:
        """Whether a ticket could be filed. Files and changes nothing."""
        ...

    async def aclose(self) -> None: ...


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


class Jobs(Protocol):
    """Work that must survive a restart. Arguments are plain strings; a key that is known already adds nothing."""

    async def start(self, name: str, *args: str, key: str, at: datetime | None = None) -> None:
        """Raises JournalAway if the queue cannot take it."""
        ...

    async def cancel(self, key: str) -> None: ...
