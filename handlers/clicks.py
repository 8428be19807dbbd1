"""What each button does. A button carries the state and the lock that it was made for; a stale one changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.core.people import OwnerSays
from bot.core.phrase import Linked
from bot.core.reports.button import ButtonValue, parse_button
from bot.core.reports.kill import KillRequest
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockRequest
from bot.errors import NotPermitted
from bot.slack.render import notice_message, status_message
from bot.slack.render.followups import FILE
from bot.slack.render.step import ARM
from bot.slack.render.timeline import ENTRY, NEWER, OLDER
from bot.slack.render.waiting import CHECK, STOP, WATCH
from bot.usecases.decide import approval
from bot.usecases.decide.requests import find_kill, find_unlock
from bot.usecases.export import tickets
from bot.usecases.kill import ask as kill_job
from bot.usecases.look.status import Question, status, tell_owner
from bot.usecases.unlock import owner_answers as answers
from bot.usecases.unlock import unlock, workflow_step
from bot.usecases.unlock.rearm import rearm
from bot.usecases.world import World
from handlers.alerting import AlertClicks
from handlers.asker import Asker, answer
from handlers.commands import Commands
from handlers.rights import check_may_write
from handlers.timeline import TimelineCommands
from handlers.typed.command import Status
from handlers.watching import WatchCommands

Click: TypeAlias = Callable[[ButtonValue, Asker], Awaitable[str]]
Find: TypeAlias = Callable[[World, str], Awaitable[tuple[UnlockRequest | KillRequest, Mapping[str, Any]] | None]]

_REQUESTS: Mapping[str, Find] = {"unlock": find_unlock, "kill": find_kill}


def value_of(action: Mapping[str, Any]) -> str:
    """The value of a button, or of the option that was chosen from a list."""
    chosen = action.get("selected_option") or {}
    return str(action.get("value") or chosen.get("value") or "")


@dataclass(frozen=True, slots=True)
class Actions:
    """Carries clicks out. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def run(self, action_id: str, action: Mapping[str, Any], asker: Asker) -> str:
        click, value = self.table().get(action_id), parse_button(value_of(action))
        if click is None or value is None:
            raise NotPermitted("This button is not one that tflock knows any more. Nothing was changed.")
        await self._check(action_id, value)
        return await click(value, asker)

    async def _check(self, action_id: str, value: ButtonValue) -> None:
        """A button is for the state and the lock of its request, and for no other."""
        find = _REQUESTS.get(action_id.partition(".")[0])
        found = None if find is None else await find(self.world, value.request)
        if found is not None and (found[0].state, found[0].lock_id) != (value.state, value.lock_id):
            raise NotPermitted("This button was made for another lock. Nothing was changed; ask again with /tflock.")

    def table(self) -> Mapping[str, Click]:
        """Every action id of the contract, and ours."""
        return {
            "unlock.confirm": self._confirm,
            "unlock.approve": self._approve,
            "unlock.decline": self._decline,
            "unlock.when_safe": self._when_safe,
            "unlock.disarm": self._disarm,
            "unlock.rearm": self._rearm,
            "kill.confirm": self._kill_and_stop,
            "kill.only": self._kill_only,
            "kill.approve": self._kill_approve,
            "kill.choose": self._choose,
            "kill.restart": self._restart,
            "owner.dead": self._owner_dead,
            "owner.running": self._owner_running,
            "owner.later": self._owner_later,
            "owner.undo": self._owner_undo,
            "status.share": self._share,
            ARM: self._arm_step,
            "alert.status": AlertClicks(self.world).status,
            "alert.who": AlertClicks(self.world).who,
            "alert.unlock": AlertClicks(self.world).unlock,
            "alert.kill": AlertClicks(self.world).kill,
            "alert.snooze": AlertClicks(self.world).snooze,
            WATCH: WatchCommands(self.world).start_by_click,
            STOP: WatchCommands(self.world).stop_by_click,
            CHECK: self._look,
            FILE: self._file,
            OLDER: TimelineCommands(self.world).turn_older,
            NEWER: TimelineCommands(self.world).turn_newer,
            ENTRY: TimelineCommands(self.world).choose,
        }

    async def _confirm(self, value: ButtonValue, asker: Asker) -> str:
        await unlock.confirm(self.world, value.request, lock_id=value.lock_id, user=asker.user)
        return "ok"

    async def _approve(self, value: ButtonValue, asker: Asker) -> str:
        await approval.approve(self.world, value.request, lock_id=value.lock_id, user=asker.user, covers=value.choice)
        return "ok"

    async def _decline(self, value: ButtonValue, asker: Asker) -> str:
        await approval.decline(self.world, value.request, lock_id=value.lock_id, user=asker.user)
        return "ok"

    async def _when_safe(self, value: ButtonValue, asker: Asker) -> str:
        await unlock.arm(self.world, value.request, lock_id=value.lock_id, user=asker.user)
        return "ok"

    async def _disarm(self, value: ButtonValue, asker: Asker) -> str:
        await unlock.disarm(self.world, value.request, lock_id=value.lock_id, user=asker.user)
        return "ok"

    async def _rearm(self, value: ButtonValue, asker: Asker) -> str:
        await rearm(self.world, value.request, lock_id=value.lock_id, new_lock=value.choice, user=asker.user)
        return "ok"

    async def _kill_and_stop(self, value: ButtonValue, asker: Asker) -> str:
        await kill_job.confirm(self.world, value.request, value.choice, user=asker.user, stop_source=True)
        return "ok"

    async def _kill_only(self, value: ButtonValue, asker: Asker) -> str:
        await kill_job.confirm(self.world, value.request, value.choice, user=asker.user, stop_source=False)
        return "ok"

    async def _kill_approve(self, value: ButtonValue, asker: Asker) -> str:
        await kill_job.approve(self.world, value.request, value.choice, user=asker.user)
        return "ok"

    async def _choose(self, value: ButtonValue, asker: Asker) -> str:
        await kill_job.choose(self.world, value.request, value.choice, user=asker.user)
        return "ok"

    async def _restart(self, value: ButtonValue, asker: Asker) -> str:
        await kill_job.restart(self.world, value.request, user=asker.user)
        return "ok"

    async def _owner_dead(self, value: ButtonValue, asker: Asker) -> str:
        return await self._owner(value, asker, OwnerSays.DEAD)

    async def _owner_running(self, value: ButtonValue, asker: Asker) -> str:
        return await self._owner(value, asker, OwnerSays.RUNNING)

    async def _owner_later(self, value: ButtonValue, asker: Asker) -> str:
        return await self._owner(value, asker, OwnerSays.LATER)

    async def _owner(self, value: ButtonValue, asker: Asker, says: OwnerSays) -> str:
        state = self.world.state(value.state).name
        now = self.world.clock.now()
        await answers.take_answer(self.world, state=state, lock_id=value.lock_id, user=asker.user, says=says, at=now)
        return "ok"

    async def _owner_undo(self, value: ButtonValue, asker: Asker) -> str:
        state = self.world.state(value.state).name
        now = self.world.clock.now()
        await answers.take_back(self.world, state=state, lock_id=value.lock_id, user=asker.user, at=now)
        return "ok"

    async def _file(self, value: ButtonValue, asker: Asker) -> str:
        await check_may_write(self.world, asker.user)
        url = await tickets.ask(self.world, value.request, value.choice, user=asker.user)
        filed = Notice("This was filed already", ((Linked("the ticket", url), "."),))
        filing = Notice("The ticket is being filed", (("This message will link it in a moment.",),))
        await answer(self.world.notifier, asker, notice_message(filed if url else filing))
        return "ok"

    async def _look(self, value: ButtonValue, asker: Asker) -> str:
        return await Commands(self.world).run(Status(value.state), f"status {value.state}", asker)

    async def _arm_step(self, value: ButtonValue, asker: Asker) -> str:
        report = await workflow_step.arm(
            self.world, value.request, state=value.state, lock_id=value.lock_id, user=asker.user
        )
        return str(report.stage)

    async def _share(self, value: ButtonValue, asker: Asker) -> str:
        question = Question(asker.user, asker.channel, f"status {value.state}")
        report = await status(self.world, value.state, question)
        message = status_message(report)
        await self.world.notifier.post(
            asker.channel, text=message.text, blocks=message.blocks, thread=asker.thread or None
        )
        await tell_owner(self.world, report.inspection, question)
        return "ok"
