"""What only people know of an incident, as the closing dialog asks for it: its impact, and notes for the review.

Each is a note on the timeline. Who changes one in the dialog edits that note, and who empties the field hides it.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.record.facts import NoteAdded, draft_of, facts_of
from bot.core.record.incident import Incident
from bot.core.record.revision import Marking, ShownEntry
from bot.core.record.timeline import Entry, Kind
from bot.errors import NotPermitted
from bot.usecases.export.incident_export import reissue_if_late
from bot.usecases.record import correct
from bot.usecases.world import World


async def written(world: World, incident_id: str) -> Mapping[str, ShownEntry]:
    """The last note on each, as it is shown now; none for what is hidden. Raises JournalAway."""
    last: dict[str, Entry] = {}
    async for entry in world.journal.entries(incident_id):
        facts = facts_of(entry) if entry.kind == Kind.NOTE_ADDED else None
        if isinstance(facts, NoteAdded) and facts.about:
            last[facts.about] = entry
    known = await correct.revisions(world, incident_id)
    shown = {about: known.shown(entry) for about, entry in last.items()}
    return {about: entry for about, entry in shown.items() if entry is not None}


async def review(world: World, incident: Incident, *, user: str, said: Mapping[str, str], once: str) -> int:
    """Writes down what was changed in the dialog, by what each text is about; how many. An empty text hides its note.

    What is closed is exported again. `once` names the request. Raises NotPermitted for a text that is too long,
    JournalAway.
    """
    for text in said.values():
        if text and (reason := correct.wrong_text(text)):
            raise NotPermitted(f"{reason} Nothing was changed.")
    before, changes = await written(world, incident.id), 0
    for about, text in said.items():
        note, key = before.get(about), f"{once}/{about}"
        if note is None and text:
            draft = draft_of(NoteAdded(about=about), world.clock.now(), user, text, once=key)
            changes += (await world.journal.append(incident.id, draft)).added
        elif note is not None:
            at = note.entry.id
            done = (
                await correct.edit(world, incident.id, at, by=user, text=text, once=key)
                if text
                else await correct.mark(world, incident.id, at, by=user, how=Marking.HIDE, once=key)
            )
            changes += done.changed
    if changes:
        await reissue_if_late(world, incident.id)
    return changes
