"""What the systems said, into the states of the file: what is wrong with them, which were missing, who writes them.

What comes from here is a guess with its evidence, never sure: a store lists objects, and clocks only coincide.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bot.cli.init.join import Gathered
from bot.cli.init.live.containers import list_stores
from bot.cli.init.live.context import Context
from bot.cli.init.live.look import Systems, all_within
from bot.cli.init.live.writers import attribute
from bot.cli.init.write import TYPES
from bot.config.load import load
from bot.config.models import DEFAULT_VARIABLES
from bot.config.secret_files import named_in, resolved
from bot.config.settings import Config

_WITHIN = 180.0
_MOST = 500


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
        await _check(context)
        await attribute(context)
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


async def _check(context: Context) -> None:
    """Whether the lock and the state can be read of each state, and of some that an entry for many means."""
    work = {
        (state.name, index): partial(context.systems.problems, section)
        for state in context.complete[:_MOST]
        for index, section in enumerate(context.sections.get(state.name, ()))
        if not context.is_lacking(section, [state.name])
    }
    seen, failed = await all_within(work, _WITHIN)
    for state in context.complete:
        parts = [seen.get((state.name, index), []) for index, _ in enumerate(context.sections.get(state.name, ()))]
        state.checks += dict.fromkeys(problem for part in parts for problem in part)
    context.say_failed({name: why for (name, _), why in failed.items()}, "was not looked at")
    if seen:
        well = sum(not problems for problems in seen.values())
        more = "" if well == len(seen) else "; the lines with “checked” say what is wrong with the others"
        context.say(f"the lock and the state can be read of {well} of {len(seen)} states that were tried{more}")
    if len(context.complete) > _MOST:
        context.say(f"{len(context.complete) - _MOST} states were not tried: {_MOST} are the most")
