"""`status` and `who`: what can be known of a lock without Slack and without a running bot. They change nothing.

Each returns the exit code of its command. What was asked for goes to standard output, everything else to standard
error; with `as_json` standard output is exactly one JSON document (docs/commands-json.md).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.app.wiring import beside_a_bot
from bot.cli.frame import FAILED, OK, output
from bot.config.settings import Config
from bot.core.evidence import Trouble, Unseen
from bot.core.gate.case import Rule
from bot.core.gate.decide import RULES
from bot.core.gate.inspection import Inspection
from bot.core.lock import LockSeen
from bot.core.reports.report import StatusReport
from bot.core.reports.who import WhoReport
from bot.slack.render.plain import overview_lines, status_lines, to_json, who_lines
from bot.slack.render.recovery import recovery_json, recovery_lines
from bot.usecases.decide.inspect import inspect, overview
from bot.usecases.decide.weigh import conclude
from bot.usecases.look.home_tab import nobody
from bot.usecases.look.recover import Asked, recover
from bot.usecases.look.status import known_answer, requests_of
from bot.usecases.look.who import reached
from bot.usecases.world import World

_CAVEATS = {
    Rule.REQUESTER: "In Slack the asker must also be an eligible member of the incident channel; "
    "that is not checked here.",
    Rule.OWNER: "Whether the owner has said that it is still running is not known: the timeline could not be read.",
}


async def show_status(config: Config, state: str | None, *, as_json: bool) -> int:
    """One state with the gate's checklist, or all states. Fails if a lock could not be read.

    Raises UnknownState.
    """
    async with beside_a_bot(config) as wiring:
        world = wiring.world
        state = None if state is None else wiring.named(state)
        return await (_show_all(world, as_json=as_json) if state is None else _show(world, state, as_json=as_json))


async def show_who(config: Config, state: str, *, as_json: bool) -> int:
    """The person behind the lock. Slack is asked only where its token is set. Raises UnknownState."""
    async with beside_a_bot(config) as wiring:
        world, state = wiring.world, wiring.named(state)
        inspection = await inspect(world, world.state(state), without_claims=True)
        if config.slack.bot_token is None:
            report = _without_slack(inspection)
        else:
            report = await reached(world, inspection)
    output(to_json(report) if as_json else who_lines(report))
    return OK if _is_known(inspection.seen) else FAILED


async def show_recovery(config: Config, state: str, *, run_url: str, as_json: bool) -> int:
    """What a dead run left behind. Fails if its log and the state could not be compared.

    Raises UnknownState, NoSuchRun.
    """
    async with beside_a_bot(config) as wiring:
        found = await recover(wiring.world, wiring.named(state), Asked(run_url))
    output(recovery_json(found) if as_json else recovery_lines(found))
    return OK if found.difference is not None else FAILED


async def _show_all(world: World, *, as_json: bool) -> int:
    seen, trouble = await asyncio.gather(overview(world), world.journal_trouble())
    report = replace(seen, journal_trouble=trouble)
    output(to_json(report) if as_json else overview_lines(report))
    return OK if all(_is_known(lock) for _, lock in report.states) else FAILED


async def _show(world: World, name: str, *, as_json: bool) -> int:
    inspection, trouble, requests = await asyncio.gather(
        inspect(world, world.state(name), without_claims=True), world.journal_trouble(), requests_of(world, name)
    )
    report, left_out = await _concluded(world, inspection, trouble)
    report = replace(report, requests=requests)
    if as_json:
        output({**to_json(report), "not_checked": [str(rule) for rule in left_out]})
    else:
        output([*status_lines(report), *(_CAVEATS[rule] for rule in left_out)])
    return OK if _is_known(inspection.seen) else FAILED


async def _concluded(world: World, inspection: Inspection, trouble: str) -> tuple[StatusReport, tuple[Rule, ...]]:
    """The report, and the rules that could not be asked: nobody asks in a channel here, and Redis may be in trouble."""
    lock = inspection.lock
    if lock is None:
        return StatusReport(inspection, None, journal_trouble=trouble), ()
    answer, unknown = (None, trouble) if trouble else await known_answer(world, inspection.state.name, lock.id)
    left_out = (Rule.REQUESTER, Rule.OWNER) if unknown else (Rule.REQUESTER,)
    table = tuple(row for row in RULES if row[0] not in left_out)
    decision = conclude(world, inspection, nobody(world), lock.id, answer, table=table)
    return StatusReport(inspection, decision.verdict, answer, journal_trouble=unknown), left_out


def _without_slack(inspection: Inspection) -> WhoReport:
    owner = inspection.owner
    if owner is None or owner.slack_id is None:
        return WhoReport(inspection, None, None, None)
    why = "Slack was not asked, because SLACK_BOT_TOKEN is not set"
    return WhoReport(inspection, Unseen("Slack", Trouble.NO_CONNECTION, why, inspection.at), None, None)


def _is_known(seen: LockSeen) -> bool:
    return bool(seen.held) or seen.is_free
