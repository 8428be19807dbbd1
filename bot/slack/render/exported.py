"""The summary that stands above an export in the channel: what the incident was, in a few lines, and where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.core.account.edition import Changed, Edition, ExportReport
from bot.core.account.values import Participant, StateSummary
from bot.core.phrase import Linked, Person, Phrase, Quoted, joined
from bot.core.record.timeline import Kind
from bot.ports.messenger import Message
from bot.slack.render.blocks import context, message, sections
from bot.slack.render.facts import Fact
from bot.slack.render.mrkdwn import bold, mrkdwn, unmarked
from bot.slack.render.page import lines

_HASH = 24
"""Characters of the last entry's hash, which stands for all of them: enough that nobody finds another chain with it."""

_MOST_STATES, _MOST_PEOPLE, _MOST_FOLLOWUPS = 5, 6, 5

_CHANGES = {
    Kind.ENTRY_EDITED: ("entry edited", "entries edited"),
    Kind.ENTRY_HIDDEN: ("entry hidden", "entries hidden"),
    Kind.ENTRY_RESTORED: ("entry shown again", "entries shown again"),
    Kind.ENTRY_MARKED: ("key moment marked", "key moments marked"),
    Kind.ENTRY_UNMARKED: ("key moment unmarked", "key moments unmarked"),
    Kind.NOTE_ADDED: ("note added", "notes added"),
    Kind.MESSAGE_CAPTURED: ("message added", "messages added"),
    Kind.INCIDENT_RENAMED: ("new title", "new titles"),
    Kind.INCIDENT_REOPENED: ("reopening", "reopenings"),
    Kind.INCIDENT_CLOSED: ("closing", "closings"),
    Kind.COMMAND_RECEIVED: ("command", "commands"),
    Kind.FOLLOWUP_FILED: ("follow-up filed", "follow-ups filed"),
}
_OTHERS = ("other entry", "other entries")


def exported_message(report: ExportReport) -> Message:
    """The summary; or, where a newer one has replaced it, one line that leads there."""
    edition = report.edition
    title = edition.incident.title or edition.incident.id
    if report.newer:
        link: Phrase = (Linked("the newer export", report.newer), ".")
        return message(
            f"The export of {unmarked(title, 200)} was replaced by a newer one.",
            sections([f"{bold(f'Export of {title}')}: replaced by {mrkdwn(link)}"]),
            context(mrkdwn(_footer(report))),
        )
    return message(
        f"{'New export' if report.changes else 'Export'} of {unmarked(title, 200)}.",
        sections([bold(f"{'New export' if report.changes else 'Export'} of {title}"), *lines(_facts(report))]),
        context(mrkdwn(_footer(report))),
    )


def _facts(report: ExportReport) -> Iterable[Fact]:
    outline, names = report.outline, report.edition.names
    if report.changes:
        yield Fact("Changed since the last one:", _changed(report.changes, names))
    if outline.states:
        yield Fact("States:", _states(outline.states))
    if outline.time_to_unlock is not None:
        yield Fact("First command to unlock:", (outline.time_to_unlock,))
    yield Fact("Cause:", ("; ".join(outline.causes),))
    if outline.parts:
        yield Fact("Who acted:", _people(outline.parts, names))
    if outline.followups:
        yield Fact("Follow-ups:", _followups(tuple(outline.followups.values())))
    yield Fact("Files:", _places(report))
    if report.not_written:
        missing: list[Phrase] = [(f"{name}: ", Quoted(why)) for name, why in report.not_written.items()]
        yield Fact("Not written:", joined(missing, "; "))


def _followups(titles: Sequence[str]) -> Phrase:
    """What is to be done; why and how is below."""
    shown: list[Phrase] = [(Linked(title, None),) for title in titles[:_MOST_FOLLOWUPS]]
    if len(titles) > _MOST_FOLLOWUPS:
        shown.append((f"and {len(titles) - _MOST_FOLLOWUPS} more",))
    return (*joined(shown, "; "), ". Why and how: in the thread")


def _states(states: tuple[StateSummary, ...]) -> Phrase:
    shown: list[Phrase] = [_state(state) for state in states[:_MOST_STATES]]
    if len(states) > _MOST_STATES:
        shown.append((f"and {len(states) - _MOST_STATES} more",))
    return joined(shown, "; ")


def _state(state: StateSummary) -> Phrase:
    now = "free now" if state.is_free else "not seen free"
    locked: Phrase = () if state.locked_for is None else ("locked for ", state.locked_for, ", ")
    return (Quoted(state.state), " ", *locked, now)


def _people(parts: tuple[Participant, ...], names: Mapping[str, str]) -> Phrase:
    """By name, since an export is not worth a ping."""
    shown: list[Phrase] = [(_name(part.actor, names), _did(part)) for part in parts[:_MOST_PEOPLE]]
    if len(parts) > _MOST_PEOPLE:
        shown.append((f"{len(parts) - _MOST_PEOPLE} more",))
    return joined(shown, ", ")


def _did(part: Participant) -> str:
    return f" ({', '.join(part.did)})" if part.did else ""


def _name(actor: str, names: Mapping[str, str]) -> Person:
    return Person(None, names.get(actor, actor))


def _changed(changes: tuple[Changed, ...], names: Mapping[str, str]) -> Phrase:
    counted: dict[tuple[str, str], tuple[int, dict[str, None]]] = {}
    for change in changes:
        words = next((words for kind, words in _CHANGES.items() if kind == change.kind), _OTHERS)
        count, by = counted.get(words, (0, {}))
        counted[words] = count + change.count, by | dict.fromkeys(change.by)
    return joined([_counted(words, count, by, names) for words, (count, by) in counted.items()], "; ")


def _counted(words: tuple[str, str], count: int, by: Iterable[str], names: Mapping[str, str]) -> Phrase:
    what = f"{count} {words[0] if count == 1 else words[1]}"
    people: list[Phrase] = [(_name(actor, names),) for actor in by]
    return (what, " by ", *joined(people[:_MOST_PEOPLE])) if people else (what,)


def _places(report: ExportReport) -> Phrase:
    places: list[Phrase] = [("in the thread" if report.uploaded else "not here",)]
    places += [(Quoted(place),) for place in report.places]
    return joined(places)


def _footer(report: ExportReport) -> Phrase:
    edition = report.edition
    counted = f", {report.outline.entries} entries, last hash "
    return ("Incident ", Quoted(edition.incident.id), counted, Quoted(edition.version[:_HASH]), *_asked(edition))


def _asked(edition: Edition) -> Phrase:
    return (", asked for by ", _name(edition.by, edition.names)) if edition.by else ()
