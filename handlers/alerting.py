"""What the buttons under an alert do: look at its lock, unlock it, end what hammers it, be quiet for an hour.

An alert may be older than the facts that it tells, so what would change something is refused where its lock is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.lock import LockSeen
from bot.core.phrase import Phrase
from bot.core.reports.alert import AlertKind
from bot.core.reports.button import ButtonValue
from bot.core.reports.report import Notice
from bot.errors import NotPermitted
from bot.slack.render import notice_message
from bot.usecases.watch import alerts
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.commands import Commands
from handlers.rights import check_may_write
from handlers.typed import grammar


@dataclass(frozen=True, slots=True)
class AlertClicks:
    """Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def status(self, value: ButtonValue, asker: Asker) -> str:
        """As `/tflock status STATE`, whatever has become of the lock since."""
        return await self._command(grammar.Status(value.state), f"status {value.state}", asker)

    async def who(self, value: ButtonValue, asker: Asker) -> str:
        await self._check_lock(value)
        return await self._command(grammar.Who(state=value.state), f"who {value.state}", asker)

    async def unlock(self, value: ButtonValue, asker: Asker) -> str:
        """As `/tflock unlock STATE`: the gate's checklist in this channel, which has to be an incident's."""
        await self._check_lock(value)
        return await self._command(grammar.Unlock(value.state), f"unlock {value.state}", asker)

    async def kill(self, value: ButtonValue, asker: Asker) -> str:
        """As `/tflock kill-job`, of the run that the alert names, or of what is found at the state."""
        alert = await alerts.find(self.world, value.request)
        if alert is None or not alert.is_open:
            raise NotPermitted("This alert is over; its message shows how it ended. Nothing was changed.")
        if value.lock_id:
            await self._check_lock(value)
        overdue = alert.concern.kind is AlertKind.OVERDUE and bool(alert.concern.url)
        target = alert.concern.url if overdue else value.state
        return await self._command(grammar.KillJob(target), f"kill-job {target}", asker)

    async def snooze(self, value: ButtonValue, asker: Asker) -> str:
        await check_may_write(self.world, asker.user, "snooze alerts")
        snoozed = await alerts.snooze(self.world, value.request, user=asker.user)
        until: Phrase = (snoozed.snoozed_until,) if snoozed.snoozed_until is not None else ()
        lines: tuple[Phrase, ...] = (("It comes back at ", *until, " if it still stands. No lock was touched."),)
        await answer(self.world.notifier, asker, notice_message(Notice("The alert is snoozed", lines)))
        return "ok"

    async def _command(self, command: grammar.Command, text: str, asker: Asker) -> str:
        return await Commands(self.world).run(command, text, asker)

    async def _check_lock(self, value: ButtonValue) -> None:
        """Raises NotPermitted, saying what stands there now, unless the alert's own lock does or cannot be seen."""
        seen = await self.world.state(value.state).backend.read_lock()
        if not seen.halves_of(value.lock_id) and not seen.unseen:
            raise NotPermitted(f"{_now(value.state, seen)} The alert was about another lock. Nothing was changed.")


def _now(state: str, seen: LockSeen) -> str:
    return f"{state} is free by now." if seen.is_free else f"{state} is locked by another lock by now (/tflock status)."
