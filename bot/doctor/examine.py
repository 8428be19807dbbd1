"""The doctor: everything that an unlock rests on, looked at before it is needed. docs/doctor.md lists the checks."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import typer

from bot.app.adapters import SystemClock
from bot.app.wiring import VAR, wired
from bot.config.settings import Config
from bot.core.phrase import duration, one_line
from bot.core.policy import Policy
from bot.doctor.aws import aws_checks
from bot.doctor.check import Check, Level
from bot.doctor.ci import ci_checks
from bot.doctor.clock import clock_checks
from bot.doctor.exports import export_checks
from bot.doctor.slack import slack_checks
from bot.doctor.store import redis_checks
from bot.doctor.tickets import ticket_checks
from bot.store.embedded import attached_url

_DEFAULTS = Policy()


async def examine(config: Config, *, as_json: bool) -> bool:
    """Prints a line for each check with its mend, or one JSON document. True if nothing would stop an unlock.

    Raises ConfigInvalid for a REDIS_URL that cannot be one.
    """
    checks = await _checks(config)
    typer.echo(_document(checks) if as_json else "\n".join(_lines(checks)))
    return all(check.level is not Level.FAIL for check in checks)


async def _checks(config: Config) -> list[Check]:
    clock = SystemClock()
    url = config.redis_url.get_secret_value() if config.redis_url else await asyncio.to_thread(attached_url, VAR)
    async with wired(config, url) as wiring:
        found = await asyncio.gather(
            slack_checks(config, wiring),
            redis_checks(config),
            aws_checks(config, wiring.aws, secrets.token_hex(4)),
            export_checks(config, wiring.aws),
            ci_checks(config, wiring.world.sources, clock),
            clock_checks(config, wiring.aws, clock),
            ticket_checks(wiring.world.tickets),
        )
    return [*_configured(config), *(check for checks in found for check in checks), *_policy(config.policy)]


def _configured(config: Config) -> Iterator[Check]:
    yield Check("config", config.path.name, Level.OK, f"all of it is understood; states: {', '.join(config.states)}")


def _policy(policy: Policy) -> Iterator[Check]:
    """Safeguards that are weaker than the defaults, which follow what the CI systems promise."""
    settle = {f"settle.{end.name.lower()}": (policy.settle_time(end), usual) for end, usual in _DEFAULTS.settle.items()}
    least = {
        **settle,
        "state_quiet": (policy.state_quiet, _DEFAULTS.state_quiet),
        "clock_skew": (policy.clock_skew, _DEFAULTS.clock_skew),
    }
    weak = [_weaker(key, given, usual, "shorter") for key, (given, usual) in least.items() if given < usual]
    if policy.evidence_max_age > _DEFAULTS.evidence_max_age:
        weak.append(_weaker("evidence_max_age", policy.evidence_max_age, _DEFAULTS.evidence_max_age, "longer"))
    yield from weak or [Check("policy", "safeguards", Level.OK, "none is weaker than the defaults")]


def _weaker(key: str, given: timedelta, usual: timedelta, how: str) -> Check:
    told = f"{duration(given)} is {how} than the default of {duration(usual)}: a process that lives on may be missed"
    return Check("policy", key, Level.WARN, told, f"remove policy.{key}, unless you know better of your CI")


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        mend = f" Mend: {check.mend}." if check.mend else ""
        end = "" if check.detail.endswith((".", "?", "!")) else "."
        yield f"{check.level.upper():4} {one_line(f'{check.area}, {check.subject}: {check.detail}{end}{mend}')}"
    counted = Counter(check.level for check in checks)
    verdict = "something would stop an unlock" if counted[Level.FAIL] else "nothing would stop an unlock"
    yield ""
    yield f"{counted[Level.OK]} ok, {counted[Level.WARN]} to think about, {counted[Level.FAIL]} wrong: {verdict}."


def _document(checks: Sequence[Check]) -> str:
    rows = [
        {
            "area": check.area,
            "subject": check.subject,
            "level": str(check.level),
            "detail": one_line(check.detail),
            "mend": check.mend or None,
        }
        for check in checks
    ]
    return json.dumps({"ok": all(row["level"] != "fail" for row in rows), "checks": rows}, indent=2, ensure_ascii=False)
