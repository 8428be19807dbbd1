"""What each button does. A button carries the state and the lock that it was made for; a stale one changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, TypedDict

from bot.core.people import OwnerSays
from bot.core.phrase import Linked, Phrase
from bot.core.reports import hold as hold_report
from bot.core.reports.alert import AlertKind
from bot.core.reports.button import ButtonValue, parse_button
from bot.core.reports.in_flight import RequestInFlight
from bot.core.reports.report import REVIEW, Checklist, Notice
from bot.core.reports.unlock import UnlockReport
from bot.errors import NotPermitted
from bot.slack.render import status as status_page
from bot.slack.render.controls import HOLD, RECOVER
from bot.slack.render.followups import FILE
from bot.slack.render.page import CLOSE_ANYWAY
from bot.slack.render.step import ARM
from bot.slack.render.timeline import EDIT, ENTRY, NEWER, OLDER
from bot.slack.render.waiting import CHECK, STOP, WATCH
from bot.usecases.export import tickets
from bot.usecases.hold import ask as holds
from bot.usecases.kill import kill_job
from bot.usecases.look.status import Question, status, tell_owner
from bot.usecases.record.rights import check_may_write
from bot.usecases.request import approval
from bot.usecases.request.record import KILLS, UNLOCKS, KillRecord, UnlockRecord
from bot.usecases.shelf import Shelf
from bot.usecases.unlock import owner_answers, unlock, workflow_step
from bot.usecases.unlock.rearm import rearm
from bot.usecases.watch import alerts
from bot.usecases.world import World
from handlers import commands, dialogs, record, timeline
from handlers.asker import Asker, say
from handlers.home import HOME_BUTTONS
from handlers.typed import values

OnClick: TypeAlias = Callable[[World, ButtonValue, Asker], Awaitable[str]]
"""Carries a click out. Returns the outcome for the metrics, or raises for the boundary."""

CONFIRM = "unlock.confirm"

_REQUESTS: Mapping[str, Shelf[UnlockRecord] | Shelf[KillRecord]] = {"unlock": UNLOCKS, "kill": KILLS}


async def run(world: World, action_id: str, said: str, asker: Asker) -> str:
    """`said` is what is on the button that was clicked, or on the line that was chosen from a list."""
    click, value = CLICKS.get(action_id), parse_button(said)
    if click is None or value is None:
        raise NotPermitted("tflock no longer knows this button. Nothing was changed.")
    # of a click that is taken up, `confirm` sees first what was done for it: by now its request may be offered again
    is_first = action_id == CONFIRM and not asker.is_again
    if is_first and await unlock.confirm_own(
        world, value.request, state=value.state, lock_id=value.lock_id, message=asker.message, **_by(asker)
    ):
        return "ok"
    await _check(world, action_id, value, asker)
    return await click(world, value, asker)


async def _check(world: World, action_id: str, value: ButtonValue, asker: Asker) -> None:
    """A button is for the state and the lock of its request, and for no other."""
    shelf = _REQUESTS.get(action_id.partition(".")[0])
    found = None if shelf is None else await shelf.get(world, value.request)
    if shelf is None or found is None:
        return
    if (found.request.state, found.request.lock_id) != (value.state, value.lock_id):
        raise NotPermitted("This button was made for another lock. Nothing was changed; ask again with /tflock.")
    if not found.request.ts and asker.message:
        # it was posted, and Redis was away before that was written down: the click itself says which message it is
        await shelf.update(world, value.request, ts=asker.message)


class _By(TypedDict):
    user: str
    click: str


def _by(asker: Asker) -> _By:
    """Who clicked, and the name of their click: a process that takes it up finds what was begun for it."""
    return {"user": asker.user, "click": asker.delivery}


def _ok(act: Callable[[World, ButtonValue, Asker], Awaitable[object]]) -> OnClick:
    """For the metrics it is done, whatever the use case returns: its report goes to the channel."""

    async def click(world: World, value: ButtonValue, asker: Asker) -> str:
        await act(world, value, asker)
        return "ok"

    return click


def _owner(says: OwnerSays) -> OnClick:
    async def click(world: World, value: ButtonValue, asker: Asker) -> str:
        state, now = world.state(value.state).name, world.clock.now()
        await owner_answers.take_answer(world, state=state, lock_id=value.lock_id, user=asker.user, says=says, at=now)
        return "ok"

    return click


async def _owner_undo(world: World, value: ButtonValue, asker: Asker) -> str:
    state, now = world.state(value.state).name, world.clock.now()
    await owner_answers.take_back(world, state=state, lock_id=value.lock_id, user=asker.user, at=now)
    return "ok"


async def _arm_step(world: World, value: ButtonValue, asker: Asker) -> str:
    taken = await workflow_step.arm(world, value.request, state=value.state, lock_id=value.lock_id, **_by(asker))
    return await _asked(world, taken, asker)


async def _rearm(world: World, value: ButtonValue, asker: Asker) -> str:
    asked = await rearm(
        world, value.request, lock_id=value.lock_id, new_lock=value.choice, user=asker.user, click=asker.delivery,
        is_again=asker.is_again,
    )  # fmt: skip
    return await _asked(world, asked, asker)


async def _asked(world: World, asked: UnlockReport | RequestInFlight, asker: Asker) -> str:
    if isinstance(asked, RequestInFlight):
        return await commands.say_in_flight(world, asked, asker)
    return str(asked.stage)


async def _share(world: World, value: ButtonValue, asker: Asker) -> str:
    question = Question(asker.user, asker.channel, f"status {value.state}")
    report = await status(world, value.state, question)
    await world.messenger.post(asker.channel, report, thread=asker.thread)
    await tell_owner(world, report.inspection, question, report)
    return "ok"


async def _file(world: World, value: ButtonValue, asker: Asker) -> str:
    await check_may_write(world, asker.user)
    url = await tickets.ask(world, value.request, value.choice, user=asker.user)
    filed = Notice("This was filed already", ((Linked("the ticket", url), "."),))
    filing = Notice("The ticket is being filed", (("This message will link it in a moment.",),))
    return await say(world, asker, filed if url else filing)


async def _choose_entry(world: World, value: ButtonValue, asker: Asker) -> str:
    chosen = timeline.read_chosen(value)
    if chosen is not None and chosen.what == EDIT:
        return await dialogs.open_edit(world, chosen, asker)
    return await timeline.choose(world, chosen, asker)


async def _status(world: World, value: ButtonValue, asker: Asker) -> str:
    """As `/tflock status STATE`, whatever has become of the lock since."""
    return await commands.run(world, values.Status(value.state), f"status {value.state}", asker)


async def _who(world: World, value: ButtonValue, asker: Asker) -> str:
    await _check_lock(world, value)
    return await commands.run(world, values.Who(state=value.state), f"who {value.state}", asker)


async def _unlock(world: World, value: ButtonValue, asker: Asker) -> str:
    """As `/tflock unlock STATE`: the gate's checklist in this channel, which has to be an incident's."""
    await _check_lock(world, value)
    return await commands.run(world, values.Unlock(value.state), f"unlock {value.state}", asker)


async def _kill(world: World, value: ButtonValue, asker: Asker) -> str:
    """As `/tflock kill-job`, of the run that the alert names, or of what is found at the state."""
    alert = await alerts.find(world, value.request)
    if alert is None or not alert.is_open:
        raise NotPermitted("This alert is over; its message shows how it ended. Nothing was changed.")
    if value.lock_id:
        await _check_lock(world, value)
    overdue = alert.concern.kind is AlertKind.OVERDUE and bool(alert.concern.url)
    target = alert.concern.url if overdue else value.state
    return await commands.run(world, values.KillJob(target), f"kill-job {target}", asker)


async def _snooze(world: World, value: ButtonValue, asker: Asker) -> str:
    await check_may_write(world, asker.user, "snooze alerts")
    snoozed = await alerts.snooze(world, value.request, user=asker.user)
    until: Phrase = (snoozed.snoozed_until,) if snoozed.snoozed_until is not None else ()
    lines: tuple[Phrase, ...] = (("It comes back at ", *until, " if it is still true. No lock was touched."),)
    return await say(world, asker, Notice("The alert is snoozed", lines))


async def _recover(world: World, value: ButtonValue, asker: Asker) -> str:
    """As `/tflock recover STATE`, about the lock that was released."""
    return await commands.run(
        world, values.Recover(value.state, lock_id=value.lock_id), f"recover {value.state}", asker
    )


async def _unlock_when_safe(world: World, value: ButtonValue, asker: Asker) -> str:
    """As `/tflock unlock STATE --when-safe`."""
    await _check_lock(world, value)
    typed = f"unlock {value.state} --when-safe"
    return await commands.run(world, values.Unlock(value.state, when_safe=True), typed, asker)


async def _kill_of_state(world: World, value: ButtonValue, asker: Asker) -> str:
    """As `/tflock kill-job STATE`, whatever has become of the lock since: it looks before it ends anything."""
    return await commands.run(world, values.KillJob(value.state), f"kill-job {value.state}", asker)


async def _checklist(world: World, value: ButtonValue, asker: Asker) -> str:
    """The whole checklist as it is now, to anyone who wants to see it."""
    report = await status(world, value.state, Question(asker.user, asker.channel, f"status {value.state}"))
    return await say(world, asker, Checklist(report.inspection, report.verdict, report.answer))


async def _check_lock(world: World, value: ButtonValue) -> None:
    """A message may be older than what it says: raises NotPermitted, with what is there now, unless its own lock is
    there or cannot be seen.
    """
    seen = await world.state(value.state).backend.read_lock()
    if not seen.places_of(value.lock_id) and not seen.unseen:
        now = "free by now" if seen.is_free else "locked by another lock by now (/tflock status)"
        raise NotPermitted(f"{value.state} is {now}. This button was about another lock. Nothing was changed.")


CLICKS: Mapping[str, OnClick] = {
    CONFIRM: _ok(lambda w, it, who: unlock.confirm(w, it.request, lock_id=it.lock_id, **_by(who))),
    HOLD: _ok(lambda w, it, who: unlock.confirm(w, it.request, lock_id=it.lock_id, hold=True, **_by(who))),
    "unlock.approve": _ok(
        lambda w, it, who: approval.approve(w, it.request, lock_id=it.lock_id, covers=it.choice, **_by(who))
    ),
    "unlock.decline": _ok(lambda w, it, who: approval.decline(w, it.request, lock_id=it.lock_id, **_by(who))),
    "unlock.when_safe": _ok(lambda w, it, who: unlock.arm(w, it.request, lock_id=it.lock_id, **_by(who))),
    "unlock.disarm": _ok(lambda w, it, who: unlock.disarm(w, it.request, lock_id=it.lock_id, **_by(who))),
    "unlock.rearm": _rearm,
    "kill.confirm": _ok(lambda w, it, who: kill_job.confirm(w, it.request, it.choice, stop_source=True, **_by(who))),
    "kill.only": _ok(lambda w, it, who: kill_job.confirm(w, it.request, it.choice, stop_source=False, **_by(who))),
    "kill.approve": _ok(lambda w, it, who: kill_job.approve(w, it.request, it.choice, **_by(who))),
    "kill.choose": _ok(lambda w, it, who: kill_job.choose(w, it.request, it.choice, user=who.user)),
    "kill.restart": _ok(lambda w, it, who: kill_job.restart(w, it.request, **_by(who))),
    "owner.dead": _owner(OwnerSays.DEAD),
    "owner.running": _owner(OwnerSays.RUNNING),
    "owner.later": _owner(OwnerSays.LATER),
    "owner.undo": _owner_undo,
    hold_report.PROLONG: _ok(lambda w, it, who: holds.prolong(w, it.request, **_by(who))),
    hold_report.LIFT: _ok(lambda w, it, who: holds.lift(w, it.request, **_by(who))),
    hold_report.APPROVE: _ok(lambda w, it, who: holds.approve(w, it.request, lifter=it.choice, **_by(who))),
    CLOSE_ANYWAY: record.close_anyway,
    REVIEW: dialogs.open_review,
    status_page.SHARE: _share,
    status_page.UNLOCK: _unlock,
    status_page.WHEN_SAFE: _unlock_when_safe,
    status_page.KILL: _kill_of_state,
    status_page.WHO: _who,
    status_page.CHECKLIST: _checklist,
    RECOVER: _recover,
    "alert.status": _status,
    "alert.who": _who,
    "alert.unlock": _unlock,
    "alert.kill": _kill,
    "alert.snooze": _snooze,
    ARM: _arm_step,
    FILE: _file,
    WATCH: lambda w, it, who: commands.start_waiting(w, it.state, who),
    STOP: lambda w, it, who: commands.stop_waiting(w, it.state, who),
    CHECK: _status,
    OLDER: timeline.turn_older,
    NEWER: timeline.turn_newer,
    ENTRY: _choose_entry,
    **HOME_BUTTONS,
}
"""Every action id of the contract, and ours."""

READING = frozenset(
    {
        status_page.WHO,
        status_page.CHECKLIST,
        status_page.SHARE,
        "alert.status",
        "alert.who",
        CHECK,
        OLDER,
        NEWER,
        REVIEW,
        *HOME_BUTTONS,
    }
)
"""Those that change nothing: they are answered without Redis, too."""
