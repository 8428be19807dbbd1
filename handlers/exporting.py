"""`/tflock export`: the record of the incident that is open here, or was last, as files."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.phrase import Linked, Phrase, Quoted
from bot.core.record.incident import Incident
from bot.core.reports.report import Notice
from bot.errors import NotPermitted
from bot.slack.render import notice_message
from bot.usecases.export import export
from bot.usecases.export.share import link_of
from bot.usecases.record.find import latest
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.rights import check_may_write


@dataclass(frozen=True, slots=True)
class ExportCommands:
    """Carries the command out. Returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def make(self, asker: Asker) -> str:
        """Starts it and says so to the asker; the result is said in the channel."""
        await check_may_write(self.world, asker.user)
        incident = await latest(self.world, asker.channel)
        if incident is None:
            raise NotPermitted("There has been no incident in this channel. Nothing was changed.")
        asked = await export.ask(self.world, incident, user=asker.user)
        name: Phrase = (Quoted(incident.title), f" ({incident.id})")
        if asked.is_making:
            where = "It will be posted here in a moment." if self.world.upload_exports else "It goes to the directory."
            notice = Notice("The export is being made", ((*name, f". {where}"),))
        else:
            notice = Notice("Nothing has changed since the last export", ((*name, *await self._last(incident)),))
        await answer(self.world.notifier, asker, notice_message(notice))
        return "ok"

    async def _last(self, incident: Incident) -> Phrase:
        link = await link_of(self.world, incident.id, incident.channel)
        return (": ", Linked("the export", link), ".") if link else (" was exported. Nothing was changed.",)
