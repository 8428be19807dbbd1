"""The doctor: everything that an unlock rests on, looked at before it is needed. docs/doctor.md lists the checks."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import typer

from bot.app.wiring import beside_a_bot
from bot.config.settings import Config
from bot.core.phrase import one_line
from bot.core.record.redact import redact
from bot.doctor import aws, ci, clock, configuration, exports, policy, slack, store, tickets
from bot.doctor.check import Level, Result

CHECKS = (configuration, slack, store, aws, exports, ci, clock, tickets, policy)
"""What is checked, in the order in which it is printed. `check.py` says how one is written."""


async def examine(config: Config, *, as_json: bool) -> bool:
    """Prints a line for each result with its fix, or one JSON document. True if nothing would stop an unlock.

    Raises ConfigInvalid for a REDIS_URL that cannot be one.
    """
    async with beside_a_bot(config) as wiring:
        found = await asyncio.gather(*(checked.checks(config, wiring) for checked in CHECKS))
    results = list(chain.from_iterable(found))
    typer.echo(_document(results) if as_json else redact("\n".join(_lines(results))))
    return all(result.level is not Level.FAIL for result in results)


def _lines(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        fix = f" Fix: {result.fix}." if result.fix else ""
        end = "" if result.detail.endswith((".", "?", "!")) else "."
        yield f"{result.level.upper():4} {one_line(f'{result.area}, {result.subject}: {result.detail}{end}{fix}')}"
    counted = Counter(result.level for result in results)
    verdict = "something would stop an unlock" if counted[Level.FAIL] else "nothing would stop an unlock"
    yield ""
    yield f"{counted[Level.OK]} ok, {counted[Level.WARN]} to think about, {counted[Level.FAIL]} wrong: {verdict}."


def _document(results: Sequence[Result]) -> str:
    rows = [
        {
            "area": result.area,
            "subject": result.subject,
            "level": str(result.level),
            "detail": redact(one_line(result.detail)),
            "mend": result.fix or None,
        }
        for result in results
    ]
    return json.dumps({"ok": all(row["level"] != "fail" for row in rows), "checks": rows}, indent=2, ensure_ascii=False)
