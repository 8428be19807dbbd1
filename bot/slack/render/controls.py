"""The buttons and lists of requests: which of them a stage has, what they carry, and what they ask again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.core.gate.case import Ruling
from bot.core.gate.ending import run_name
from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.hold import USUALLY
from bot.core.lock import LockInfo
from bot.core.people import BOT
from bot.core.phrase import Phrase, Quoted, duration
from bot.core.reports.button import ButtonValue
from bot.core.reports.kill import KillReport, KillTarget, Stake
from bot.core.reports.unlock import UnlockReport
from bot.core.run import SwitchResult
from bot.slack.render.blocks import Confirm, Element, button, select
from bot.slack.render.facts import runs
from bot.slack.render.mrkdwn import flat, flat_phrase
from bot.slack.render.waiting import CHECK, watch_button

REARM, HOLD = "unlock.rearm", "unlock.hold"
RECOVER = "recover.look"


def lock_of(report: UnlockReport) -> LockInfo | None:
    """The lock that the request is about, as it was seen before the release."""
    seen: list[LockInfo] = [part.place.info for part in report.places if part.place.info is not None]
    if report.inspection is not None:
        seen.extend(report.inspection.seen.locks)
        seen.extend([report.inspection.lock] if report.inspection.lock else [])
    return next((info for info in seen if info.id == report.request.lock_id), None)


def target_of(report: KillReport) -> KillTarget | None:
    return report.chosen or next(iter(report.targets), None)


TIE_WORDS = {
    Stake.HOLDS: "may hold the lock",
    Stake.UNREAD: "may hold the lock (its table is throttled)",
    Stake.CONTENDS: "wants the lock and does not hold it",
    Stake.NO_LOCK: "holds no lock",
}


def unlock_controls(report: UnlockReport) -> list[Element | None]:
    """The next step first."""
    refused = report.verdict is not None and report.verdict.ruling is Ruling.REFUSE
    undecided = report.stage in {UnlockStage.CHECKED, UnlockStage.EXPIRED}
    is_locked = refused if undecided else report.stage in _STAYS_LOCKED
    return [*_unlocking(report), watch_button(report.request.state) if is_locked else None]


_STAYS_LOCKED = frozenset(
    {UnlockStage.ARMED, UnlockStage.REFUSED, UnlockStage.HOLDER_CHANGED, UnlockStage.STILL_THROTTLED}
)
_WHEN_SAFE = "Unlock when safe"


def _unlocking(report: UnlockReport) -> list[Element | None]:  # noqa: C901, PLR0911 - one arm a stage
    verdict, value = report.verdict, ButtonValue(report.request.state, report.request.lock_id, report.request.id)
    if report.stage is UnlockStage.ARMED:
        return [button("Stop the unlock" if report.by == BOT else "Cancel unlock", "unlock.disarm", value)]
    if report.stage in _LOOK_AGAIN:
        return [button("Check again", CHECK, ButtonValue(report.request.state, "", ""), style="primary")]
    if report.stage is UnlockStage.RELEASED:
        return [button("What did it leave behind?", RECOVER, replace(value, request=""))]
    if report.stage is UnlockStage.STILL_THROTTLED:
        flood = replace(value, request="")
        found = button("Find what's flooding it…", "status.kill", flood, style="primary")
        return [found, None if report.request.is_automatic else button(_WHEN_SAFE, "unlock.when_safe", value)]
    if report.request.is_automatic and report.stage is not UnlockStage.CHECKED:
        return []  # nobody asked for it, so it is over
    if report.stage is UnlockStage.HOLDER_CHANGED and report.now_held_by is not None:
        newer = replace(value, choice=report.now_held_by.id)
        return [button("Unlock this lock when safe", REARM, newer, style="primary")]
    if report.stage is UnlockStage.EXPIRED and verdict is not None and verdict.waiting_helps:
        return [button(_WHEN_SAFE, REARM, replace(value, choice=value.lock_id), style="primary")]
    if verdict is None or report.stage not in {UnlockStage.CHECKED, UnlockStage.REFUSED}:
        return []
    if verdict.waiting_helps:
        return [button(_WHEN_SAFE, "unlock.when_safe", value, style="primary")]
    if report.stage is not UnlockStage.CHECKED or verdict.ruling is Ruling.REFUSE:
        return []
    cancel = button("Cancel", "unlock.decline", value)
    if verdict.ruling is Ruling.ALLOW and report.request.hold_for is not None:
        return [_hold(report, value, f"Swap it for a hold of {report.request.state}", style="danger"), cancel]
    if verdict.ruling is Ruling.ALLOW:
        label = f"Unlock {report.request.state}"
        confirm = button(label, "unlock.confirm", value, style="danger", confirm=_sure(report))
        can_swap = report.inspection is not None and report.inspection.can.swap
        return [confirm, _hold(report, value, "Unlock and hold it") if can_swap else None, cancel]
    covers = replace(value, choice="+".join(verdict.wants_approval))
    label = "Approve and unlock" if report.request.hold_for is None else "Approve and hold"
    approve = button(label, "unlock.approve", covers, style="danger", confirm=_sure(report))
    return [approve, button("Decline", "unlock.decline", value)]


_LOOK_AGAIN = frozenset({UnlockStage.NOT_KNOWN, UnlockStage.PARTLY_RELEASED, UnlockStage.FAILED})


def _hold(report: UnlockReport, value: ButtonValue, label: str, style: str | None = None) -> Element | None:
    return button(label, HOLD, value, style=style, confirm=_sure(report, hold_for=report.request.hold_for or USUALLY))


def _sure(report: UnlockReport, *, hold_for: timedelta | None = None) -> Confirm:
    hold_for = hold_for or report.request.hold_for
    lock = lock_of(report)
    holder = "" if lock is None else f" of {flat(lock.who, 80) or 'an unnamed holder'}"
    short = flat(report.request.lock_id, 8)
    again = "Everything is checked again first. If anything has changed, nothing is released."
    name = flat(report.request.state, 60)
    if hold_for is not None:
        text = f"Swaps lock {short}{holder} on {name} for a hold of {duration(hold_for)}. Nobody can apply. {again}"
        return Confirm(f"Unlock {flat(report.request.state, 80)} and hold it?", text, "Hold it")
    text = f"Releases lock {short}{holder} on {name}. {again}"
    return Confirm(f"Unlock {flat(report.request.state, 80)}?", text, "Unlock")


def kill_controls(report: KillReport) -> list[Element | None]:
    target = target_of(report)
    if report.stage is KillStage.CHOOSE:
        options = [(flat_phrase(_label(target), 75), kill_value(report, target)) for target in report.targets]
        return [select("Choose what to end", "kill.choose", options)]
    if report.stage is KillStage.FOUND and target is not None:
        return _for_run(report, target) if target.loop is None else _for_loop(report, target)
    if report.stage is KillStage.APPROVAL and target is not None:
        asked = "Someone else asked for this, and you'd be the second approver."
        sure = Confirm("End it?", f"{asked}{_risk(target)}", "Approve")
        value = kill_value(report, target)
        return [button("Approve and end it", "kill.approve", value, style="danger", confirm=sure)]
    state = report.request.state
    look = button(f"Check {state}", CHECK, ButtonValue(state, "", ""), style="primary") if state else None
    again = button("Re-enable workflow", "kill.restart", kill_value(report, target)) if _is_left_off(report) else None
    return [look if report.stage is KillStage.ENDED else None, again]


def _is_left_off(report: KillReport) -> bool:
    """Whether the loop's source stays switched off by what was done here."""
    if report.switched is None:
        return False
    done = report.switched.result is SwitchResult.DONE
    if report.stage is KillStage.RESTARTED:
        return not done
    if report.stage is KillStage.FAILED:
        return done or (not report.progress and target_of(report) is None)  # the latter is a restart that failed
    return report.stage in {KillStage.ENDED, KillStage.STOPPED, KillStage.STILL_OFF} and done


def _label(target: KillTarget) -> Phrase:
    if target.loop is not None:
        return (f"Loop: {target.loop.total} starts of ", Quoted(target.loop.pipeline.title))
    if not target.runs:
        return (Quoted(target.key),)
    run = target.runs[0]
    number = Quoted(f"#{run.ref.id}")
    return (number, f" {run.phase}, {TIE_WORDS[target.tie]}: ", Quoted(run.ref.pipeline.title))


def _for_run(report: KillReport, target: KillTarget) -> list[Element | None]:
    name = flat(run_name(target.runs[0]).text if target.runs else target.key, 60)
    sure = Confirm(f"End {name}?", f"{name} is cancelled, by force if it does not stop.{_risk(target)}", "End it")
    return [button("End this run", "kill.confirm", kill_value(report, target), style="danger", confirm=sure)]


def _risk(target: KillTarget) -> str:
    risk = " It may hold the lock and be in the middle of an apply" if target.tie in {Stake.HOLDS, Stake.UNREAD} else ""
    second = ", so a second person must approve it" if target.needs_second else ""
    return f"{risk}{second}." if risk else ""


def _for_loop(report: KillReport, target: KillTarget) -> list[Element | None]:
    value, number = kill_value(report, target), len(target.runs)
    name = flat(target.loop.pipeline.title if target.loop else target.key, 80)
    label = f"Stop the loop (cancel {runs(number)})" if number else "Stop the loop"
    off = f"This disables {name}: it starts no more runs until someone re-enables it (there will be a button)."
    stop = Confirm("Stop the loop?", f"{off}{_risk(target)}", "Stop it")
    both = button(label, "kill.confirm", value, style="danger", confirm=stop)
    if not number:
        return [both]
    on = f"This does not disable {name}: the loop keeps starting runs.{_risk(target)}"
    only = Confirm(f"Cancel {runs(number)}?", on, "Cancel them", "Back")
    return [both, button(f"Only cancel the {runs(number)}", "kill.only", value, confirm=only)]


def kill_value(report: KillReport, target: KillTarget | None) -> ButtonValue:
    request = report.request
    return ButtonValue(request.state, request.lock_id, request.id, target.key if target else "")
