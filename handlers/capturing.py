"""Putting messages on the timeline by hand: the message shortcut, and `/tflock capture` for what was said before."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.phrase import Phrase, Quoted
from bot.core.reports.report import Notice
from bot.errors import NotPermitted, Unreachable
from bot.slack.render import notice_message
from bot.usecases.record import backfill, capture
from bot.usecases.record.capture import Added
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.rights import check_may_write
from handlers.typed import grammar
from handlers.when import instant_of

_HIDE: tuple[Phrase, ...] = (
    ("To leave it out of the exports: ", Quoted("/tflock hide N"), ", with N of ", Quoted("/tflock timeline")),
)
_ADDED = {
    Added.NEW: Notice("The message is on the timeline", _HIDE),
    Added.RESTORED: Notice("The message is on the timeline again", _HIDE),
    Added.THERE: Notice("The message was on the timeline already", (("Nothing was changed.",),)),
}


@dataclass(frozen=True, slots=True)
class CaptureCommands:
    """Carries these out. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def add_message(self, ts: str, asker: Asker) -> str:
        """The message that the shortcut was used on."""
        await self._check(asker)
        added = await capture.add(self.world, asker.channel, ts, user=asker.user)
        await answer(self.world.notifier, asker, notice_message(_ADDED[added]))
        return str(added)

    async def backfill(self, command: grammar.Capture, asker: Asker) -> str:
        """What was said since then: read by a worker, which says in the channel how far it is."""
        await self._check(asker)
        since = await instant_of(self.world, command.since, asker)
        wish = backfill.Wish(asker.channel, asker.user, asker.thread, since, command.marked_only)
        await backfill.ask(self.world, wish)
        return "ok"

    async def _check(self, asker: Asker) -> None:
        await check_may_write(self.world, asker.user)
        channel = await self.world.directory.channel(asker.channel)
        if isinstance(channel, Unseen) and channel.trouble is not Trouble.DENIED:
            raise Unreachable(channel.system, channel.detail)
        if not isinstance(channel, Found) or not self.world.is_incident_channel(channel.value):
            raise NotPermitted(
                "Messages are put on the timeline in incident channels only (slack.incident_channels in the "
                "configuration), and tflock has to be in the channel. Nothing was changed."
            )
