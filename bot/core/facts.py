"""Evidence as JSON facts for timeline entries, with keys that stay."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.core.attribution import Attribution
from bot.core.case import Verdict
from bot.core.evidence import Found, NotFound, Observation
from bot.core.lock import HalfRelease, LockInfo, LockSeen, StateCheck, StateSeen
from bot.core.phrase import plain
from bot.core.report import Inspection
from bot.core.run import Run
from bot.core.timeline import stamp


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
        "held": [{"half": str(half.kind), "lock_id": half.info.id if half.info else None} for half in seen.held],
        "free": [str(kind) for kind in seen.free],
        "unseen": [{"half": str(kind), "why": trouble_words(why)} for kind, why in seen.unseen],
        "locks": [lock_facts(info) for info in seen.locks],
    }


def run_facts(run: Run) -> dict[str, Any]:
    return {
        "ci": run.ref.pipeline.ci,
        "pipeline": run.ref.pipeline.title,
        "id": run.ref.id,
        "url": run.ref.url,
        "attempt": run.attempt,
        "actor": run.actor,
        "trigger": run.trigger,
        "phase": str(run.phase),
        "conclusion": str(run.conclusion) if run.conclusion else None,
        "started_at": _instant(run.started_at or run.created_at),
        "ended_at": _instant(run.ended_at),
    }


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    return {
        "ruling": str(verdict.ruling),
        "until": _instant(verdict.until),
        "findings": [
            {"rule": str(f.rule), "effect": f.effect.name.lower(), "reason": plain(f.reason)} for f in verdict.findings
        ],
    }


def inspection_facts(inspection: Inspection) -> dict[str, Any]:
    """What the verdict rests on."""
    return {
        "state": inspection.state.name,
        "seen_at": stamp(inspection.at),
        "lock": seen_facts(inspection.seen),
        "state_object": _state_facts(inspection.check),
        "holder": _tied_facts(inspection.attribution),
        "contenders": len(inspection.contention.active),
        "loops": [
            {"pipeline": loop.pipeline.title, "starts": loop.starts, "every_seconds": loop.every.total_seconds()}
            for loop in inspection.contention.loops
        ],
        "table": table_facts(inspection),
    }


def table_facts(inspection: Inspection) -> dict[str, Any] | None:
    table = inspection.table
    if table is None:
        return None
    refused = table.refused
    return {
        "name": table.name,
        "throttled": inspection.is_throttled,
        "billing": str(table.capacity.value.billing) if isinstance(table.capacity, Found) else None,
        "refused": refused.value.total if isinstance(refused, Found) else None,
    }


def release_facts(halves: tuple[HalfRelease, ...]) -> list[dict[str, Any]]:
    return [
        {"half": str(part.half.kind), "place": part.half.place, "result": str(part.result), "detail": part.detail}
        for part in halves
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
    }


def _tied_facts(tied: Attribution | None) -> dict[str, Any] | None:
    if tied is None:
        return None
    return {
        "strength": str(tied.strength) if tied.strength else None,
        "reason": plain(tied.reason),
        "runs": [run_facts(candidate.run) for candidate in tied.candidates],
        "unseen": [trouble_words(seen) for seen in tied.unseen],
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
