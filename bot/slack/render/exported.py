"""The summary above an export in the channel: the incident in a few lines, and where its files are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.core.account.edition import Changed, ExportReport
from bot.core.account.title import record_title
from bot.core.account.values import StateSummary
from bot.core.phrase import Linked, Person, Phrase, Quoted, joined
from bot.core.record.kinds import meaning_of
from bot.ports.messenger import Message
from bot.slack.render.blocks import context, message, sections
from bot.slack.render.facts import Fact
from bot.slack.render.mrkdwn import bold, mrkdwn, unmarked
from bot.slack.render.page import lines

_HASH = 24
"""Characters of the last entry's hash, which covers all entries: enough that nobody finds another chain with it."""

_MOST_STATES, _MOST_PEOPLE, _MOST_FOLLOWUPS = 5, 6, 5


def exported_message(report: ExportReport) -> Message:
    """The summary; or, where a newer one has replaced it, one line that leads there."""
    edition = report.edition
    outline = report.outline
    title = record_title(edition.incident.title, outline.states, outline.causes) or edition.incident.id
    counted = f", {report.outline.entries} entries, last hash "
    asked: Phrase = (", asked for by ", _name(edition.by, edition.names)) if edition.by else ()
    about: Phrase = ("Incident ", Quoted(edition.incident.id), counted, Quoted(edition.version[:_HASH]), *asked)
    name, footer = unmarked(title, 200), context(mrkdwn(about))
    if report.newer:
        link = mrkdwn((Linked("the newer export", report.newer), "."))
        row = f"{bold(f'Export of {title}')}: replaced by {link}"
        return message(f"The export of {name} was replaced by a newer one.", sections([row]), footer)
    what = "New export" if report.changes else "Export"
    return message(f"{what} of {name}.", sections([bold(f"{what} of {title}"), *lines(_facts(report))]), footer)


def _facts(report: ExportReport) -> Iterable[Fact]:
    outline, names = report.outline, report.edition.names
    if report.changes:
        yield Fact("Changed since the last one:", _changed(report.changes, names))
    if outline.states:
        yield Fact("States:", _listed([_state(state) for state in outline.states], _MOST_STATES, "; "))
    if outline.time_to_unlock is not None:
        yield Fact("First command to unlock:", (outline.time_to_unlock,))
    yield Fact("Cause:", ("; ".join(outline.causes),))
    if outline.parts:
        people: list[Phrase] = [
            (_name(part.actor, names), f" ({', '.join(part.did)})" if part.did else "") for part in outline.parts
        ]
        yield Fact("Who acted:", _listed(people, _MOST_PEOPLE, ", ", ""))
    if outline.followups:
        titles: list[Phrase] = [(Linked(title, None),) for title in outline.followups.values()]
        yield Fact("Follow-ups:", (*_listed(titles, _MOST_FOLLOWUPS, "; "), ". Why and how: in the thread"))
    places: list[Phrase] = [("in the thread" if report.uploaded else "not here",)]
    yield Fact("Files:", joined([*places, *((Quoted(place),) for place in report.places)]))
    if report.not_written:
        missing: list[Phrase] = [(f"{name}: ", Quoted(why)) for name, why in report.not_written.items()]
        yield Fact("Not written:", joined(missing, "; "))


def _listed(shown: Sequence[Phrase], most: int, between: str, last: str = "and ") -> Phrase:
    more: list[Phrase] = [(f"{last}{len(shown) - most} more",)] if len(shown) > most else []
    return joined([*shown[:most], *more], between)


def _state(state: StateSummary) -> Phrase:
    now = "free now" if state.is_free else "not seen free"
    locked: Phrase = () if state.locked_for is None else ("locked for ", state.locked_for, ", ")
    return (Quoted(state.state), " ", *locked, now)


def _name(actor: str, names: Mapping[str, str]) -> Person:
    return Person(None, names.get(actor, actor))


def _changed(changes: tuple[Changed, ...], names: Mapping[str, str]) -> Phrase:
    counted: dict[tuple[str, str], tuple[int, dict[str, None]]] = {}
    for change in changes:
        words = meaning_of(change.kind).counted
        count, by = counted.get(words, (0, {}))
        counted[words] = count + change.count, by | dict.fromkeys(change.by)
    told: list[Phrase] = []
    for (one, many), (count, by) in counted.items():
        people: list[Phrase] = [(_name(actor, names),) for actor in by]
        who: Phrase = (" by ", *joined(people[:_MOST_PEOPLE])) if people else ()
        told.append((f"{count} {one if count == 1 else many}", *who))
    return joined(told, "; ")
