"""`who`: who holds the lock, how to reach them, and who can act instead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core.evidence import Found, Observation
from bot.core.gate.inspection import Barred, Inspection, Owner
from bot.core.gate.ownership import started_by_bots
from bot.core.hours import USUAL, Hours
from bot.core.people import Member, Presence, Whereabouts
from bot.core.phrase import Day, Person, Phrase, Quoted, joined, near
from bot.core.policy import ApprovalPolicy, Approvers, Holders
from bot.core.reports.who import StandIns, UserReport, WhoReport
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import context, message, sections
from bot.slack.render.facts import Fact, command, trouble
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import at_hand, lines, notification

_STAND_INS = 10
_LOCKS = 20
_OWNERS = 5
_FEW = 3

_PRESENCE = {
    Presence.ACTIVE: "active in Slack now",
    Presence.AWAY: "away",
    Presence.UNKNOWN: "unknown",
}
_HERE = {Presence.ACTIVE: "active", Presence.AWAY: "away", Presence.UNKNOWN: "presence unknown"}
_BARRED = {
    Barred.DEACTIVATED: "the account is deactivated, so we send nothing there.",
    Barred.STRANGER: "the account belongs to another workspace, so we send nothing there.",
    Barred.BOT: "the account is a bot's, so we send nothing there.",
}


def who_message(report: WhoReport) -> Message:
    told = at_hand(who_facts(report), report.inspection.at)
    return message(
        notification(told[0]),
        sections(lines(told), budget=8_000),
        context(mrkdwn(near(("Checked at ", report.inspection.at, "."), report.inspection.at))),
    )


def who_facts(report: WhoReport) -> Iterable[Fact]:
    """The owner first, then the lock, then who can act instead."""
    inspection = report.inspection
    if inspection.lock is None:
        yield facts.headline(inspection)
        free: Phrase = ("Nobody holds the lock. Run what was blocked.",)
        unread: Phrase = ("Try again when the lock can be read.",)
        if inspection.seen.is_unshown:
            unread = ("If runs are blocked, ", command(f"unlock {inspection.state.name}"), " looks.")
        yield Fact("Next:", free if inspection.seen.is_free else unread)
        return
    if told := list(facts.hold(inspection)):
        yield from told
        return
    yield from _behind(report)
    yield facts.headline(inspection)
    yield from facts.holder(inspection)
    yield from _instead(report)
    yield Fact("Next:", _next(report))


def _behind(report: WhoReport) -> Iterable[Fact]:
    inspection, owner = report.inspection, report.inspection.owner
    name = inspection.state.name
    if owner is not None:
        yield Fact(f"The lock of {name} belongs to", (*_named(owner), "."), Icon.OWNER)
        yield from _owner_in_slack(report, owner)
    elif inspection.owners:
        yield from _candidates(inspection)
    else:
        yield Fact((f"We don't know who holds the lock of {name}.",), (" Nothing names the person.",), Icon.UNKNOWN)
        yield Fact("Next time:", _how_to_know(inspection))


def _named(owner: Owner) -> Phrase:
    return (Person(owner.slack_id, owner.name), " (", *owner.source, ")")


def _candidates(inspection: Inspection) -> Iterable[Fact]:
    """None is picked: the wrong owner could be asked whether someone else's apply is dead."""
    owners, name = inspection.owners, inspection.state.name
    if len(owners) == 1:
        yield Fact(f"The lock of {name} perhaps belongs to", (*_named(owners[0]), "."), Icon.UNKNOWN)
        yield Fact("Not asked:", ("we aren't certain enough.",))
        yield Fact("Next time:", _how_to_know(inspection))
        return
    yield Fact(f"The lock of {name} belongs to one of {len(owners)} people:", (), Icon.UNKNOWN)
    for owner in owners[:_OWNERS]:
        barred: Phrase = (f"; {owner.barred}",) if owner.barred is not None else ()
        yield Fact("", ("• ", *_named(owner), *barred))
    if len(owners) > _OWNERS:
        yield Fact("", (f"… and {len(owners) - _OWNERS} more.",))
    yield Fact("Not asked:", ("we don't know which of them it is.",))


def _how_to_know(inspection: Inspection) -> Phrase:
    """What would name the person next time."""
    bots, who = started_by_bots(inspection.attribution), inspection.lock.who if inspection.lock is not None else ""
    if who.strip("@ ") and not Holders().looks_like_ci(who) and not bots:
        return ("give a person the pattern ", Quoted(who), " (who) under holders.people in the configuration.")
    claim: Phrase = ("wrap the job with ", Quoted("tflock claim"), ", and list the pipeline under the state.")
    if not bots:
        return claim
    started = joined([(Quoted(bot),) for bot in bots[:_FEW]])
    return (*started, " started the run, and CI doesn't say who wrote the commit: ", *claim)


def _owner_in_slack(report: WhoReport, owner: Owner) -> Iterable[Fact]:
    if owner.barred is not None:
        yield Fact("In Slack:", (_BARRED[owner.barred],), Icon.WARNING)
    elif owner.slack_id is None:
        words = ("unknown there. Set ", Quoted("slack"), " or ", Quoted("email"), " under holders.people.")
        yield Fact("In Slack:", words, Icon.UNKNOWN)
    else:
        yield from _reach(report.member, report.whereabouts, report.local_time, report.hours)


def _reach(
    member: Observation[Member] | None,
    seen: Observation[Whereabouts] | None,
    local_time: datetime | None,
    hours: Hours | None,
) -> Iterable[Fact]:
    """Whether the person can be reached in Slack, and what is not known about that."""
    if member is None:
        yield Fact("In Slack:", ("not looked up.",), Icon.UNKNOWN)
        return
    if not isinstance(member, Found):
        yield Fact("In Slack:", ("it could not be looked up: ", *trouble(member), "."), Icon.UNKNOWN)
    elif member.value.is_guest:
        yield Fact("In Slack:", ("a guest: they can answer for the run, but not unlock.",))
    yield from _whereabouts(seen)
    if local_time is not None:
        yield Fact("Local time:", (_clock(local_time, hours),))
    elif isinstance(member, Found):
        yield Fact("Local time:", ("unknown: Slack names no time zone.",), Icon.UNKNOWN)


def _clock(local: datetime, hours: Hours | None) -> str:
    offset = local.strftime("%z")
    utc = f"UTC{offset[:3]}:{offset[3:5]}" if offset.strip("+-0") else "UTC"
    key = local.tzinfo.key if isinstance(local.tzinfo, ZoneInfo) else ""
    zone = f"in {key} ({utc})" if key and key != utc else f"({utc})"
    known, assumed = hours or USUAL, "" if hours is not None else ", assumed"
    within = "within" if known.hold(local) else "outside"
    return f"{local:%H:%M} on {local:%A} {zone}, {within} working hours ({known.text}{assumed})."


def _whereabouts(seen: Observation[Whereabouts] | None) -> Iterable[Fact]:
    if seen is None:
        return
    if not isinstance(seen, Found):
        yield Fact("Presence:", ("it could not be read: ", *trouble(seen), "."), Icon.UNKNOWN)
        return
    where = seen.value
    mark = {Presence.ACTIVE: Icon.GOOD, Presence.UNKNOWN: Icon.UNKNOWN}.get(where.presence, Icon.NONE)
    yield Fact("Presence:", (f"{_PRESENCE[where.presence]}.",), mark)
    if where.status_text or where.status_emoji:
        emoji = where.status_emoji.strip(":")
        shown = f":{emoji}: " if emoji.replace("_", "").replace("-", "").isalnum() and emoji.isascii() else ""
        until: Phrase = (", until ", Day.of(where.status_until)) if where.status_until else ()
        said: Phrase = (Quoted(where.status_text),) if where.status_text else ("no text",)
        yield Fact("Status:", (shown, *said, *until, "."))
    if where.snoozed_until is not None:
        yield Fact("Do not disturb:", ("until ", Day.of(where.snoozed_until), "."), Icon.WARNING)
    if where.unseen:
        yield Fact("Slack didn't say:", (f"{', '.join(where.unseen)}.",), Icon.UNKNOWN)


def _instead(report: WhoReport) -> Iterable[Fact]:
    name = report.inspection.state.name
    if report.stand_ins is None:
        yield Fact("Who can act instead:", ("ask in an incident channel: ", Quoted(f"/tflock who {name}"), "."))
        return
    yield from _stand_ins("Who can act instead:", report.stand_ins)
    yield from _may_approve(report.approval, report.approvers)


def _may_approve(approval: ApprovalPolicy, approvers: StandIns | None) -> Iterable[Fact]:
    label = "Who can approve:"
    if approval.by is Approvers.OWNER:
        yield Fact(label, ("only the owner of the lock.",))
    elif approval.by is Approvers.NOBODY:
        yield Fact(label, ("nobody: an unlock that needs approval is refused.",))
    elif approvers is not None:
        yield from _stand_ins(label, approvers)


def _stand_ins(label: str, found: StandIns) -> Iterable[Fact]:
    if found.people:
        shown: list[Phrase] = []
        for one in found.people[:_STAND_INS]:
            late = f", {one.local_time:%H:%M} there" if one.local_time is not None and one.at_work is False else ""
            shown.append((Person(one.member.id, one.member.name), f" ({_HERE[one.presence]}{late})"))
        more = f" and {len(found.people) - _STAND_INS} more" if len(found.people) > _STAND_INS else ""
        yield Fact(label, (*joined(shown), f"{more}."))
    elif found.missing is None and not found.others:
        yield Fact(label, ("nobody in this channel.",), Icon.WARNING)
    else:
        yield Fact(label, ("we found nobody.",), Icon.UNKNOWN)
    if found.missing is not None:
        yield Fact("There may be more:", (*trouble(found.missing), "."), Icon.UNKNOWN)
    elif found.others:
        others = "1 other member" if found.others == 1 else f"{found.others:,} other members"
        yield Fact("There may be more:", (f"we didn't look up {others}.",))


def _next(report: WhoReport) -> Phrase:
    owner, seen = report.inspection.owner, report.whereabouts
    status = command(f"status {report.inspection.state.name}")
    is_here = isinstance(seen, Found) and seen.value.presence is Presence.ACTIVE and seen.value.snoozed_until is None
    if owner is not None and owner.slack_id is not None and is_here:
        return ("Ask ", Person(owner.slack_id, owner.name), ". Whether it can be unlocked: ", status, ".")
    return ("See whether it can be unlocked: ", status, ".")


def user_message(report: UserReport) -> Message:
    told = list(user_facts(report))
    return message(notification(told[0]), sections(lines(told), budget=8_000))


def user_facts(report: UserReport) -> Iterable[Fact]:
    """One Slack user and their locks."""
    member = report.member
    if not isinstance(member, Found):
        yield Fact("We couldn't look up this person:", (*trouble(member), "."), Icon.UNKNOWN)
    else:
        yield Fact("Person:", (Person(member.value.id, member.value.name), "."), Icon.OWNER)
        if report.barred is not None:
            yield Fact("In Slack:", (_BARRED[report.barred],), Icon.WARNING)
        else:
            yield from _reach(member, report.whereabouts, report.local_time, report.hours)
    yield from _locks(report)


def _locks(report: UserReport) -> Iterable[Fact]:
    locks = report.locks
    if not locks:
        yield Fact("Locks:", ("none that we know to be theirs.",))
    for held in locks[:_LOCKS]:
        lock, sure = held.lock, "is locked" if held.is_sure else "is locked, perhaps by them,"
        since: Phrase = ("since ", lock.created, " by ") if lock.is_since_known else ("by ",)
        words: Phrase = (*since, *facts.who(lock), *facts.purpose(lock))
        yield Fact(f"{held.state.name} {sure}", (*words, " (", *held.source, ")."), Icon.LOCKED)
    if len(locks) > _LOCKS:
        yield Fact("", (f"… and {len(locks) - _LOCKS} more locks.",))
    if report.unknown:
        counted = "1 more lock" if report.unknown == 1 else f"{report.unknown} more locks"
        yield Fact("Not looked up:", (f"the owner of {counted}. Ask: ", command("who STATE"), "."), Icon.UNKNOWN)
    if report.unread:
        counted = "1 state" if report.unread == 1 else f"{report.unread} states"
        yield Fact("Not read:", (f"the lock of {counted}.",), Icon.UNKNOWN)
    if report.unshown:
        counted = "1 state" if report.unshown == 1 else f"{report.unshown} states"
        yield Fact("Not shown:", (f"the lock of {counted}: only an unlock can look there.",), Icon.UNKNOWN)
