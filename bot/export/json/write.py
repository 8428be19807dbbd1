"""The JSON export: the raw timeline with its chain, and what was made of it. Its schema is published.

`incident.last` names the last entry, so that a file that was cut short is detected.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bot.core.account.values import Account, FollowUp, Summary
from bot.core.instants import stamp
from bot.core.phrase import plain
from bot.export.files import write
from bot.export.json.read import SCHEMA
from bot.export.json.row import spelled
from bot.export.material import Material


def write_json(material: Material, path: Path) -> Path:
    """One entry a line, in the order of the chain."""
    return write(path, _parts(material))


def _parts(material: Material) -> Iterator[str]:
    account = material.account
    yield f'{{"schema": {spelled(SCHEMA)},\n'
    yield f'"incident": {spelled(_head(account))},\n'
    yield f'"display": {spelled({"zone": account.zone, "names": dict(account.names)})},\n'
    yield f'"summary": {spelled(_summary(account, account.summary))},\n'
    yield f'"followups": {spelled([_followup(one) for one in account.followups])},\n'
    yield '"entries": ['
    separator = "\n"
    for row in material.rows():
        yield separator + row
        separator = ",\n"
    yield "\n]}\n"


def _head(account: Account) -> dict[str, object]:
    incident = account.incident
    return {
        "id": incident.id,
        "channel": incident.channel,
        "title": incident.title,
        "opened_at": stamp(incident.opened_at),
        "opened_by": incident.opened_by,
        "closed_at": _instant(incident.closed_at),
        "last": {"id": account.last.id, "hash": account.last.hash},
    }


def _summary(account: Account, summary: Summary) -> dict[str, object]:
    took = summary.time_to_unlock
    return {
        "told": [plain(sentence) for sentence in summary.told],
        "causes": [cause.name.lower() for cause in summary.causes],
        "states": [
            {
                "state": one.state,
                "locked_seconds": None if one.locked_for is None else one.locked_for.total_seconds(),
                "free": one.is_free,
            }
            for one in summary.states
        ],
        "first_command_at": _instant(summary.first_command_at),
        "unlocked_at": _instant(summary.unlocked_at),
        "seconds_to_unlock": None if took is None else took.total_seconds(),
        "most_contenders": summary.most_contenders,
        "people": [{"actor": part.actor, "entries": part.entries, "did": list(part.did)} for part in summary.parts],
        "recorded": account.recorded,
        "edited": account.edited,
        "hidden": account.hidden,
    }


def _followup(one: FollowUp) -> dict[str, object]:
    return {
        "key": one.key,
        "title": one.title,
        "reason": plain(one.reason),
        "todo": [plain(step) for step in one.todo],
        "ticket": one.ticket,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
