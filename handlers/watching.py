"""What `watch` and its buttons do: put on a state's queue, taken off it, and a look at how it stands."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.reports.button import ButtonValue
from bot.slack.render import watch_message
from bot.usecases.queue import waiting_list
from bot.usecases.world import World
from handlers.asker import Asker, answer


@dataclass(frozen=True, slots=True)
class WatchCommands:
    """Each returns the outcome for the metrics, or raises for the boundary. Whoever may ask for `status` may wait."""

    world: World

    async def start(self, state: str, asker: Asker) -> str:
        self.world.state(state)
        incident = await self.world.journal.current(asker.channel)
        wish = waiting_list.Wish(
            state, asker.user, asker.channel, asker.thread, "" if incident is None else incident.id
        )
        report = await waiting_list.start(self.world, wish)
        await answer(self.world.notifier, asker, watch_message(report))
        return "free" if report.place is None else "ok"

    async def stop(self, state: str, asker: Asker) -> str:
        report = await waiting_list.stop(self.world, state, asker.user)
        await answer(self.world.notifier, asker, watch_message(report))
        return "ok"

    async def start_by_click(self, value: ButtonValue, asker: Asker) -> str:
        return await self.start(value.state, asker)

    async def stop_by_click(self, value: ButtonValue, asker: Asker) -> str:
        return await self.stop(value.state, asker)
