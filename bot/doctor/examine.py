"""The doctor: everything that an unlock rests on, looked at before it is needed. docs/doctor.md lists the checks."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from types import ModuleType

import typer

from bot.app.wiring import Wiring, beside_a_bot
from bot.config.settings import Config
from bot.core.phrase import one_line
from bot.core.record.redact import redact
from bot.doctor import ci, clock, configuration, exports, locks, policy, slack, store, tickets
from bot.doctor.check import Level, Result

CHECKS = (configuration, slack, store, locks, exports, ci, clock, tickets, policy)
"""What is checked, in the order in which it is printed. `check.py` says how one is written."""

_WORST_FIRST = (Level.FAIL, Level.UNPROVEN, Level.WARN, Level.OK)
_COUNTED = ((Level.FAIL, "wrong"), (Level.UNPROVEN, "not proven"), (Level.WARN, "to think about"), (Level.OK, "ok"))
_ALIKE = 3
"""So many results of one kind are printed, each with its own words; the rest are counted."""

_NAMED = 5


async def examine(config: Config, *, as_json: bool, everything: bool = False, state: str | None = None) -> bool:
    """Prints the problems, worst first, or one JSON document; True if nothing stops an unlock, or might.

    With `everything` a line for each check. With `state` only that one is checked, with everything that all states
    share. Raises UnknownState, and ConfigInvalid for a REDIS_URL that cannot be one.
    """
    progress = _Progress(is_shown=not as_json and sys.stderr.isatty())
    async with beside_a_bot(config) as wiring:
        config = _of_interest(config, wiring, state)
        found = await asyncio.gather(*(_checked(checked, config, wiring, progress) for checked in CHECKS))
    progress.clear()
    results = list(chain.from_iterable(found))
    typer.echo(_document(results) if as_json else redact("\n".join(_lines(results, everything=everything))))
    return not any(result.stops for result in results)


def _of_interest(config: Config, wiring: Wiring, state: str | None) -> Config:
    """The configuration with the states to look at: the one that is asked for, or all that the file names and, of those
    that a pattern means, the first one: the rest are reached in the same way.
    """
    known = wiring.discovery.config
    if state is not None:
        name = wiring.named(state)
        return replace(known, states={name: known.states[name]})
    samples = (next(iter(found), None) for found in wiring.discovery.found.values())
    return replace(known, states={**config.states, **{each.name: each for each in samples if each is not None}})


async def _checked(checked: ModuleType, config: Config, wiring: Wiring, progress: _Progress) -> list[Result]:
    results: list[Result] = await checked.checks(config, wiring)
    progress.has(checked.__name__.rpartition(".")[2])
    return results


class _Progress:
    """One line on a terminal's standard error, which says what is still being looked at."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._left = [checked.__name__.rpartition(".")[2] for checked in CHECKS]

    def has(self, name: str) -> None:
        self._left.remove(name)
        if self._is_shown and self._left:
            typer.echo(f"\r\x1b[KChecking: {', '.join(self._left)} …", err=True, nl=False)

    def clear(self) -> None:
        if self._is_shown:
            typer.echo("\r\x1b[K", err=True, nl=False)


def _lines(results: Sequence[Result], *, everything: bool) -> Iterator[str]:
    worst_first = sorted(results, key=lambda result: _WORST_FIRST.index(result.level))
    if everything:
        yield from (_line(result, result.area) for result in worst_first)
    else:
        yield from _problems([result for result in worst_first if result.level is not Level.OK])
    counted = Counter(result.level for result in results)
    verdict = "something would stop an unlock" if counted[Level.FAIL] else "nothing would stop an unlock"
    if not counted[Level.FAIL] and any(result.stops for result in results):
        verdict = "whether an unlock would be stopped is not proven"
    hint = "" if everything or not counted[Level.OK] else " (--all shows them)"
    yield ""
    yield ", ".join(f"{counted[level]} {words}" for level, words in _COUNTED) + f"{hint}: {verdict}."
    yield _unchecked([result for result in results if result.level is Level.UNPROVEN])


def _problems(results: Sequence[Result]) -> Iterator[str]:
    """What several states have in common is shown once; of what differs in its words, a few are shown."""
    same = defaultdict[tuple[Level, str, str, str], list[str]](list)
    for result in results:
        same[result.level, result.subject, result.fix, result.detail].append(result.area)
    alike = Counter((level, subject, fix) for level, subject, fix, _ in same)
    shown = Counter[tuple[Level, str, str]]()
    for (level, subject, fix, detail), areas in same.items():
        kind = (level, subject, fix)
        shown[kind] += 1
        if shown[kind] <= _ALIKE or alike[kind] == _ALIKE + 1:
            yield _line(Result(areas[0], subject, level, detail, fix), _some(areas))
        elif shown[kind] == _ALIKE + 1:
            yield f"{level.upper():8} … and {alike[kind] - _ALIKE} more about: {subject} (--all shows them)."


def _line(result: Result, areas: str) -> str:
    fix = f" Fix: {result.fix}." if result.fix else ""
    end = "" if result.detail.endswith((".", "?", "!")) else "."
    return f"{result.level.upper():8} {one_line(f'{areas}, {result.subject}: {result.detail}{end}{fix}')}"


def _unchecked(results: Sequence[Result]) -> str:
    if not results:
        return "Everything was checked."
    by_subject = defaultdict[str, list[str]](list)
    for result in results:
        by_subject[result.subject].append(result.area)
    named = "; ".join(f"{subject} of {_some(list(dict.fromkeys(areas)))}" for subject, areas in by_subject.items())
    return one_line(f"Could not be checked: {named}.")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:_NAMED])} and {more} more"


def _document(results: Sequence[Result]) -> str:
    rows = [
        {
            "area": result.area,
            "subject": result.subject,
            "level": str(result.level),
            "essential": result.essential,
            "detail": redact(one_line(result.detail)),
            "mend": result.fix or None,
        }
        for result in results
    ]
    ok = not any(result.stops for result in results)
    return json.dumps({"ok": ok, "checks": rows}, indent=2, ensure_ascii=False)
