"""What the systems said, into the states of the file: what is wrong with them, which were missing, who writes them.

What comes from here is a guess with its evidence, never sure: a store lists objects, and clocks only coincide.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bot.cli.init.join import Gathered
from bot.cli.init.live.containers import list_stores
from bot.cli.init.live.context import Context
from bot.cli.init.live.look import Checked, Systems, all_within
from bot.cli.init.live.writers import WRITINGS_WITHIN, attribute, writings
from bot.cli.init.write import TYPES, some
from bot.config.load import load
from bot.config.models import DEFAULT_VARIABLES
from bot.config.secret_files import named_in, resolved
from bot.config.settings import Config

_WITHIN = 180.0
_MOST = 500
_MOST_ALONE = 3
"""What is wrong with more states for one reason is one line for all of them."""


async def look(found: Gathered, before: Config | None, environ: Mapping[str, str]) -> list[str]:
    """Changes the states, the questions and the CI systems that were gathered, and returns what the head of the file
    says of it. `before` is the configuration that is there: what it names is known, by the names that it has there.
    """
    for name, section in {} if before is None else dict(before.ci).items():
        if TYPES.get(name) == section.type:
            values = section.model_dump(mode="json", exclude_defaults=True)
            found.sections[name] = {key: value for key, value in values.items() if key != "type"}
    given = resolved({name: value for name, value in environ.items() if value.strip()}, _variables(found, before))
    config = _config(found, before, given.environ)
    systems = Systems(config, given.environ)
    context = Context(found, before, config, systems)
    for name, reason in given.problems:
        context.say(f"{name} {reason}")
    try:
        await list_stores(context)
        checked, written = await asyncio.gather(
            all_within(_checks(context), _WITHIN), all_within(writings(context), WRITINGS_WITHIN)
        )
        _say_checked(context, *checked)
        await attribute(context, *written)
    finally:
        await systems.aclose()
    return list(context.facts)


def _variables(found: Gathered, before: Config | None) -> set[str]:
    """Those of all sections that may be asked with."""
    named = {*DEFAULT_VARIABLES, *named_in({str(n): state.keys.values for n, state in enumerate(found.states)})}
    for section in () if before is None else (*before.ci.values(), *(each.backend for each in before.reached)):
        named |= {str(value) for key, value in section if key.endswith("_env") and value}
    return named


def _config(found: Gathered, before: Config | None, environ: Mapping[str, str]) -> Config:
    """The CI systems that are known, and AWS's defaults. A file has to have a state: this one's is never asked for."""
    known = {name: values for name, values in found.sections.items() if all(values.values())}
    settings: dict[str, Any] = {
        "aws": {} if before is None else before.aws.model_dump(exclude_none=True),
        "ci": {name: {"type": TYPES[name], **values} for name, values in known.items()},
        "states": {"none": {"backend": {"type": "http", "address": "https://localhost/"}}},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tflock.yml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return load(path, environ, need_slack=False, need_tokens=False)


def _checks(context: Context) -> dict[tuple[str, int], Callable[[], Awaitable[Checked]]]:
    """Whether the lock and the state can be read of each state, and of some that an entry for many means."""
    work, lacking = dict[tuple[str, int], Callable[[], Awaitable[Checked]]](), dict[str, str]()
    for state in context.complete[:_MOST]:
        for index, section in enumerate(context.sections.get(state.name, ())):
            if why := context.systems.lacking(section):
                lacking[state.name] = why
            else:
                work[state.name, index] = partial(context.systems.checked, section)
    context.say_failed("could not ask about", lacking)
    if len(context.complete) > _MOST:
        context.say(f"{len(context.complete) - _MOST} states were not tried: {_MOST} are the most")
    return work


def _say_checked(
    context: Context, seen: Mapping[tuple[str, int], Checked], failed: Mapping[tuple[str, int], str]
) -> None:
    """At each state, but at the head what keeps many from being read for one reason."""
    context.say_failed("could not look at", {name: why for (name, _), why in failed.items()})
    found = dict[str, list[Checked]]()
    for (name, _), checked in sorted(seen.items(), key=lambda each: each[0]):
        found.setdefault(name, []).append(checked)
    unread = {name: dict.fromkeys(why for each in every for why in each.unread) for name, every in found.items()}
    counted = Counter(why for reasons in unread.values() for why in reasons)
    shared = [why for why, count in counted.items() if count > _MOST_ALONE]
    for why in shared:
        context.say(f"{some([name for name, reasons in unread.items() if why in reasons])}: {why}")
    for state in context.complete:
        state.checks += [why for why in unread.get(state.name, ()) if why not in shared]
        state.checks += dict.fromkeys(why for each in found.get(state.name, ()) for why in each.odd)
    if seen:
        well, only = (sum(each.is_well for each in seen.values()), sum(not each.is_lock_read for each in seen.values()))
        where = "the lines above, and those with “checked”," if shared else "the lines with “checked”"
        more = "" if well == len(seen) else f"; {where} say what is wrong with the others"
        less = f" (of {only} only the state was tried: reading the lock takes a try to lock it)" if only else ""
        context.say(f"the lock and the state can be read of {well} of {len(seen)} states that were tried{less}{more}")
