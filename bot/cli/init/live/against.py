"""The result beside the configuration that is there, by what they mean and not by their texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.cli.init.join import State
from bot.cli.init.live.listed import identity
from bot.cli.init.write import some
from bot.config.models import BACKEND_SECTIONS
from bot.config.patterns import readings
from bot.config.section import BackendSection
from bot.config.settings import Config


def against(states: Sequence[State], before: Config) -> Iterator[str]:
    """Lines for people. States are the same that are one object in the store, whatever their names."""
    mine = {identity(section): state for state in states if not state.missing and not state.discover
            and (section := _section(state, before)) is not None}  # fmt: skip
    there = {identity(state.backend): state for state in before.states.values()}
    new = [state for place, state in mine.items() if place not in there and not _is_meant(state, before)]
    lost = [state.name for place, state in there.items() if place not in mine]
    yield f"Compared with {before.path}, by what the entries mean:"
    nothing = True
    for state in new:
        nothing = False
        yield f"  not in it: {state.name} ({state.at})"
    for state in states:
        if state.discover and not _is_there(state, before):
            nothing = False
            yield f"  not in it: {state.name}, an entry for many ({state.at})"
    if lost:
        nothing = False
        yield f"  only in it: {some(lost)}"
    for place, state in mine.items():
        if place in there:
            known = {(each.ci, frozenset(each.fields)) for each in there[place].pipelines}
            more = [each for each in state.pipelines if (each.seen.ci, frozenset(each.seen.keys)) not in known]
            for each in more:
                nothing = False
                said = " ".join(value for _, value in each.seen.keys)
                yield f"  {there[place].name} has no pipeline {said}: {each.guess or each.at}"
    if nothing:
        yield "  the same states and pipelines"


def _section(state: State, before: Config) -> BackendSection | None:
    return BACKEND_SECTIONS[state.keys.type].model_validate(state.keys.values).with_defaults(dict(before.aws))


def _is_there(state: State, before: Config) -> bool:
    """Whether an entry for many is."""
    section = _section(state, before)
    return any(section is not None and each.listing == section.listing for each in before.patterns)


def _is_meant(state: State, before: Config) -> bool:
    """Whether an entry for many means it already."""
    section = _section(state, before)
    listing = None if section is None else section.listing
    return listing is not None and any(
        (each.template.backend.type, each.listing.container) == (state.keys.type, listing.container)
        and readings(each.listing.name, listing.name)
        for each in before.patterns
    )
