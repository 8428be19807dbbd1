"""The home tab and its dialogs: what needs the reader first, then the locks, then the open incidents.

Limits are those of docs.slack.dev/reference/views: 100 blocks a view, 24 characters a title.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from bot.core.gate.case import Rule, Ruling
from bot.core.hold import held_by, is_hold
from bot.core.people import OwnerSays
from bot.core.phrase import Linked, Person, Phrase, Quoted, near
from bot.core.reports.button import ButtonValue
from bot.core.reports.home import Held, Home, OpenIncident, Prospect, ShownRow, Wait, Waiting
from bot.core.reports.report import Checklist, Notice, StatusReport
from bot.core.run import ENDED
from bot.slack.render.blocks import Block, Element, actions, button, context, plain_text, sections
from bot.slack.render.facts import NO_REQUEST, command, operation
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import bold, channel, mrkdwn, unmarked
from bot.slack.render.owner import answer_buttons
from bot.slack.render.page import notice_message
from bot.slack.render.status import checklist_message, status_message
from bot.slack.render.verdict import RULE_WORDS, why_second
from bot.slack.render.waiting import STOP

View: TypeAlias = dict[str, Any]

CHECK, REFRESH, UNLOCK = "home.check", "home.refresh", "home.unlock"
CHECKLIST = "home.checklist"
OLDER, NEWER = "home.older", "home.newer"

MOST_BLOCKS = 100
_TITLE = 24
_LINE = 600
_LONGEST_URL = 3_000
_MOST_NAMES = 1_200
_STATES = 3
_NO_ASKER = "Who may unlock is checked in an incident channel, when someone asks there."
_HELP = "In an incident channel, `/tflock help` shows everything tflock can do."


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


def status_view(report: StatusReport, *, is_unfolded: bool = False) -> View:
    """One state in a dialog, with its checklist behind a button: dialogs have no blocks that fold.

    Where a timeline or an incident channel is needed it says so.
    """
    name = report.inspection.state.name
    lock_id = "" if report.inspection.lock is None else report.inspection.lock.id
    value, shown = ButtonValue(name, lock_id, ""), status_message(report)
    proof = checklist_message(Checklist(report.inspection, report.verdict, report.answer)).blocks[:-1]
    told: list[Block] = []
    for block in shown.plain or shown.blocks:
        if "accessory" not in block:
            told += [dict(block)] if block["type"] != "actions" else []
        elif is_unfolded:
            told += map(dict, proof)
        else:
            told.append({**block, "accessory": button("Show checklist", CHECKLIST, value)})
    is_on_hold = report.inspection.lock is not None and is_hold(report.inspection.lock)
    unlock = button("Unlock…", UNLOCK, value) if lock_id and not is_on_hold else None
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
    other = f"Any channel with such a name works: {named}." if named else ""
    told = [*here, "*Open incidents that you are in*", *rows] if rows else [*here, "You are in no open incident."]
    row = actions(button("Details", CHECK, ButtonValue(state, "", "")), button("All states", REFRESH, _page(0)))
    return _modal("Unlock where?", [*sections(told, budget=6_000), *context(other), *row])


def overview_blocks(home: Home, *, is_home: bool) -> list[Block]:
    """What needs the reader, the locks, the incidents; 100 blocks at most, whatever there is."""
    away = (
        f"{Icon.WARNING.code} *Nothing can be unlocked now:* {mrkdwn((home.journal_trouble,))}. What needs you and the "
        "incidents can't be shown. The locks below were read just now."
    )
    waiting = [block for one in home.waiting for block in _wait(one)]
    at = "" if home.glance_at is None else f"Locks read at {mrkdwn(near((home.glance_at,), home.now))}."
    now = " They are being read again …" if home.looking else ""
    if home.is_stale:
        now = f" {Icon.WARNING.code} They could not be read again since then: this may be out of date."
    blocks = [
        *sections([away] if home.journal_trouble else []),
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
            asks = f" {asker} asked about it{place}." if one.asker else f" It came up{place}." if place else ""
            words = f"{Icon.LOCKED.code} {name}: your lock{since}. Is it still running?{asks}"
            return [*sections([words]), *actions(*answer_buttons(value, None))]
        case Wait.SAID:
            words = f"{Icon.LOCKED.code} {name}: you said it's still running, so the lock stays."
            return [*sections([words]), *actions(*answer_buttons(value, OwnerSays.RUNNING))]
        case Wait.APPROVAL:
            words = f"{name}: {asker} wants to unlock it{place} and needs a second person{until}."
            return [*sections([f"{Icon.APPROVAL.code} {words}"]), *actions(open_it)]
        case Wait.ARMED:
            words = f"{name}: you set its unlock{place}. It will unlock itself when safe{until and ','}{until}."
            disarm = button("Cancel unlock", "unlock.disarm", value)
            return [*sections([f"{Icon.WAIT.code} {words}"]), *actions(disarm, open_it)]
        case Wait.WATCH:
            stop = button("Stop notifying me", STOP, ButtonValue(one.state, "", ""))
            words = f"{Icon.WATCH.code} {name}: we'll notify you{place} when it's free{until and ','}{until}."
            return [*sections([words]), *actions(stop)]


def counted(home: Home) -> str:
    """How many states are locked, as one sentence."""
    if not home.total:
        return "No state is configured."
    if home.glance_at is None:
        return "The locks have not been read yet."
    unread = f", {home.unread} not readable" if home.unread else ""
    unread += f", {home.unshown} not shown" if home.unshown else ""
    if not home.locked:
        return f"No state is locked ({home.total} in all{unread})" if not unread else f"None locked{unread}"
    return f"{home.locked} of {home.total} {'state' if home.total == 1 else 'states'} locked{unread}"


def _lock(shown: ShownRow, home: Home) -> list[Block]:
    """One line, and one button."""
    row = shown.row
    details = button("Details", CHECK, ButtonValue(row.state, row.lock_id, ""))
    (line,) = sections([mrkdwn(near(_line(shown, home), home.now), most=_LINE)])
    line["text"]["text"] = f"{_mark(row.held).code} {bold(row.state)}{line['text']['text']}"
    return [line if details is None else {**line, "accessory": details}]


def _mark(held: Held) -> Icon:
    return {Held.LOCKED: Icon.LOCKED, Held.GARBLED: Icon.LOCKED, Held.THROTTLED: Icon.WARNING}.get(held, Icon.UNKNOWN)


def _line(shown: ShownRow, home: Home) -> Phrase:
    """How long it is held, by what, and whether it can be unlocked."""
    row = shown.row
    yours: Phrase = (" · yours",) if shown.is_own else ()
    watched: Phrase = (" · you're watching it",) if shown.is_watched else ()
    match row.held:
        case Held.LOCKED if row.hold is not None:
            why: Phrase = (" · ", Quoted(row.hold.reason)) if row.hold.reason else ()
            return (*yours, *watched, " · ", *held_by(row.hold, now=home.now), *why)
        case Held.LOCKED:
            return (*yours, *watched, *_held(shown, home), " · ", *_outlook(shown.prospect))
        case Held.GARBLED:
            return (*yours, *watched, " · its lock entry is unreadable, so tflock can't release it")
        case Held.THROTTLED:
            return (*yours, *watched, " · its lock table is being throttled; the lock itself may be fine")
        case Held.UNSHOWN:
            return (*yours, *watched, f" · {NO_REQUEST.lower()}; only an unlock can look")
        case Held.UNREAD:
            return (*yours, *watched, " · could not be read: ", Quoted(row.why or "no reason was given"))


def _held(shown: ShownRow, home: Home) -> Phrase:
    row, prospect = shown.row, shown.prospect
    lasted: Phrase = (" · ", "since when is not known" if row.created is None else home.now - row.created)
    if prospect is not None and prospect.run:
        return (*lasted, " · ", Linked(prospect.run, prospect.url), f" {ENDED.get(prospect.end, prospect.end)}")
    who: Phrase = (Quoted(row.who),) if row.who.strip("@ ") else ("someone the lock does not name",)
    what: Phrase = (", ", *operation(row.operation)) if row.operation else ()
    return (*lasted, " · ", *who, *what)


def _outlook(prospect: Prospect | None) -> Phrase:
    if prospect is None:
        return ("press Details to see whether it can be unlocked",)
    rule = next((rule for rule in Rule if rule == prospect.rule), None)
    why = "" if rule is None else f": {RULE_WORDS[rule].short}"
    match prospect.ruling:
        case Ruling.ALLOW:
            return ("can be unlocked now",)
        case Ruling.NEEDS_APPROVAL:
            second = "" if rule is None else f": {why_second(rule)}"
            return (f"can be unlocked with a second person{second}",)
        case Ruling.REFUSE if prospect.until is not None:
            return ("can be unlocked at ", prospect.until, why)
        case Ruling.REFUSE:
            return (f"can't be unlocked now{why}",)


def _pager(home: Home) -> list[Block]:
    if home.pages == 1:
        return []
    newer = button("◀ Previous", NEWER, _page(home.page - 1)) if home.page else None
    older = button("Next ▶", OLDER, _page(home.page + 1)) if home.page + 1 < home.pages else None
    return [*context(f"Page {home.page + 1} of {home.pages}"), *actions(newer, older)]


def _free(home: Home) -> list[Block]:
    count = home.total - home.locked - home.unread - home.unshown
    if not count or home.page + 1 < home.pages or home.glance_at is None:
        return []
    names = [unmarked(name, 120) for name in home.free]
    kept: list[str] = []
    for name in names:
        if sum(map(len, kept)) + len(name) > _MOST_NAMES:
            break
        kept.append(name)
    more = f" and {count - len(kept)} more" if count > len(kept) else ""
    return context(f"{Icon.FREE.code} {count} free: {', '.join(kept)}{more}")


def _incidents(home: Home) -> list[Block]:
    if home.journal_trouble or home.looking:
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
