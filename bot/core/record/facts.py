"""Evidence as JSON facts for timeline entries, with keys that stay.

An entry is kept below about 16 kB: of long lists the first are written, and how many there were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bot.core.evidence import Found, NotFound, Observation
from bot.core.gate.attribution import Attribution
from bot.core.gate.case import Effect, Finding, Ruling, Verdict
from bot.core.gate.contention import Loop, source_of
from bot.core.gate.inspection import Crowd, Inspection, Owner
from bot.core.lock import LockInfo, LockSeen, PlaceRelease, StateCheck, StateSeen
from bot.core.phrase import plain
from bot.core.record.timeline import stamp
from bot.core.run import Pipeline, Run

_MOST_HOLDERS = 10
_MOST_CONTENDERS = 20
_MOST_LOOPS = 5
_MOST_SHARING = 20
_LONGEST = 200
"""Characters of a text that a CI or a store wrote."""

_SYSTEMS = (
    ("workflow", "GitHub Actions"),
    ("definition", "Azure DevOps"),
    ("family", "ECS"),
    ("project", "GitLab CI"),
    ("job", "Jenkins"),
)
"""The CI systems by the first of these keys that a pipeline has in the configuration."""


def lock_facts(lock: LockInfo) -> dict[str, Any]:
    return {
        "id": lock.id,
        "operation": lock.operation,
        "who": lock.who,
        "created": stamp(lock.created),
        "version": lock.version,
        "path": lock.path,
    }


def seen_facts(seen: LockSeen) -> dict[str, Any]:
    return {
        "held": [{"half": str(place.kind), "lock_id": place.info.id if place.info else None} for place in seen.held],
        "free": [str(kind) for kind in seen.free],
        "unseen": [{"half": str(kind), "why": trouble_words(why)} for kind, why in seen.unseen],
        "locks": [lock_facts(info) for info in seen.locks],
    }


def system_of(pipeline: Pipeline) -> str:
    """The proper name of the pipeline's CI system; empty for one that is told by none of its keys."""
    return next((name for key, name in _SYSTEMS if pipeline.get(key) is not None), "")


def run_facts(run: Run) -> dict[str, Any]:
    return {
        "ci": run.ref.pipeline.ci,
        "system": system_of(run.ref.pipeline),
        "pipeline": run.ref.pipeline.title[:_LONGEST],
        "id": run.ref.id,
        "url": run.ref.url[:_LONGEST],
        "attempt": run.attempt,
        "actor": run.actor[:_LONGEST],
        "trigger": run.trigger[:_LONGEST],
        "phase": str(run.phase),
        "conclusion": str(run.conclusion) if run.conclusion else None,
        "started_at": _instant(run.started_at or run.created_at),
        "ended_at": _instant(run.ended_at),
    }


def runs_facts(runs: tuple[Run, ...]) -> list[dict[str, Any]]:
    """The first of the runs, as many as an entry takes."""
    return [run_facts(run) for run in runs[:_MOST_CONTENDERS]]


def loop_facts(loop: Loop) -> dict[str, Any]:
    return {
        "ci": loop.pipeline.ci,
        "system": system_of(loop.pipeline),
        "pipeline": loop.pipeline.title[:_LONGEST],
        "starts": loop.starts,
        "total": loop.total,
        "since": stamp(loop.since),
        "last": stamp(loop.last),
        "every_seconds": loop.every.total_seconds(),
        "source": str(source_of(loop)),
        "actor": loop.actor[:_LONGEST],
        "trigger": loop.trigger[:_LONGEST],
    }


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    return {
        "ruling": str(verdict.ruling),
        "until": _instant(verdict.until),
        "findings": [
            {"rule": str(f.rule), "effect": f.effect.name.lower(), "reason": plain(f.reason)} for f in verdict.findings
        ],
    }


def verdict_words(state: str, verdict: Verdict) -> str:
    """The verdict as a sentence of the timeline."""
    if verdict.ruling is Ruling.ALLOW:
        count, warned = len(verdict.findings), [f for f in verdict.findings if f.effect is not Effect.HOLDS]
        return f"{state} may be unlocked: {_holding(count, warned)}"
    if verdict.ruling is Ruling.NEEDS_APPROVAL:
        asked = (finding for finding in verdict.findings if finding.effect is Effect.WANTS_APPROVAL)
        return f"{state} may be unlocked if a second member approves: {_reasons(asked)}"
    yet = " yet" if verdict.waiting_helps else ""
    return f"{state} may not be unlocked{yet}: {_reasons(verdict.refusals)}"


def _holding(count: int, warned: Sequence[Finding]) -> str:
    if not warned:
        return f"all {count} checks hold"
    return f"{count - len(warned)} of {count} checks hold, and none forbids it ({_reasons(warned)})"


def _reasons(findings: Iterable[Finding]) -> str:
    return "; ".join(plain(finding.reason) for finding in findings)


def inspection_facts(inspection: Inspection) -> dict[str, Any]:
    """What the verdict rests on."""
    return {
        "state": inspection.state.name,
        "seen_at": stamp(inspection.at),
        "lock_id": None if inspection.lock is None else inspection.lock.id,
        "lock": seen_facts(inspection.seen),
        "state_object": _state_facts(inspection.check),
        "holder": _tied_facts(inspection.attribution),
        "owner": _owner_facts(inspection.owner),
        "contenders": len(inspection.contention.active),
        "contending": runs_facts(inspection.contention.active),
        "loops": [loop_facts(loop) for loop in inspection.contention.loops[:_MOST_LOOPS]],
        "table": table_facts(inspection),
        "crowd": _crowd_facts(inspection.crowd),
    }


def table_facts(inspection: Inspection) -> dict[str, Any] | None:
    table = inspection.table
    if table is None:
        return None
    refused, ttl = table.refused, table.ttl
    capacity = table.capacity.value if isinstance(table.capacity, Found) else None
    return {
        "name": table.name,
        "throttled": inspection.is_throttled,
        "billing": str(capacity.billing) if capacity else None,
        "read_units": capacity.read_units if capacity else None,
        "write_units": capacity.write_units if capacity else None,
        "ttl": {"enabled": ttl.value.enabled, "attribute": ttl.value.attribute} if isinstance(ttl, Found) else None,
        "refused": refused.value.total if isinstance(refused, Found) else None,
    }


def release_facts(places: tuple[PlaceRelease, ...]) -> list[dict[str, Any]]:
    return [
        {"half": str(part.place.kind), "place": part.place.where, "result": str(part.result), "detail": part.detail}
        for part in places
    ]


def trouble_words(seen: Observation[Any]) -> str:
    """What a look-up without an answer said."""
    if isinstance(seen, Found):
        return ""
    return f"not found: {seen.what}" if isinstance(seen, NotFound) else f"{seen.trouble}: {seen.detail}"


def _state_facts(check: StateCheck) -> dict[str, Any]:
    seen = check.state
    if not isinstance(seen, Found):
        return {"unseen": trouble_words(seen)}
    if not isinstance(seen.value, StateSeen):
        return {"absent": True, "traces": list(seen.value.traces)}
    return {
        "serial": seen.value.serial,
        "lineage": seen.value.lineage,
        "size": seen.value.size,
        "last_written": stamp(seen.value.last_written),
        "fault": seen.value.fault,
        "digest": str(check.digest.match),
        "digest_key": check.digest.key,
        "digest_item": check.digest.item,
        "digest_actual": check.digest.actual,
    }


def _tied_facts(tied: Attribution | None) -> dict[str, Any] | None:
    if tied is None:
        return None
    return {
        "strength": str(tied.strength) if tied.strength else None,
        "reason": plain(tied.reason),
        "candidates": len(tied.candidates),
        "runs": [run_facts(candidate.run) for candidate in tied.candidates[:_MOST_HOLDERS]],
        "unseen": [trouble_words(seen)[:_LONGEST] for seen in tied.unseen[:_MOST_LOOPS]],
    }


def _owner_facts(owner: Owner | None) -> dict[str, Any] | None:
    if owner is None:
        return None
    return {"name": owner.name, "slack_id": owner.slack_id, "source": plain(owner.source)}


def _crowd_facts(crowd: Crowd | None) -> dict[str, Any] | None:
    """Who asks a table that throttles, over all states that share it."""
    if crowd is None:
        return None
    return {
        "states": list(crowd.states[:_MOST_SHARING]),
        "active": len(crowd.active),
        "loops": [{"state": state, **loop_facts(loop)} for state, loop in crowd.loops[:_MOST_LOOPS]],
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
