"""kill-job: finds what hammers a lock, ends it on confirmation, and waits until it is really dead.

A CI's "cancelled" is intent. A run counts as ended by the same rules as in the gate (`bot.core.life`).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog

from bot.core.attribution import Candidate
from bot.core.contention import Loop
from bot.core.eligibility import why_not_eligible
from bot.core.evidence import Found, NotFound, Observation, Unseen
from bot.core.facts import run_facts, trouble_words
from bot.core.life import is_over
from bot.core.phrase import Phrase, Quoted, duration, plain
from bot.core.report import Inspection, KillReport, KillRequest, KillStage, Target, Tie
from bot.core.run import Cancelled, CancelResult, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.core.timeline import Draft, Kind
from bot.errors import NotPermitted, UpstreamError
from bot.usecases import requests
from bot.usecases.inspect import inspect, unanswered
from bot.usecases.kill_wish import Wanted, wish_in
from bot.usecases.requests import change_kill, find_kill, instant_in, save_kill
from bot.usecases.world import State, World

log = structlog.get_logger()

LOOK_EVERY = timedelta(seconds=3)
_AT_WORK = "This request is being carried out already; its message shows how far it is."
_WAITS = "This request waits for a second member to approve it. Nothing was changed."
_OPEN = frozenset({requests.Phase.SHOWN, requests.Phase.APPROVAL})
GIVE_UP_AFTER = timedelta(minutes=20)
_RUN_ID = re.compile(r"\d{1,20}|[0-9a-f]{32}")
"""A run's number, or an ECS task's id."""
_SCOPES = frozenset({"repo", "project", "job", "cluster"})
"""The part of a pipeline within which run ids are counted."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked for with `/tflock kill-job`."""

    target: str
    user: str
    channel: str
    incident: str
    thread: str = ""
    reason: str = ""


async def ask(world: World, wish: Wish) -> KillReport:
    """Finds what could be ended, and posts it with a button. Changes nothing.

    Raises NotPermitted, UnknownState (a word that is neither a state nor a run), JournalAway, UpstreamError.
    """
    reason = why_not_eligible(await world.standing(wish.user, wish.channel), world.policy)
    if reason is not None:
        raise NotPermitted(f"{plain(reason)}. Nothing was changed.")
    inspection, targets, unseen = await _find(world, wish.target)
    lock = inspection.lock if inspection is not None else None
    request = KillRequest(
        id=world.new_id(),
        state=inspection.state.name if inspection is not None else "",
        lock_id="" if lock is None else lock.id,
        asked=wish.target,
        channel=wish.channel,
        user=wish.user,
        asked_at=world.clock.now(),
        reason=wish.reason,
        thread=wish.thread,
        incident=wish.incident,
    )
    stage = {0: KillStage.NOTHING, 1: KillStage.FOUND}.get(len(targets), KillStage.CHOOSE)
    chosen = targets[0] if len(targets) == 1 else None
    await save_kill(world, request)
    report = KillReport(request, stage, targets, chosen, unseen=unseen)
    posted = await world.teller.kill(report)
    await change_kill(world, request.id, ts=posted.ts)
    return replace(report, request=replace(request, ts=posted.ts))


async def choose(world: World, request_id: str, key: str, *, user: str) -> None:
    """A choice from the list: shows that one with its button. Raises NotPermitted, JournalAway."""
    request, _ = await _live(world, request_id, user, {requests.Phase.SHOWN})
    inspection, targets, unseen = await _find(world, request.asked)
    _check_lock(request, inspection)
    chosen = _picked(targets, key)
    await world.teller.kill(KillReport(request, KillStage.FOUND, targets, chosen, unseen=unseen))


async def confirm(world: World, request_id: str, key: str, *, user: str, stop_source: bool) -> None:
    """The click: hands the killing of that target to a worker. Raises NotPermitted, JournalAway.

    What may hold the lock is ended only if two want it: the first click waits for that of a second member.
    """
    request, record = await _live(world, request_id, user, _OPEN)
    wish = wish_in(record)
    if wish is not None and wish.by != user and wish.key == key:
        await approve(world, request_id, key, user=user)
        return
    chosen = await _chosen(world, request, key)
    wanted = Wanted(user, stop_source=stop_source)
    await (_ask_second if chosen.needs_second else _begin)(world, request, chosen, wanted)


async def approve(world: World, request_id: str, key: str, *, user: str) -> None:
    """A second member's click on what may hold the lock. Raises NotPermitted, JournalAway."""
    request, record = await _live(world, request_id, user, _OPEN)
    wish, limit = wish_in(record), world.policy.approval_timeout
    if wish is None or wish.key != key:
        raise NotPermitted("Nobody has asked for this end yet. Nothing was changed.")
    if user == wish.by:
        raise NotPermitted("You asked for this: a second member has to approve it. Nothing was changed.")
    if world.clock.now() - wish.at > limit:
        raise NotPermitted(
            f"This was asked for more than {duration(limit)} ago. Nothing was changed; ask again with /tflock kill-job."
        )
    chosen = await _chosen(world, request, key)
    await _begin(world, request, chosen, Wanted(wish.by, stop_source=wish.stop_source, approver=user))


async def _chosen(world: World, request: KillRequest, key: str) -> Target:
    inspection, targets, _ = await _find(world, request.asked)
    _check_lock(request, inspection)
    return _picked(targets, key)


async def _begin(world: World, request: KillRequest, chosen: Target, wanted: Wanted) -> None:
    now = world.clock.now()
    pipeline = chosen.loop.pipeline if chosen.loop is not None else chosen.runs[0].ref.pipeline
    moved = await change_kill(
        world, request.id, only_in=_OPEN, phase=requests.Phase.CONFIRMED, by=wanted.by, approver=wanted.approver,
        key=chosen.key, runs=" ".join(run.ref.id for run in chosen.runs), ci=pipeline.ci, fields=_fields(pipeline),
        confirmed_at=now.isoformat(), stop="yes" if wanted.stop_source and chosen.loop is not None else "",
    )  # fmt: skip
    if moved is None:
        raise NotPermitted(_AT_WORK)
    await _write_wish(world, request, chosen, wanted)
    if wanted.approver:
        draft = Draft(
            now, Kind.KILL_APPROVED, wanted.approver, f"approved the end of {_words(chosen)}", {"request": request.id},
            once=f"kill/{request.id}/approved",
        )  # fmt: skip
        await world.journal.append(request.incident, draft)
    await _start(world, request.id)


async def _ask_second(world: World, request: KillRequest, chosen: Target, wanted: Wanted) -> None:
    now = world.clock.now()
    moved = await change_kill(
        world, request.id, only_in=_OPEN, phase=requests.Phase.APPROVAL, by=wanted.by, key=chosen.key,
        approval_at=now.isoformat(), stop="yes" if wanted.stop_source and chosen.loop is not None else "",
    )  # fmt: skip
    if moved is None:
        raise NotPermitted(_AT_WORK)
    await _write_wish(world, request, chosen, wanted)
    until = now + world.policy.approval_timeout
    await world.teller.kill(KillReport(request, KillStage.APPROVAL, (chosen,), chosen, by=wanted.by, until=until))


async def _write_wish(world: World, request: KillRequest, chosen: Target, wanted: Wanted) -> None:
    """Once for each who wanted it: the approver's click does not ask again."""
    facts = {
        "request": request.id,
        "state": request.state,
        "runs": [run_facts(run) for run in chosen.runs],
        "tie": str(chosen.tie),
        "stop_source": wanted.stop_source and chosen.loop is not None,
    }
    text = f"asked to end {_words(chosen)}" + (f" because {request.reason}" if request.reason else "")
    once = f"kill/{request.id}/{wanted.by}"
    draft = Draft(world.clock.now(), Kind.KILL_REQUESTED, wanted.by, text, facts, once=once)
    await world.journal.append(request.incident, draft)


async def _start(world: World, request_id: str) -> None:
    await world.jobs.start("kill", request_id, "0", key=f"kill:{request_id}:0")


async def restart(world: World, request_id: str, *, user: str) -> None:
    """Lets the loop's source be started again, on purpose. Raises NotPermitted, JournalAway."""
    found = await find_kill(world, request_id)
    if found is None or not found[1].get("stop"):
        raise NotPermitted("This message is too old. Nothing was changed.")
    request, record = found
    await _permit(world, user, request.channel)
    pipeline = _pipeline(record)
    source = world.sources[pipeline.ci]
    switched = await source.switch(pipeline, on=True)
    text = f"started {pipeline.title} again: {switched.result}"
    draft = Draft(world.clock.now(), Kind.KILL_CONFIRMED, user, text, {"request": request.id, "restarted": True})
    await world.journal.append(request.incident, draft)
    note: Phrase = (Quoted(switched.detail),) if switched.detail else ()
    await world.teller.kill(
        KillReport(request, KillStage.RESTARTED, switched=switched, source=pipeline.title, note=note)
    )


async def kill(world: World, request_id: str, tick: int) -> None:
    """One tick of killing: the first stops the source and cancels, the later ones look, escalate and conclude."""
    found = await find_kill(world, request_id)
    if found is None or found[1]["phase"] == requests.Phase.DONE:
        return
    request, record = found
    pipeline = _pipeline(record)
    switched = await _stop_source(world, record, pipeline)
    ids = await _all_ids(world, record, pipeline, switched)
    seen = await _read(world, record, pipeline, ids)
    going = [ref_id for ref_id, run in seen.items() if not _ended(run)]
    answers = await _push(world, record, pipeline, going) if going else ()

    report = _progress(request, record, seen, switched, _refusal_words(pipeline, answers))
    denied = bool(answers) and all(answer.result is CancelResult.DENIED for answer in answers)
    if going and not denied and not _given_up(world, record):
        await _show_progress(world, report)
        at = world.clock.now() + LOOK_EVERY
        await world.jobs.start("kill", request_id, str(tick + 1), key=f"kill:{request_id}:{tick + 1}", at=at)
        return
    await _conclude(world, request, record, replace(report, stage=KillStage.FAILED if going else KillStage.ENDED))


async def _show_progress(world: World, report: KillReport) -> None:
    """Not worth failing for: the end is told in any case."""
    try:
        await world.teller.kill(report)
    except UpstreamError as error:
        log.warning("kill.progress_not_shown", request=report.request.id, detail=error.detail)


async def _find(world: World, target: str) -> tuple[Inspection | None, tuple[Target, ...], Phrase]:
    """What a state's name, a run's URL or a run's id means. Raises UnknownState if it is none of these."""
    if target in world.states:
        inspection = await inspect(world, world.state(target))
        return inspection, _targets(inspection), _unseen_words(unanswered(inspection))
    refs = _refs(world, target)
    if not refs:
        world.state(target)
    answers = await asyncio.gather(*(world.sources[ref.pipeline.ci].run(ref) for ref in refs))
    runs = [seen.value for seen in answers if isinstance(seen, Found)]
    mute = tuple(seen for seen in answers if isinstance(seen, Unseen) or (isinstance(seen, NotFound) and not runs))
    if not runs:
        return None, (), _unseen_words(mute)
    if len({run.ref for run in runs}) > 1:
        raise NotPermitted("That id names runs of several pipelines. Nothing was changed; give the run's address.")
    state = _state_of(world, runs[0].ref.pipeline)
    inspection = await inspect(world, state)
    targets = tuple(_target(run, inspection) for run in runs[:1] if run.phase is not Phase.ENDED)
    return inspection, targets, ()


def _refs(world: World, target: str) -> tuple[RunRef, ...]:
    """The runs that a URL or a bare id could mean, among the configured pipelines only. Makes no request."""
    by_url = [source.ref_from_url(target) for source in world.sources.values()] if "://" in target else []
    refs = tuple(ref for ref in by_url if ref is not None)
    if refs or not _RUN_ID.fullmatch(target):
        return refs
    scopes = {
        (pipeline.ci, next((value for key, value in pipeline.fields if key in _SCOPES), "")): pipeline
        for state in world.states.values()
        for pipeline in state.pipelines
        if pipeline.ci in world.sources
    }
    return tuple(RunRef(pipeline, target) for pipeline in scopes.values())


def _state_of(world: World, pipeline: Pipeline) -> State:
    for state in world.states.values():
        if pipeline in state.pipelines:
            return state
    raise NotPermitted("That run belongs to no pipeline that the configuration maps to a state. Nothing was changed.")


def _check_lock(request: KillRequest, inspection: Inspection | None) -> None:
    """A run that only wanted the lock that was shown may be the one that has the new lock."""
    locks = inspection.seen.locks if inspection is not None else ()
    if locks and request.lock_id and all(info.id != request.lock_id for info in locks):
        raise NotPermitted(
            "The lock has changed hands since this was asked, and what you chose may hold it now. Nothing was changed; "
            "ask again with /tflock kill-job."
        )


def _targets(inspection: Inspection) -> tuple[Target, ...]:
    """Loops first, then the runs going on that belong to none of them."""
    loops = tuple(_loop_target(loop, inspection) for loop in inspection.contention.loops)
    looping = {run.ref for target in loops for run in target.runs}
    single = (run for run in _going(inspection) if run.ref not in looping)
    return (*loops, *(_target(run, inspection) for run in single))


def _going(inspection: Inspection, pipeline: Pipeline | None = None) -> Iterable[Run]:
    for look in inspection.looks:
        if isinstance(look.listing, Found) and pipeline in {None, look.pipeline}:
            yield from (run for run in look.listing.value if run.phase is not Phase.ENDED)


def _target(run: Run, inspection: Inspection) -> Target:
    return Target(f"run:{run.ref.id}", (run,), _tie((run,), inspection))


def _loop_target(loop: Loop, inspection: Inspection) -> Target:
    """Named after its pipeline: by the time of the click another loop may have more starts."""
    pipeline = loop.pipeline
    name = hashlib.sha256(f"{pipeline.ci}\n{_fields(pipeline)}".encode()).hexdigest()[:12]
    runs = tuple(_going(inspection, pipeline))
    return Target(f"loop:{name}", runs, _tie(runs, inspection), loop)


def _tie(runs: Sequence[Run], inspection: Inspection) -> Tie:
    """How runs stand to the lock. Of a lock that cannot be read, any of them may be the holder."""
    tied = inspection.attribution
    if tied is None and inspection.seen.is_throttled:
        return Tie.UNREAD
    if tied is None:
        return Tie.NO_LOCK if inspection.seen.is_free else Tie.HOLDS
    refs = {candidate.run.ref for candidate in tied.candidates}
    return Tie.HOLDS if any(run.ref in refs for run in runs) else Tie.CONTENDS


def _picked(targets: tuple[Target, ...], key: str) -> Target:
    for target in targets:
        if target.key == key:
            return target
    raise NotPermitted("That run has ended meanwhile, or is not there any more. Nothing was changed.")


async def _live(
    world: World, request_id: str, user: str, phases: Collection[requests.Phase]
) -> tuple[KillRequest, dict[str, Any]]:
    found = await find_kill(world, request_id)
    if found is None:
        raise NotPermitted("This message is too old. Nothing was changed; ask again with /tflock kill-job.")
    if found[1]["phase"] == requests.Phase.CONFIRMED and not found[1].get("cancelled"):
        await _start(world, request_id)  # does nothing, unless the process died before it could start it
    if found[1]["phase"] not in phases:
        raise NotPermitted(_WAITS if found[1]["phase"] == requests.Phase.APPROVAL else _AT_WORK)
    await _permit(world, user, found[0].channel)
    return found


async def _permit(world: World, user: str, channel: str) -> None:
    reason = why_not_eligible(await world.standing(user, channel), world.policy)
    if reason is not None:
        raise NotPermitted(f"{plain(reason)}. Nothing was changed.")


async def _stop_source(world: World, record: dict[str, str], pipeline: Pipeline) -> Switched | None:
    """Stops the loop's source first, or new runs start while the old ones are ended."""
    if not record.get("stop"):
        return None
    if record.get("switched"):
        return Switched(SwitchResult(record["switched"]), record.get("switched_detail", ""))
    switched = await world.sources[pipeline.ci].switch(pipeline, on=False)
    if switched.result is not SwitchResult.NOT_KNOWN:
        await change_kill(world, record["id"], switched=str(switched.result), switched_detail=switched.detail)
    return switched


async def _all_ids(
    world: World, record: dict[str, str], pipeline: Pipeline, switched: Switched | None
) -> tuple[str, ...]:
    """The runs to end: those that were confirmed, and with a loop also those that started before its source stopped."""
    ids = dict.fromkeys(record["runs"].split())
    if switched is not None and not record.get("listed"):
        since = world.clock.now() - timedelta(hours=1)
        listing = await world.sources[pipeline.ci].runs(pipeline, since=since)
        found = listing.value if isinstance(listing, Found) else ()
        ids.update(dict.fromkeys(run.ref.id for run in found if run.phase is not Phase.ENDED))
        whole = isinstance(listing, Found) and switched.result is not SwitchResult.NOT_KNOWN
        await change_kill(world, record["id"], runs=" ".join(ids), listed="yes" if whole else "")
    return tuple(ids)


async def _read(
    world: World, record: dict[str, str], pipeline: Pipeline, ids: tuple[str, ...]
) -> dict[str, Observation[Run]]:
    """Each run as it is now, by its id. A queue item (Jenkins) gets another id once it runs, and is then forgotten."""
    source = world.sources[pipeline.ci]
    answers = await asyncio.gather(*(source.run(RunRef(pipeline, ref_id)) for ref_id in ids))
    seen = {
        answer.value.ref.id if isinstance(answer, Found) else ref_id: answer
        for ref_id, answer in zip(ids, answers, strict=True)
    }
    if tuple(seen) != ids:
        await change_kill(world, record["id"], runs=" ".join(seen))
    return seen


def _ended(seen: Observation[Run]) -> bool:
    return isinstance(seen, Found) and is_over(Candidate(seen.value, seen, ()))


async def _push(world: World, record: dict[str, str], pipeline: Pipeline, going: list[str]) -> tuple[Cancelled, ...]:
    """Asks each run to end: once, and once more by force after the system's own delay."""
    began = instant_in(record, "confirmed_at") or world.clock.now()
    force = world.clock.now() - began >= world.sources[pipeline.ci].escalate_after
    asked = (record.get("forced" if force else "cancelled") or "").split()
    due = [ref_id for ref_id in going if ref_id not in asked]
    source = world.sources[pipeline.ci]
    answers = tuple(await asyncio.gather(*(source.cancel(RunRef(pipeline, ref_id), force=force) for ref_id in due)))
    known = [ref_id for ref_id, said in zip(due, answers, strict=True) if said.result is not CancelResult.NOT_KNOWN]
    if known:
        done = " ".join([*asked, *known])
        await world.records.update("kill", record["id"], {"forced": done} if force else {"cancelled": done})
    return answers


def _refusal_words(pipeline: Pipeline, answers: tuple[Cancelled, ...]) -> Phrase:
    taken = {CancelResult.ACCEPTED, CancelResult.ALREADY_ENDED}
    refused = [answer for answer in answers if answer.result not in taken]
    return (f"{pipeline.ci}: {refused[0].result} ", Quoted(refused[0].detail)) if refused else ()


def _progress(
    request: KillRequest,
    record: dict[str, str],
    seen: dict[str, Observation[Run]],
    switched: Switched | None,
    note: Phrase,
) -> KillReport:
    stage = KillStage.ESCALATED if record.get("forced") else KillStage.CANCELLING
    runs = tuple(found.value for found in seen.values() if isinstance(found, Found))
    mute = tuple(found for found in seen.values() if not isinstance(found, Found))
    title = _pipeline(record).title
    return KillReport(
        request, stage, progress=runs, switched=switched, source=title, note=note, unseen=_unseen_words(mute)
    )


def _given_up(world: World, record: dict[str, str]) -> bool:
    began = instant_in(record, "confirmed_at")
    return began is not None and world.clock.now() - began > GIVE_UP_AFTER


async def _conclude(world: World, request: KillRequest, record: dict[str, str], report: KillReport) -> None:
    ended = report.stage is KillStage.ENDED
    count = len(report.progress)
    text = f"{count} run{'s' if count != 1 else ''} " + ("ended" if ended else "could not be seen to end")
    if report.switched is not None:
        text += f"; stopping the source: {report.switched.result}"
    facts = {"request": request.id, "runs": [run_facts(run) for run in report.progress], "ended": ended}
    draft = Draft(world.clock.now(), Kind.KILL_CONFIRMED, record["by"], text, facts, once=f"killed/{request.id}")
    await world.journal.append(request.incident, draft)
    await world.teller.kill(report)
    await change_kill(world, request.id, phase=requests.Phase.DONE)
    log.info("kill.settled", request=request.id, runs=count, ended=ended)


def _words(target: Target) -> str:
    if target.loop is not None:
        return f"the loop of {target.loop.pipeline.title} ({len(target.runs)} runs going on)"
    return f"run {target.runs[0].ref.id} of {target.runs[0].ref.pipeline.title}"


def _unseen_words(mute: tuple[NotFound | Unseen, ...]) -> Phrase:
    return () if not mute else (f"{mute[0].system}: ", Quoted(trouble_words(mute[0])))


def _fields(pipeline: Pipeline) -> str:
    return "\n".join(f"{key}\t{value}" for key, value in pipeline.fields)


def _pipeline(record: dict[str, str]) -> Pipeline:
    pairs = [line.partition("\t") for line in record["fields"].split("\n") if line]
    return Pipeline(record["ci"], tuple((key, value) for key, _, value in pairs))
