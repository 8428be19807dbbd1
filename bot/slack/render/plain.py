"""Reports for the command line: as plain lines, in which a terminal interprets nothing, and as JSON for `--json`.

The keys of the JSON are public: docs/commands-json.md. Add, never rename.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeAlias, TypeVar

from bot.core.evidence import Found, NotFound, Observation, Unseen
from bot.core.gate.attribution import Attribution
from bot.core.gate.case import Verdict
from bot.core.gate.contention import Loop, source_of
from bot.core.gate.ending import is_over
from bot.core.gate.inspection import Crowd, Inspection, Owner, StateName
from bot.core.hold import words_of
from bot.core.hours import USUAL
from bot.core.instants import stamp
from bot.core.lock import Billing, LockInfo, LockSeen, StateAbsent, StateCheck, StateSeen
from bot.core.people import Member, Presence, Whereabouts
from bot.core.phrase import Command, Phrase, Quoted, instant, one_line, plain
from bot.core.reports.in_flight import RequestInFlight
from bot.core.reports.report import Overview, StatusReport
from bot.core.reports.who import StandIns, WhoReport
from bot.core.run import Run
from bot.slack.render.facts import Fact
from bot.slack.render.page import spoken
from bot.slack.render.status import answer, attention, counted, details, overview_facts
from bot.slack.render.verdict import checklist, tally
from bot.slack.render.who import who_facts

Json: TypeAlias = dict[str, object]
T = TypeVar("T")


def status_lines(report: StatusReport) -> list[str]:
    """Headline and verdict, the facts, the checklist, one line each."""
    verdict, at = report.verdict, report.inspection.at
    checks = [] if verdict is None else ["", tally(verdict, at), *fact_lines(checklist(verdict))]
    told = [*fact_lines(answer(report)), *fact_lines(attention(report))]
    return [*told, *checks, "", *fact_lines(details(report)), "", f"Checked at {instant(at)}."]


def who_lines(report: WhoReport) -> list[str]:
    return fact_lines(who_facts(report))


def overview_lines(overview: Overview) -> list[str]:
    """A line for each state, all of them."""
    away = f"Nothing can be unlocked now: {overview.journal_trouble}. Reading still works."
    return [counted(overview), *([away] if overview.journal_trouble else []), "", *fact_lines(overview_facts(overview))]


def fact_lines(facts: Iterable[Fact]) -> list[str]:
    return [f"{fact.icon.sign or ' '} {one_line(plain(_typed(spoken(fact))))}".rstrip() for fact in facts]


_IN_A_SHELL = frozenset({"status", "who", "timeline", "export", "explain", "recover"})


def _typed(phrase: Phrase) -> Phrase:
    """The phrase with each command as a shell knows it, or as one for Slack."""
    return tuple(_command(part) if isinstance(part, Command) else part for part in phrase)


def _command(typed: Command) -> Quoted:
    name, _, words = typed.text.removeprefix("/").partition(" ")
    is_here = words.partition(" ")[0] in _IN_A_SHELL
    return Quoted(f"{name} {words}" if is_here else f"{typed.text} (in Slack)")


def to_json(report: StatusReport | WhoReport | Overview) -> Json:
    """The report as plain JSON values; instants in ISO 8601 and UTC, spans in seconds, sizes in bytes."""
    match report:
        case StatusReport():
            return _status(report)
        case WhoReport():
            return _who(report)
        case Overview():
            return _overview(report)


def _status(report: StatusReport) -> Json:
    inspection, digest, said = report.inspection, report.inspection.check.digest, report.answer
    return {
        **_inspected(inspection),
        "stored": _stored(inspection.check),
        "digest": {
            "match": str(digest.match),
            "key": digest.key,
            "item": digest.item,
            "actual": digest.actual,
            "detail": digest.detail,
        },
        "contention": {
            "active": [run_json(run) for run in inspection.contention.active],
            "loops": [_loop(loop) for loop in inspection.contention.loops],
        },
        "fence": str(inspection.can.fence),
        "table": _table(inspection),
        "owner_answer": said and {"owner": said.owner_id, "says": str(said.says), "at": stamp(said.at)},
        "verdict": _verdict(report.verdict),
        "requests": [_request(request) for request in report.requests],
        **_journal(report.journal_trouble),
    }


def _request(request: RequestInFlight) -> Json:
    return {
        "id": request.id,
        "kind": "unlock" if request.is_unlock else "kill-job",
        "lock_id": request.lock_id,
        "stage": str(request.flight),
        "by": request.by,
        "since": stamp(request.since),
        "link": request.link or None,
    }


def _who(report: WhoReport) -> Json:
    there, hours = report.local_time, report.hours or USUAL
    return {
        **_inspected(report.inspection),
        "member": report.member and _seen(report.member, _member),
        "whereabouts": report.whereabouts and _seen(report.whereabouts, _whereabouts),
        "local_time": there and there.isoformat(),
        "working_hours": there and {"hours": hours.text, "assumed": report.hours is None, "now": hours.hold(there)},
        "stand_ins": _people(report.stand_ins),
        "stand_ins_rest": _rest(report.stand_ins),
        "approval": {"by": str(report.approval.by), "groups": list(report.approval.groups)},
        "approvers": _people(report.approvers),
        "approvers_rest": _rest(report.approvers),
    }


def _people(found: StandIns | None) -> list[Json] | None:
    """None: no channel was asked."""
    return (
        None
        if found is None
        else [
            {
                "id": one.member.id,
                "name": one.member.name,
                "active": one.presence is Presence.ACTIVE,
                "presence": str(one.presence),
                "local_time": one.local_time and one.local_time.isoformat(),
                "in_working_hours": one.at_work,
            }
            for one in found.people
        ]
    )


def _rest(found: StandIns | None) -> Json | None:
    """Those who were not looked at."""
    if found is None:
        return None
    missing = None if found.missing is None else {"seen": False, **_missing(found.missing)}
    return {"not_looked_at": found.others, "missing": missing}


def _overview(overview: Overview) -> Json:
    states = [
        {
            **_state(name),
            "locked": seen.is_locked,
            "lock": _lock(seen.lock),
            "hold": _hold(seen.lock),
            "unseen": _unseen_places(seen),
        }
        for name, seen in overview.states
    ]
    return {"looked_at": stamp(overview.at), "states": states, **_journal(overview.journal_trouble)}


def _journal(trouble: str) -> Json:
    return {"journal_away": bool(trouble), "journal_trouble": trouble or None}


def _inspected(inspection: Inspection) -> Json:
    seen = inspection.seen
    return {
        **_state(inspection.state),
        "looked_at": stamp(inspection.at),
        "locked": seen.is_locked,
        "lock": _lock(inspection.lock),
        "hold": _hold(inspection.lock),
        "halves": [
            {
                "kind": str(place.kind),
                "place": place.where,
                "lock": _lock(place.info),
                "garbage": place.garbage,
            }
            for place in seen.held
        ],
        "free_halves": [str(kind) for kind in seen.free],
        "unseen": _unseen_places(seen),
        "attribution": _attribution(inspection.attribution),
        "owner": _owner(inspection.owner),
        "owners": [_owner(owner) for owner in inspection.owners],
    }


def _state(name: StateName) -> Json:
    return {"state": name.name, "description": name.description, "protected": name.protected}


def _hold(info: LockInfo | None) -> Json | None:
    said = None if info is None else words_of(info)
    if said is None:
        return None
    return {
        "id": said.ref or None,
        "by": said.user or None,
        "channel": said.channel or None,
        "reason": said.reason or None,
        "until": said.until and stamp(said.until),
        "link": said.link or None,
    }


def _lock(info: LockInfo | None) -> Json | None:
    if info is None:
        return None
    return {
        "id": info.id,
        "operation": info.operation,
        "info": info.info,
        "who": info.who,
        "version": info.version,
        "created": stamp(info.created) if info.is_since_known else None,
        "path": info.path,
    }


def _unseen_places(seen: LockSeen) -> list[Json]:
    return [{"kind": str(kind), **_missing(why)} for kind, why in seen.unseen]


def _missing(seen: NotFound | Unseen) -> Json:
    if isinstance(seen, NotFound):
        return {"system": seen.system, "trouble": "not found", "detail": seen.what}
    return {"system": seen.system, "trouble": str(seen.trouble), "detail": seen.detail}


def _attribution(tied: Attribution | None) -> Json | None:
    if tied is None:
        return None
    return {
        "strength": tied.strength and str(tied.strength),
        "tie": None if tied.tie is None else str(tied.tie),
        "reason": plain(tied.reason),
        "ruled_out": [plain(why) for why in tied.ruled_out],
        "logs_unread": [_missing(seen) for seen in tied.unread],
        "runs": [
            {
                **run_json(one.run),
                "over": is_over(one),
                "unseen": None if isinstance(one.seen, Found) else _missing(one.seen),
            }
            for one in tied.candidates
        ],
        "unseen": [_missing(seen) for seen in tied.unseen],
    }


def run_json(run: Run) -> Json:
    return {
        "id": run.ref.id,
        "url": run.ref.url,
        "ci": run.ref.pipeline.ci,
        "pipeline": run.ref.pipeline.title,
        "actor": run.actor,
        "trigger": run.trigger,
        "phase": str(run.phase),
        "conclusion": run.conclusion and str(run.conclusion),
        "attempt": run.attempt,
        "created_at": stamp(run.created_at),
        "started_at": _when(run.started_at),
        "ended_at": _when(run.ended_at),
    }


def _owner(owner: Owner | None) -> Json | None:
    if owner is None:
        return None
    return {
        "name": owner.name,
        "slack_id": owner.slack_id,
        "source": plain(owner.source),
        "certain": owner.is_certain,
        "account": owner.account,
        "not_written_to": None if owner.barred is None else owner.barred.name.lower(),
    }


def _stored(check: StateCheck) -> Json:
    seen = check.state
    if not isinstance(seen, Found):
        return {"seen": False, **_missing(seen)}
    match seen.value:
        case StateAbsent(traces, last_good):
            return {"seen": True, "exists": False, "traces": list(traces), "last_good_version": last_good}
        case StateSeen() as state:
            return {"seen": True, "exists": True, **_object(state)}


def _object(state: StateSeen) -> Json:
    return {
        "size": state.size,
        "last_written": stamp(state.last_written),
        "md5": state.md5,
        "serial": state.serial,
        "lineage": state.lineage,
        "terraform_version": state.terraform_version,
        "fault": state.fault,
        "encrypted": state.is_encrypted,
        "version_id": state.version_id,
        "last_good_version": state.last_good_version,
    }


def _loop(loop: Loop) -> Json:
    return {
        "ci": loop.pipeline.ci,
        "pipeline": loop.pipeline.title,
        "starts": loop.total,
        "since": stamp(loop.since),
        "last": stamp(loop.last),
        "every_seconds": loop.every.total_seconds(),
        "trigger": loop.trigger,
        "actor": loop.actor,
        "source": str(source_of(loop)),
    }


def _table(inspection: Inspection) -> Json | None:
    seen = inspection.table
    if seen is None:
        return None
    return {
        "name": seen.name,
        "throttled": inspection.is_throttled,
        "capacity": _seen(
            seen.capacity,
            lambda found: {
                "billing": str(found.billing),
                "read_units": found.read_units if found.billing is Billing.PROVISIONED else None,
                "write_units": found.write_units if found.billing is Billing.PROVISIONED else None,
                "status": found.status,
            },
        ),
        "ttl": _seen(seen.ttl, lambda ttl: {"enabled": ttl.enabled, "attribute": ttl.attribute or None}),
        "refused": _seen(
            seen.refused,
            lambda found: {
                "reads": found.reads,
                "writes": found.writes,
                "within_seconds": found.within.total_seconds(),
            },
        ),
        "crowd": _crowd(inspection.crowd),
    }


def _seen(seen: Observation[T], written: Callable[[T], Json]) -> Json:
    return {"seen": True, **written(seen.value)} if isinstance(seen, Found) else {"seen": False, **_missing(seen)}


def _crowd(crowd: Crowd | None) -> Json | None:
    if crowd is None:
        return None
    return {
        "states": list(crowd.states),
        "active": [run_json(run) for run in crowd.active],
        "loops": [{"state": state, **_loop(loop)} for state, loop in crowd.loops],
        "unseen": [_missing(seen) for seen in crowd.unseen],
    }


def _verdict(verdict: Verdict | None) -> Json | None:
    if verdict is None:
        return None
    return {
        "ruling": str(verdict.ruling),
        "until": _when(verdict.until),
        "waiting_helps": verdict.waiting_helps,
        "checks": [
            {
                "rule": str(finding.rule),
                "effect": finding.effect.name.lower(),
                "reason": plain(finding.reason),
                "until": _when(finding.until),
                "waits": finding.waits,
            }
            for finding in verdict.findings
        ],
    }


def _member(who: Member) -> Json:
    return {
        "id": who.id,
        "name": who.name,
        "deactivated": who.is_deleted,
        "bot": who.is_bot,
        "guest": who.is_guest,
        "time_zone": who.tz,
    }


def _whereabouts(where: Whereabouts) -> Json:
    return {
        "presence": str(where.presence),
        "status_text": where.status_text,
        "status_emoji": where.status_emoji,
        "status_until": _when(where.status_until),
        "snoozed_until": _when(where.snoozed_until),
        "unseen": list(where.unseen),
    }


def _when(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
