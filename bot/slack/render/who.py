"""`who`: the person behind a lock, whether that person can be reached, and who can act instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from bot.core.evidence import Found, Observation
from bot.core.lock import LockInfo
from bot.core.people import Member, Presence, Whereabouts
from bot.core.phrase import Person, Phrase, Quoted, joined
from bot.core.report import StateName, UserReport, WhoReport
from bot.slack.render import facts
from bot.slack.render.blocks import Message, context, message, sections
from bot.slack.render.facts import Fact, Mark, command, trouble
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import lines, notification

_STAND_INS = 10
_LOCKS = 20

_PRESENCE = {
    Presence.ACTIVE: "active in Slack now",
    Presence.AWAY: "away",
    Presence.UNKNOWN: "presence not known",
}


def who_message(report: WhoReport) -> Message:
    told = list(who_facts(report))
    return message(
        notification(told[0]),
        sections(lines(told), budget=8_000),
        context(mrkdwn(("Looked at ", report.inspection.at, "."))),
    )


def who_facts(report: WhoReport) -> Iterable[Fact]:
    """The owner first, then the lock, then who can act instead."""
    inspection, owner = report.inspection, report.inspection.owner
    name = inspection.state.name
    if inspection.lock is None:
        yield facts.headline(inspection)
        yield Fact("Next:", _without_lock(report))
        return
    if owner is None:
        unknown = ("nothing names the person. The run or its job may say more.",)
        yield Fact(f"It is not known who is behind the lock of {name}:", unknown, Mark.UNKNOWN)
    else:
        person = Person(owner.slack_id, owner.name)
        yield Fact(f"Behind the lock of {name}:", (person, " (", *owner.source, ")."))
        yield from _reach(report.member, report.whereabouts, report.local_time, known=owner.slack_id is not None)
    yield facts.headline(inspection)
    yield from facts.holder(inspection)
    if report.stand_ins is None:
        yield Fact("Who can act instead:", (command(f"who {name}"), " says it in an incident channel."))
    else:
        yield from _stand_ins(report.stand_ins)
    yield Fact("Next:", ("see whether it may be unlocked: ", command(f"status {name}"), "."))


def _without_lock(report: WhoReport) -> Phrase:
    if report.inspection.seen.is_free:
        return ("nobody is behind it: run what was blocked.",)
    return ("ask again when the lock can be read.",)


def _reach(
    member: Observation[Member] | None,
    seen: Observation[Whereabouts] | None,
    local_time: datetime | None,
    *,
    known: bool,
) -> Iterable[Fact]:
    """Whether the person can be reached in Slack; what is not known is said."""
    if not known:
        words = ("not known there. Name the person under holders.people in the configuration.",)
        yield Fact("In Slack:", words, Mark.UNKNOWN)
        return
    if member is None:
        yield Fact("In Slack:", ("nobody looked.",), Mark.UNKNOWN)
        return
    if not isinstance(member, Found):
        yield Fact("In Slack:", ("it could not be looked up: ", *trouble(member), "."), Mark.UNKNOWN)
    elif member.value.is_deleted:
        yield Fact("In Slack:", ("the account is deactivated.",), Mark.WARNING)
    yield from _whereabouts(seen)
    if local_time is not None:
        offset = local_time.strftime("%H:%M on %A")
        yield Fact("Local time there:", (f"{offset}.",))


def _whereabouts(seen: Observation[Whereabouts] | None) -> Iterable[Fact]:
    if seen is None:
        return
    if not isinstance(seen, Found):
        yield Fact("Presence:", ("it could not be read: ", *trouble(seen), "."), Mark.UNKNOWN)
        return
    where = seen.value
    mark = Mark.GOOD if where.presence is Presence.ACTIVE else Mark.NONE
    yield Fact("Presence:", (f"{_PRESENCE[where.presence]}.",), mark)
    if where.status_text or where.status_emoji:
        yield Fact("Status:", _status(where))
    if where.snoozed_until is not None:
        yield Fact("Do not disturb:", ("until ", where.snoozed_until, "."), Mark.WARNING)


def _status(where: Whereabouts) -> Phrase:
    emoji = where.status_emoji.strip(":")
    shown = f":{emoji}: " if emoji.replace("_", "").replace("-", "").isalnum() and emoji.isascii() else ""
    until: Phrase = (", until ", where.status_until) if where.status_until else ()
    said: Phrase = (Quoted(where.status_text),) if where.status_text else ("no text",)
    return (shown, *said, *until, ".")


def _stand_ins(people: Sequence[tuple[Member, bool]]) -> Iterable[Fact]:
    if not people:
        yield Fact("Who can act instead:", ("no one was found in this channel.",), Mark.UNKNOWN)
        return
    ordered = sorted(people, key=lambda pair: not pair[1])
    shown = [(Person(who.id, who.name), " (active)" if active else " (away)") for who, active in ordered[:_STAND_INS]]
    more = f" and {len(people) - _STAND_INS} more" if len(people) > _STAND_INS else ""
    yield Fact("Who can act instead:", (*joined(shown), f"{more}."))


def user_message(report: UserReport) -> Message:
    told = list(user_facts(report))
    return message(notification(told[0]), sections(lines(told), budget=8_000))


def user_facts(report: UserReport) -> Iterable[Fact]:
    """One Slack user, and the locks that are that person's."""
    member = report.member
    if isinstance(member, Found):
        yield Fact("Asked about:", (Person(member.value.id, member.value.name), "."))
    else:
        yield Fact("This person could not be looked up:", (*trouble(member), "."), Mark.UNKNOWN)
    yield from _reach(member, report.whereabouts, report.local_time, known=True) if isinstance(member, Found) else ()
    yield from _locks(report.locks)


def _locks(locks: Sequence[tuple[StateName, LockInfo]]) -> Iterable[Fact]:
    if not locks:
        yield Fact("Locks:", ("none that is known to be this person's.",))
    for state, lock in locks[:_LOCKS]:
        words: Phrase = ("since ", lock.created, " by ", *facts.who(lock), ", for ", *facts.operation(lock), ".")
        yield Fact(f"{state.name} is locked", words, Mark.LOCKED)
    if len(locks) > _LOCKS:
        yield Fact("", (f"… and {len(locks) - _LOCKS} more locks.",))
