"""Puts what a question showed on the timeline: the verdict with its evidence, as after a request to unlock.

For after the answer, so that nobody waits for it. Written when something has changed since it was last asked, and again
after a while, so that a crowd of askers does not flood the timeline.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.core.gate.case import Verdict
from bot.core.gate.inspection import Inspection
from bot.core.record.evidence import Evidence, VerdictFacts, verdict_words
from bot.core.record.facts import GateDecided, draft_of
from bot.core.reports.report import StatusReport
from bot.errors import JournalAway
from bot.usecases.decide.owner import answer_about
from bot.usecases.decide.weigh import conclude
from bot.usecases.look.status import Question, incident_of
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

AGAIN_AFTER = timedelta(minutes=5)
"""How long the same is not written a second time."""


@dataclass(frozen=True, slots=True)
class LastWritten:
    """What was seen when the last entry about a state was written."""

    seen: str
    at: datetime


LAST_WRITTEN = Shelf("look", LastWritten, timedelta(days=30))


async def write_look(world: World, report: StatusReport, question: Question) -> None:
    """What `status` answered, if it was asked in an incident. Does without a timeline that is away."""
    try:
        incident = await incident_of(world, question, report)
        if incident:
            await _write(world, incident, report.inspection, report.verdict, "status")
    except JournalAway:
        log.warning("status.verdict_not_written", state=report.inspection.state.name)


async def weigh_look(world: World, inspection: Inspection, question: Question) -> None:
    """What an unlock by the asker would have met, for a question that did not ask for it; else as `write_look`."""
    try:
        incident = await incident_of(world, question)
        if incident:
            verdict = await _verdict(world, inspection, question)
            await _write(world, incident, inspection, verdict, "who")
    except JournalAway:
        log.warning("who.verdict_not_written", state=inspection.state.name)


async def _verdict(world: World, inspection: Inspection, question: Question) -> Verdict | None:
    lock = inspection.lock
    if lock is None:
        return None
    standing, answer = await asyncio.gather(
        world.standing(question.user, question.channel), answer_about(world, inspection.state.name, lock.id)
    )
    return conclude(world, inspection, standing, lock.id, answer).verdict


async def _write(world: World, incident: str, inspection: Inspection, verdict: Verdict | None, asked: str) -> None:
    state, now = inspection.state.name, world.clock.now()
    seen, key = _fingerprint(inspection, verdict), f"{incident}/{state}"
    before = await LAST_WRITTEN.get(world, key)
    if before is not None and before.seen == seen and now - before.at < AGAIN_AFTER:
        return
    facts = GateDecided(
        asked=asked,
        state=state,
        lock_id=inspection.lock.id if inspection.lock is not None else "",
        verdict=None if verdict is None else VerdictFacts.of(verdict),
        evidence=Evidence.of(inspection),
    )
    await world.journal.append(incident, draft_of(facts, now, "tflock", _words(inspection, verdict)))
    await LAST_WRITTEN.put(world, key, LastWritten(seen, now))


def _fingerprint(inspection: Inspection, verdict: Verdict | None) -> str:
    """Short for what was seen: the same as long as nothing has changed that anyone would want to know."""
    tied = inspection.attribution
    holders = [candidate.run for candidate in tied.candidates] if tied is not None else []
    return json.dumps(
        [
            "" if verdict is None else str(verdict.ruling),
            [] if verdict is None else sorted(str(finding.rule) for finding in verdict.refusals),
            sorted(info.id for info in inspection.seen.locks),
            len(inspection.seen.unseen),
            sorted(f"{run.ref.id}/{run.attempt}/{run.phase}/{run.conclusion}" for run in holders)[:20],
            len(inspection.contention.active).bit_length(),
            inspection.is_throttled,
            sorted(loop.pipeline.title for loop in inspection.contention.loops),
            str(inspection.check.digest.match),
        ]
    )


def _words(inspection: Inspection, verdict: Verdict | None) -> str:
    state = inspection.state.name
    if verdict is not None:
        return verdict_words(state, verdict)
    if inspection.seen.is_free:
        return f"{state} is free"
    return f"the lock of {state} could not be read" + (
        ": the lock table refused the request" if inspection.is_throttled else ""
    )
