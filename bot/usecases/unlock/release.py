"""The release as a job: one worker at a time per state, from a confirmed or armed request to its outcome.

Runs in a worker. May be killed at any line and taken up by another worker, which finds how far the request has come
and settles it by reading. Every attempt to delete follows a decision made on evidence read just before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.core.gate.case import Ruling
from bot.core.gate.stages import UnlockStage
from bot.core.phrase import Phrase
from bot.core.record.evidence import PlaceFacts
from bot.core.reports.unlock import UnlockReport
from bot.usecases.decide.automatic import is_time_over
from bot.usecases.decide.weigh import record_decision
from bot.usecases.lease import TTL, lease
from bot.usecases.queue.waiting_list import look_soon
from bot.usecases.request.record import UNLOCKS, RequestPhase, UnlockRecord
from bot.usecases.request.steps import Step, advance
from bot.usecases.unlock.attempt import Check, TakenBack, carry_out, gone, show_progress
from bot.usecases.unlock.countdown import show_countdown
from bot.usecases.unlock.outcome import ask_for_approval, settle, tell_settled
from bot.usecases.unlock.task import Task, decide_on, fingerprint, load, task_of
from bot.usecases.world import World

log = structlog.get_logger()

STALE_AFTER = timedelta(minutes=30)
"""A confirmed unlock that no worker took up for this long is given up: the people have moved on."""

TICK = timedelta(seconds=10)
"""How often an armed unlock is decided again and its message updated, where no earlier instant is known."""

_PASSING = frozenset({UnlockStage.STILL_THROTTLED, UnlockStage.NOT_KNOWN, UnlockStage.PARTLY_RELEASED})


async def release(world: World, request_id: str, *, worker: str, state: str = "") -> None:
    """Carries a confirmed request out. Raises JournalAway, UpstreamError or Busy: then it must be tried again.

    `state` is the request's; a job that an earlier version queued does not say it.
    """
    if not state:
        known = await load(world, request_id)
        if known is None:
            return
        state = known.state.name.name
    async with _alone(world, request_id, state, worker) as (task, still_ours):
        if task is None:
            return
        if task.phase is RequestPhase.SETTLED:
            await tell_settled(world, task)
        elif task.phase is RequestPhase.CONFIRMED and world.clock.now() - task.began > STALE_AFTER:
            note: Phrase = ("no worker started it in time",)
            await settle(world, task, UnlockReport(task.request, UnlockStage.EXPIRED, None, None, note=note))
        else:
            await _release(world, task, still_ours)


async def _release(world: World, task: Task, still_ours: Check) -> None:
    begun = UnlockReport(task.request, UnlockStage.RELEASING, None, None)
    announcing = asyncio.create_task(show_progress(world, begun))  # which also takes the buttons away
    try:
        report = await carry_out(world, task, still_ours=still_ours)
    except TakenBack:
        log.info("unlock.taken_back", request=task.request.id)
        return
    finally:
        await announcing
    await _end(world, task, report)


async def _end(world: World, task: Task, report: UnlockReport) -> None:
    end = ask_for_approval if report.stage is UnlockStage.CHECKED else settle
    await end(world, task, report)
    await look_soon(world, task.request.state)


async def wake(world: World, request_id: str, *, worker: str) -> None:
    """Has an armed unlock decided now, in addition to its ticks, which continue. Raises as `release`.

    An automatic one has no ticks: each sweep wakes it, and so does a job of its own once its time has come.
    """
    await armed(world, request_id, None, worker=worker)


async def armed(world: World, request_id: str, tick: int | None, *, worker: str) -> None:
    """One tick of an armed unlock: decides, and releases, waits on or ends. Raises as `release`."""
    task = await load(world, request_id)
    if task is None or not task.is_armed:
        return
    async with _alone(world, request_id, task.request.state, worker) as (task, still_ours):
        if task is None or not task.is_armed:
            return
        if task.phase is RequestPhase.SETTLED:
            await tell_settled(world, task)
            return
        try:
            report = await _armed_step(world, task, still_ours)
        except TakenBack:
            log.info("unlock.taken_back", request=task.request.id)
            return
        if report.stage is UnlockStage.ARMED:
            await _wait_on(world, task, report, tick)
        else:
            await _end(world, task, report)


async def _armed_step(world: World, task: Task, still_ours: Check) -> UnlockReport:
    decision = await decide_on(world, task)
    verdict = decision.verdict
    if verdict.ruling is not Ruling.ALLOW:  # the attempt that follows writes down what it decides itself
        once = f"armed/{task.request.id}/{task.round}/{fingerprint(decision)}"
        await record_decision(world, task.request, decision, once=once)
    report = UnlockReport(
        task.request, UnlockStage.ARMED, decision.inspection, verdict, until=task.until, by=task.by,
        approval=world.approvers(task.request.state),
    )  # fmt: skip
    if decision.is_gone(task.request.lock_id):
        return gone(task, decision)
    if _is_late(world, task):
        why = "no worker carried it out in time" if task.is_automatic else "it did not become safe in time"
        return replace(report, stage=UnlockStage.EXPIRED, note=(why,))
    if task.is_automatic:
        return await _automatic_step(world, task, report, still_ours)
    if verdict.ruling is Ruling.ALLOW:
        return _still_armed(world, task, await carry_out(world, task, still_ours=still_ours))
    may_help = verdict.waiting_helps or decision.store_is_busy
    stage = UnlockStage.ARMED if may_help else UnlockStage.REFUSED
    return replace(report, stage=UnlockStage.CHECKED if verdict.ruling is Ruling.NEEDS_APPROVAL else stage)


async def _automatic_step(world: World, task: Task, report: UnlockReport, still_ours: Check) -> UnlockReport:
    """It was announced on proof: what is not proven at any look ends it, and what is waits until nobody stopped it."""
    verdict, not_before, armed_at = report.verdict, task.record.not_before, task.record.armed_at
    if task.phase is RequestPhase.ARMED and verdict is not None and verdict.ruling is not Ruling.ALLOW:
        return replace(report, stage=UnlockStage.REFUSED)
    if not_before is None or armed_at is None or world.clock.now() < not_before:
        return replace(report, until=not_before)
    if task.phase is RequestPhase.ARMED and not await is_time_over(world, task.request, not_before - armed_at):
        return replace(report, until=not_before)
    return await carry_out(world, task, still_ours=still_ours)


def _still_armed(world: World, task: Task, report: UnlockReport) -> UnlockReport:
    """An armed unlock that met a passing obstacle keeps waiting."""
    verdict = report.verdict
    may_come = verdict is not None and (verdict.waiting_helps or verdict.ruling is Ruling.ALLOW)
    refused = report.stage is UnlockStage.REFUSED and may_come
    if not _is_late(world, task) and (refused or report.stage in _PASSING):
        return replace(report, stage=UnlockStage.ARMED, until=task.until, by=task.by)
    return report


async def _wait_on(world: World, task: Task, report: UnlockReport, tick: int | None) -> None:
    """Back to waiting, so that it can be called off again, until the next tick; None has no next one."""
    # kept for the message of someone who cancels it now: a part of the lock may be deleted
    halves = tuple(map(PlaceFacts.of, report.places)) or task.record.halves
    ticks = task.record.ticks + 1
    if await advance(world, task.request.id, Step.WAIT_ON, halves=halves, ticks=ticks) is None:
        return
    await show_countdown(world, task, report)
    if tick is None:
        return
    now = world.clock.now()
    until = report.verdict.until if report.verdict is not None else None
    at = now + TICK if until is None else min(max(until, now + timedelta(seconds=1)), now + TICK)
    number = str(tick + 1)
    await world.jobs.start("armed", task.request.id, number, key=f"armed:{task.request.id}:{number}", at=at)


def _is_late(world: World, task: Task) -> bool:
    return task.until is not None and world.clock.now() > task.until


@asynccontextmanager
async def _alone(world: World, request_id: str, state: str, worker: str) -> AsyncIterator[tuple[Task | None, Check]]:
    """One job at a time per state, also of the same worker; with the request as it was after the lease was taken, since
    when nobody else changes it.
    """
    record: UnlockRecord | None = None
    name, holder = f"state/{state}", f"{worker}/{world.new_id()}"

    async def take() -> bool:
        nonlocal record
        is_taken, record = await UNLOCKS.get_leased(world, request_id, lease=name, holder=holder, ttl=TTL)
        return is_taken

    async with lease(world.records, name, holder=holder, patience=_patience(world), take=take) as still_ours:
        yield task_of(world, record), still_ours


def _patience(world: World) -> timedelta:
    return world.policy.release_deadline + timedelta(seconds=30)
