"""The questions of the command line: they read, change nothing, and need neither Slack nor a running bot.

Each returns the exit code of its command. What was asked for goes to standard output, everything else to standard
error; with `as_json` standard output is exactly one JSON document (docs/commands-json.md).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import typer

from bot.app.wiring import VAR, wired
from bot.config.load import Config
from bot.core.evidence import Trouble, Unseen
from bot.core.gate.case import Rule
from bot.core.gate.decide import RULES
from bot.core.gate.inspection import Inspection
from bot.core.lock import LockSeen
from bot.core.nearest import did_you_mean
from bot.core.people import OwnerAnswer, Standing
from bot.core.phrase import instant, one_line
from bot.core.record.incident import Incident
from bot.core.record.revision import Revisions, Shown
from bot.core.record.timeline import stamp
from bot.core.reports.report import StatusReport
from bot.core.reports.who import WhoReport
from bot.errors import JournalAway
from bot.export.exporter import ALWAYS, WRITERS, write_all
from bot.export.gather import gathered, gathered_file
from bot.ports.files import Written
from bot.slack.render.plain import overview_lines, status_lines, to_json, who_lines
from bot.store.embedded import attached_url, redis_for
from bot.usecases.decide.inspect import inspect, overview
from bot.usecases.decide.owner import answer_about
from bot.usecases.decide.weigh import conclude
from bot.usecases.look.who import reached
from bot.usecases.record.verify import verify
from bot.usecases.world import World

OK, FAILED, WRONG = 0, 1, 2

_LISTED = 20
_NOT_HERE = "In Slack the asker must also be an eligible member of the incident channel; that is not checked here."
_OWNER_UNREAD = "Whether the owner has said that it is still running is not known: the timeline could not be read."


async def show_status(config: Config, state: str | None, *, as_json: bool) -> int:
    """One state with the gate's checklist, or all states. Fails if a lock could not be read.

    Raises UnknownState.
    """
    if state is not None:
        config.state(state)
    async with _beside(config) as world:
        return await (_show_all(world, as_json=as_json) if state is None else _show(world, state, as_json=as_json))


async def show_who(config: Config, state: str, *, as_json: bool) -> int:
    """The person behind the lock. Slack is asked only where its token is set. Raises UnknownState."""
    config.state(state)
    async with _beside(config) as world:
        inspection = await inspect(world, world.state(state), without_claims=True)
        if config.slack.bot_token is None:
            report = _without_slack(inspection)
        else:
            report = await reached(world, inspection)
    _print(to_json(report) if as_json else who_lines(report))
    return OK if _is_known(inspection.seen) else FAILED


async def show_timeline(config: Config, incident: str, *, as_json: bool) -> int:
    """The entries with edits applied, in the order in which they happened. Raises JournalAway."""
    async with _with_timelines(config) as world:
        found = await world.journal.find(incident)
        if found is None:
            return await _unknown(world, incident)
        shown = await _entries(world, incident)
    _print(_timeline_json(found, shown) if as_json else _timeline_lines(config, found, shown))
    return OK


async def write_export(config: Config, incident: str, *, form: str | None, directory: Path | None) -> int:
    """Writes the record in one format or in the configured ones, and prints the paths. The timeline stays as it is.

    Raises JournalAway or ChainBroken.
    """
    if form is not None and form not in WRITERS:
        return _wrong_format(form)
    forms = (form,) if form else (*ALWAYS, *config.export.formats)
    target = directory or Path(config.export.directory)
    names, zone = _config_names(config), config.export.timezone or "UTC"
    async with _with_timelines(config) as world:
        found = await world.journal.find(incident)
        if found is None:
            return await _unknown(world, incident)
        async with gathered(world.journal, found, names=names, zone=zone) as material:
            return _written(await asyncio.to_thread(write_all, material, target, forms))


def write_again(file: Path, *, form: str | None, directory: Path | None) -> int:
    """Writes the record that a JSON export holds in one format, or in all others, beside it if no directory is named.

    The file is verified first. Raises ExportInvalid or ChainBroken.
    """
    if form is not None and form not in WRITERS:
        return _wrong_format(form)
    forms = (form,) if form else tuple(name for name in WRITERS if name != "json")
    with gathered_file(file) as material:
        return _written(write_all(material, directory or file.parent, forms))


def _written(written: Written) -> int:
    _print([str(path) for path in written.paths])
    for form, why in written.failed.items():
        _complain(f"The format {form} was not written: {why}")
    return FAILED if written.failed else OK


async def show_verified(config: Config, incident: str) -> int:
    """Whether the live timeline is what was recorded; the first broken entry if not. Raises JournalAway."""
    async with _with_timelines(config) as world:
        found = await world.journal.find(incident)
        if found is None:
            return await _unknown(world, incident)
        checked = await verify(world.journal, found)
    broken = checked.broken
    if broken is not None:
        when = f" ({instant(broken.at)})" if broken.at else ""
        return _complain(f"{incident}: the chain is broken at entry {broken.entry_id}{when}: {one_line(broken.detail)}")
    _print([f"{incident}: whole. {checked.entries} entries; last hash {checked.last}"])
    return OK


@asynccontextmanager
async def _beside(config: Config) -> AsyncIterator[World]:
    """A world whose Redis is used if somebody runs it, and never started."""
    url = config.redis_url.get_secret_value() if config.redis_url else await asyncio.to_thread(attached_url, VAR)
    async with wired(config, url) as wiring:
        yield wiring.world


@asynccontextmanager
async def _with_timelines(config: Config) -> AsyncIterator[World]:
    """A world whose Redis must be there; an embedded one that has timelines is started for as long as they are read.

    Raises JournalAway if there is none.
    """
    given = config.redis_url.get_secret_value() if config.redis_url else None
    if given is None and not await asyncio.to_thread((VAR / "redis").is_dir):
        raise JournalAway(f"there are no timelines: REDIS_URL is not set, and no bot has run here ({VAR.absolute()})")
    async with redis_for(given, VAR) as url, wired(config, url) as wiring:
        yield wiring.world


async def _show_all(world: World, *, as_json: bool) -> int:
    seen, is_away = await asyncio.gather(overview(world), _is_away(world))
    report = replace(seen, journal_away=is_away)
    _print(to_json(report) if as_json else overview_lines(report))
    return OK if all(_is_known(lock) for _, lock in report.states) else FAILED


async def _show(world: World, name: str, *, as_json: bool) -> int:
    inspection, is_away = await asyncio.gather(inspect(world, world.state(name), without_claims=True), _is_away(world))
    report, left_out = await _concluded(world, inspection, is_away=is_away)
    if as_json:
        _print({**to_json(report), "not_checked": [str(rule) for rule in left_out]})
    else:
        _print([*status_lines(report), *_caveats(left_out)])
    return OK if _is_known(inspection.seen) else FAILED


async def _concluded(world: World, inspection: Inspection, *, is_away: bool) -> tuple[StatusReport, tuple[Rule, ...]]:
    """The report, and the rules that could not be asked: nobody asks in a channel here, and Redis may be away."""
    lock = inspection.lock
    if lock is None:
        return StatusReport(inspection, None, journal_away=is_away), ()
    answer, is_away = (None, True) if is_away else await _answer(world, inspection.state.name, lock.id)
    left_out = (Rule.REQUESTER, Rule.OWNER) if is_away else (Rule.REQUESTER,)
    table = tuple(row for row in RULES if row[0] not in left_out)
    decision = conclude(world, inspection, _nobody(inspection.at), lock.id, answer, table=table)
    return StatusReport(inspection, decision.verdict, answer, journal_away=is_away), left_out


async def _answer(world: World, state: str, lock_id: str) -> tuple[OwnerAnswer | None, bool]:
    try:
        return await answer_about(world, state, lock_id), False
    except JournalAway:
        return None, True


async def _is_away(world: World) -> bool:
    try:
        await world.journal.ping()
    except JournalAway:
        return True
    return False


def _nobody(at: datetime) -> Standing:
    """The standing of an asker whom Slack does not know; the rule that reads it is left out."""
    unasked = Unseen("Slack", Trouble.NO_CONNECTION, "Slack was not asked", at)
    return Standing("", None, unasked, unasked, None, unasked, is_incident_channel=False)


def _without_slack(inspection: Inspection) -> WhoReport:
    owner = inspection.owner
    if owner is None or owner.slack_id is None:
        return WhoReport(inspection, None, None, None)
    why = "Slack was not asked, since SLACK_BOT_TOKEN is not set"
    return WhoReport(inspection, Unseen("Slack", Trouble.NO_CONNECTION, why, inspection.at), None, None)


def _is_known(seen: LockSeen) -> bool:
    return bool(seen.held) or seen.is_free


def _caveats(left_out: Sequence[Rule]) -> list[str]:
    said = {Rule.REQUESTER: _NOT_HERE, Rule.OWNER: _OWNER_UNREAD}
    return [said[rule] for rule in left_out]


async def _entries(world: World, incident: str) -> list[Shown]:
    revisions = Revisions()
    raw = [entry async for entry in world.journal.entries(incident)]
    for entry in raw:
        revisions.learn(entry)
    shown = [found for entry in raw if (found := revisions.shown(entry)) is not None]
    return sorted(shown, key=lambda found: found.entry.at)


def _config_names(config: Config) -> dict[str, str]:
    """What people are called, as far as the configuration says: Slack is not asked."""
    return {person.slack: person.name for person in config.holders.people if person.slack}


def _timeline_lines(config: Config, incident: Incident, shown: Sequence[Shown]) -> Iterable[str]:
    names = _config_names(config)
    ended = f"closed {instant(incident.closed_at)}" if incident.closed_at else "still open"
    yield f"{incident.id}: {one_line(incident.title)}. Opened {instant(incident.opened_at)}, {ended}."
    yield ""
    for found in shown:
        entry = found.entry
        edited = " (edited)" if found.edited else ""
        actor = names.get(entry.actor, entry.actor)
        yield f"{instant(entry.at)}  {one_line(actor)}  {entry.kind}: {one_line(entry.text)}{edited}"


def _timeline_json(incident: Incident, shown: Sequence[Shown]) -> dict[str, object]:
    return {
        "incident": incident.id,
        "title": incident.title,
        "channel": incident.channel,
        "opened_at": stamp(incident.opened_at),
        "opened_by": incident.opened_by,
        "closed_at": stamp(incident.closed_at) if incident.closed_at else None,
        "entries": [_entry_json(found) for found in shown],
    }


def _entry_json(found: Shown) -> dict[str, object]:
    entry = found.entry
    return {
        "id": entry.id,
        "at": stamp(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "text": entry.text,
        "facts": dict(entry.facts),
        "edited": found.edited,
    }


async def _unknown(world: World, incident: str) -> int:
    known = [found.id for found in await world.journal.incidents(limit=_LISTED)]
    near = did_you_mean(incident, known)
    meant = f" Did you mean {near}?" if near else ""
    listed = "\n".join(["The newest incidents:", *(f"  {name}" for name in known)]) if known else "There are none yet."
    return _complain(f"There is no incident called {one_line(incident)}.{meant}\n{listed}")


def _wrong_format(form: str) -> int:
    known = ", ".join(WRITERS)
    near = did_you_mean(form, WRITERS)
    meant = f" Did you mean {near}?" if near else ""
    return _complain(f"There is no format called {one_line(form)}.{meant} There are: {known}", WRONG)


def _complain(words: str, code: int = FAILED) -> int:
    typer.echo(words, err=True)
    return code


def _print(told: Mapping[str, object] | Iterable[str]) -> None:
    """A mapping as one JSON document, anything else as lines."""
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False) if isinstance(told, Mapping) else "\n".join(told))
