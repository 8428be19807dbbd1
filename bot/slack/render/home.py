"""The home tab and its dialogs: what needs the reader first, then the locks, then the open incidents.

Limits are those of docs.slack.dev/reference/views: 100 blocks a view, 24 characters a title.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from bot.core.gate.case import Rule, Ruling
from bot.core.people import OwnerSays
from bot.core.phrase import Linked, Person, Phrase, Quoted, duration
from bot.core.reports.button import ButtonValue
from bot.core.reports.home import Held, Home, OpenIncident, Prospect, ShownRow, Wait, Waiting
from bot.core.reports.report import Notice, StatusReport
from bot.slack.render.blocks import Block, Element, actions, button, context, plain_text, sections
from bot.slack.render.facts import command, operation
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import bold, channel, mrkdwn, unmarked
from bot.slack.render.owner import answer_buttons
from bot.slack.render.page import notice_message
from bot.slack.render.status import status_message
from bot.slack.render.waiting import STOP

View: TypeAlias = dict[str, Any]

CHECK, REFRESH, UNLOCK = "home.check", "home.refresh", "home.unlock"
OLDER, NEWER = "home.older", "home.newer"

MOST_BLOCKS = 100
_TITLE = 24
_LINE = 600
_LONGEST_URL = 3_000
_MOST_NAMES = 1_200
_STATES = 3
_NO_ASKER = "Who may unlock is checked in an incident channel, when somebody asks there."
_HELP = "In an incident channel `/tflock help` shows all that tflock can do."

_WHY = {
    Rule.SAME_LOCK: "another lock stands there by now",
    Rule.TIED: "it is not known which run holds it",
    Rule.DEAD: "its run is not known to be dead",
    Rule.SETTLED: "its run has only just ended",
    Rule.QUIET: "the state was written a moment ago, or cannot be read",
    Rule.WHOLE: "the state file may be damaged",
    Rule.DIGEST: "the digest does not fit",
    Rule.OWNER: "its owner says that it is still running",
    Rule.HUMAN_HELD: "it is held from a person's machine",
    Rule.PROTECTED: "the state is protected",
    Rule.FRESH: "the evidence is too old",
    Rule.APPROVER: "nobody may approve it",
}


def home_view(home: Home) -> View:
    """The whole tab."""
    return {"type": "home", "private_metadata": str(home.page), "blocks": overview_blocks(home, is_home=True)}


def overview_view(home: Home) -> View:
    """The same in a dialog, which the shortcut opens."""
    return {**_modal("Terraform locks", overview_blocks(home, is_home=False)), "private_metadata": str(home.page)}


def loading_home() -> View:
    return {"type": "home", "blocks": sections(["*Terraform locks*", "Reading the locks …"])}


def loading_dialog() -> View:
    return _modal("Terraform locks", sections(["Reading …"]))


def plain_home(notice: Notice) -> View:
    """A home tab that only says something: that it is not for guests, or what went wrong."""
    return {"type": "home", "blocks": [*map(dict, notice_message(notice).blocks), *_again(0)]}


def plain_dialog(notice: Notice) -> View:
    return _modal("Terraform locks", [*map(dict, notice_message(notice).blocks), *_again(0)])


def status_view(report: StatusReport) -> View:
    """One state in a dialog. Where a timeline or an incident channel is needed it says so."""
    name = report.inspection.state.name
    told = [dict(block) for block in status_message(report).blocks if block["type"] != "actions"]
    lock_id = "" if report.inspection.lock is None else report.inspection.lock.id
    value = ButtonValue(name, lock_id, "")
    unlock = button("Unlock…", UNLOCK, value) if lock_id else None
    row = actions(button("Check again", CHECK, value), unlock, button("All states", REFRESH, _page(0)))
    note = context(_NO_ASKER) if report.verdict is not None else []
    return _modal("Terraform lock", [*told[: MOST_BLOCKS - 3], *note, *row])


def ask_where_view(state: str, incidents: Sequence[OpenIncident], patterns: Sequence[str]) -> View:
    """Where an unlock can be asked for: nothing is ever unlocked from here."""
    about = sorted(incidents, key=lambda one: state not in one.states)
    named = ", ".join(mrkdwn((Quoted(pattern),)) for pattern in patterns[:5])
    here = [
        f"{bold(state)} is unlocked in an incident channel, where others see it and can object.",
        f"There, type {mrkdwn((command(f'unlock {state}'),))}",
    ]
    rows = [_incident(one) for one in about[:10]]
    other = f"Any channel of these names will do: {named}." if named else ""
    told = [*here, "*Open incidents that you are in*", *rows] if rows else [*here, "No incident is open where you are."]
    row = actions(button("Check", CHECK, ButtonValue(state, "", "")), button("All states", REFRESH, _page(0)))
    return _modal("Unlock where?", [*sections(told, budget=6_000), *context(other), *row])


def overview_blocks(home: Home, *, is_home: bool) -> list[Block]:
    """What needs the reader, the locks, the incidents; 100 blocks at most, whatever there is."""
    away = (
        f":{Icon.WARNING.emoji}: *The timeline (Redis) cannot be reached.* Nothing can be unlocked now; what waits "
        "for you and the incidents are not shown. The locks below were read just now."
    )
    waiting = [block for one in home.waiting for block in _wait(one)]
    at = "" if home.glance_at is None else f"Locks read at {mrkdwn((home.glance_at,))}."
    now = " They are being read again …" if home.looking else ""
    if home.is_stale:
        now = f" :{Icon.WARNING.emoji}: They could not be read again since: this may be out of date."
    blocks = [
        *sections([away] if home.journal_away else []),
        *([*sections(["*Needs you*"]), *waiting, {"type": "divider"}] if home.waiting else []),
        *sections([f"*{counted(home)}*"]),
        *(block for shown in home.shown for block in _lock(shown, home)),
        *_pager(home),
        *_free(home),
        *_incidents(home),
        *[*context(f"{at}{now}", _HELP if is_home else ""), *_again(home.page)],
    ]
    return blocks[:MOST_BLOCKS]


def _wait(one: Waiting) -> list[Block]:
    where, value = channel(one.channel), ButtonValue(one.state, one.lock_id, one.request)
    place = f" in {where}" if where else ""
    until = f" until {mrkdwn((one.until,))}" if one.until else ""
    name, asker = bold(one.state), mrkdwn((Person(one.asker, ""),))
    open_it: Element | None = None
    if one.link is not None and len(one.link) <= _LONGEST_URL:
        label = plain_text("Open the message", 75)
        open_it = {"type": "button", "action_id": "home.open", "text": label, "url": one.link}
    match one.wait:
        case Wait.ANSWER:
            since = f" since {mrkdwn((one.since,))}" if one.since else ""
            asks = f" {asker} asks{place}." if one.asker else f" It was spoken of{place}." if place else ""
            words = f":{Icon.LOCKED.emoji}: {name}: your lock{since}. Is it still running?{asks}"
            return [*sections([words]), *actions(*answer_buttons(value, None))]
        case Wait.SAID:
            words = f":{Icon.LOCKED.emoji}: {name}: you said that your run is still going, so the lock stays."
            return [*sections([words]), *actions(*answer_buttons(value, OwnerSays.RUNNING))]
        case Wait.APPROVAL:
            words = f"{name}: {asker} wants to unlock it{place} and needs a second member{until}."
            return [*sections([f":{Icon.APPROVAL.emoji}: {words}"]), *actions(open_it)]
        case Wait.ARMED:
            words = f"{name}: you armed its unlock{place}. It is done as soon as it is safe{until and ','}{until}."
            disarm = button("Do not unlock", "unlock.disarm", value)
            return [*sections([f":{Icon.WAIT.emoji}: {words}"]), *actions(disarm, open_it)]
        case Wait.WATCH:
            stop = button("Stop waiting", STOP, ButtonValue(one.state, "", ""))
            words = f":eyes: {name}: you are told{place} when it is free{until and ','}{until}."
            return [*sections([words]), *actions(stop)]


def counted(home: Home) -> str:
    """How many states are locked, as one sentence."""
    if not home.total:
        return "No state is configured."
    if home.glance_at is None:
        return "The locks have not been read yet."
    unread = f", {home.unread} not readable" if home.unread else ""
    if not home.locked:
        return f"No state is locked ({home.total} in all{unread})" if not unread else f"None locked{unread}"
    return f"{home.locked} of {home.total} {'state' if home.total == 1 else 'states'} locked{unread}"


def _lock(shown: ShownRow, home: Home) -> list[Block]:
    row = shown.row
    value = ButtonValue(row.state, row.lock_id, "")
    unlock = button("Unlock…", UNLOCK, value) if row.held is Held.LOCKED else None
    return [*sections(["\n".join(_lock_lines(shown, home))]), *actions(button("Check", CHECK, value), unlock)]


def _lock_lines(shown: ShownRow, home: Home) -> Iterable[str]:
    row = shown.row
    marks = " · ".join(word for is_so, word in ((shown.is_own, "*yours*"), (shown.is_watched, "you watch it")) if is_so)
    name = f"{bold(row.state)}{f' · {marks}' if marks else ''}"
    match row.held:
        case Held.LOCKED:
            yield f":{Icon.LOCKED.emoji}: {name}"
            yield _since(shown, home)
            if shown.prospect is not None and shown.prospect.run:
                run, owner = Linked(shown.prospect.run, shown.prospect.url), shown.prospect.owner
                by: Phrase = (", started by ", Person(owner, "")) if owner else ()
                yield mrkdwn(("Run ", run, f": {shown.prospect.end}", *by), most=_LINE)
            yield _outlook(shown.prospect)
        case Held.GARBLED:
            yield f":{Icon.LOCKED.emoji}: {name}"
            yield "Locked by something that is not lock info; tflock cannot release it."
        case Held.THROTTLED:
            yield f":{Icon.WARNING.emoji}: {name}"
            yield "Its lock table is throttled, which is no fault of a lock."
        case Held.UNREAD:
            yield f":{Icon.UNKNOWN.emoji}: {name}"
            yield mrkdwn(("Could not be read: ", Quoted(row.why or "no reason was given")), most=_LINE)


def _since(shown: ShownRow, home: Home) -> str:
    row = shown.row
    who: Phrase = (Quoted(row.who),) if row.who.strip("@ ") else ("somebody whom the lock does not name",)
    what = operation(row.operation, "something")
    if row.created is None:
        return mrkdwn(("By ", *who, ", for ", *what), most=_LINE)
    held = duration(home.now - row.created)
    return mrkdwn((f"{held}, since ", row.created, ", by ", *who, ", for ", *what), most=_LINE)


def _outlook(prospect: Prospect | None) -> str:
    if prospect is None:
        return "Could it be unlocked? “Check” tells."
    why = next((words for rule, words in _WHY.items() if str(rule) == prospect.rule), "")
    match prospect.ruling:
        case Ruling.ALLOW:
            return f":{Icon.GOOD.emoji}: Could be unlocked now: all checks hold."
        case Ruling.NEEDS_APPROVAL:
            return f":{Icon.APPROVAL.emoji}: Could be unlocked with a second member: {why}."
        case Ruling.REFUSE if prospect.until is not None:
            return f":{Icon.WAIT.emoji}: Not before {mrkdwn((prospect.until,))}: {why}."
        case Ruling.REFUSE:
            return f":{Icon.BAD.emoji}: Cannot be unlocked now: {why}."


def _pager(home: Home) -> list[Block]:
    if home.pages == 1:
        return []
    newer = button("◀ Previous", NEWER, _page(home.page - 1)) if home.page else None
    older = button("Next ▶", OLDER, _page(home.page + 1)) if home.page + 1 < home.pages else None
    return [*context(f"Page {home.page + 1} of {home.pages}"), *actions(newer, older)]


def _free(home: Home) -> list[Block]:
    count = home.total - home.locked - home.unread
    if not count or home.page + 1 < home.pages or home.glance_at is None:
        return []
    names = [unmarked(name, 120) for name in home.free]
    kept: list[str] = []
    for name in names:
        if sum(map(len, kept)) + len(name) > _MOST_NAMES:
            break
        kept.append(name)
    more = f" and {count - len(kept)} more" if count > len(kept) else ""
    return context(f":{Icon.FREE.emoji}: {count} free: {', '.join(kept)}{more}")


def _incidents(home: Home) -> list[Block]:
    if home.journal_away or home.looking:
        return []
    lines = [_incident(one) for one in home.incidents]
    lines += [f"… and {home.more_incidents} more"] if home.more_incidents else []
    if home.unchecked:
        lines.append(f"{home.unchecked} more not shown: Slack did not say whether you are in their channels.")
    told = lines or ["No incident is open in a channel that you are in."]
    return [{"type": "divider"}, *sections(["*Open incidents*", *told], budget=6_000)]


def _incident(one: OpenIncident) -> str:
    states = ", ".join(unmarked(state, 80) for state in one.states[:_STATES])
    more = f" and {len(one.states) - _STATES} more" if len(one.states) > _STATES else ""
    about = f" · {states}{more}" if states and one.states != (one.title,) else ""
    return f"{bold(one.title) or '*incident*'} {channel(one.channel)} since {mrkdwn((one.opened_at,))}{about}"


def _again(page: int) -> list[Block]:
    return actions(button("Refresh", REFRESH, _page(page)))


def _page(number: int) -> ButtonValue:
    return ButtonValue("", "", "", str(number))


def _modal(title: str, blocks: list[Block]) -> View:
    return {
        "type": "modal",
        "title": plain_text(title, _TITLE),
        "close": plain_text("Close", _TITLE),
        "blocks": blocks,
    }
