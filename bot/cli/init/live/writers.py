"""Pipelines for the states of which none is sure: by what the store says wrote a version, else by the times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial, reduce
from operator import add

from bot.backends.frame import Writing
from bot.cli.init.join import Mapped, State
from bot.cli.init.live.context import Context
from bot.cli.init.live.evidence import NOTHING, Ran, beside_all, coincidence, spans_of, words
from bot.cli.init.live.look import all_within, why_not
from bot.cli.init.tree import Place
from bot.cli.init.uses import Seen
from bot.cli.init.write import TYPES, is_ready
from bot.config.models import CI_SECTIONS
from bot.core.evidence import Found, Observation
from bot.core.run import Pipeline
from bot.core.systems import BY_TYPE, ECS

WRITINGS_WITHIN = 180.0
_RUNS_WITHIN = 180.0
_MOST_STATES = 60
_MOST_PIPELINES = 60
_FEWEST = 3
"""Of fewer versions it says nothing that none was written while a pipeline ran."""


def writings(context: Context) -> dict[tuple[str, int], Callable[[], Awaitable[Observation[tuple[Writing, ...]]]]]:
    """Asks when the newest versions were written of the states without a sure pipeline, or of some of those that an
    entry for many means.
    """
    unsure = [state for state in context.complete if state.name in context.sections
              and all(each.guess for each in state.pipelines)]  # fmt: skip
    if len(unsure) > _MOST_STATES:
        context.say(f"{len(unsure) - _MOST_STATES} states without a sure pipeline were not looked into")
    return {
        (state.name, index): partial(context.systems.writings, section)
        for state in unsure[:_MOST_STATES]
        for index, section in enumerate(context.sections[state.name])
        if not context.systems.lacking(section)
    }


async def attribute(
    context: Context,
    seen: Mapping[tuple[str, int], Observation[tuple[Writing, ...]]],
    failed: Mapping[tuple[str, int], str],
) -> None:
    """Suggests pipelines, with their evidence, and asks where nothing that is known explains the versions."""
    unlisted, written = {name: why for (name, _), why in failed.items()}, dict[str, list[tuple[Writing, ...]]]()
    for (name, _), each in seen.items():
        if isinstance(each, Found):
            written.setdefault(name, []).append(each.value)
        else:
            unlisted[name] = why_not(each)
    context.say_failed("could not list the versions of", unlisted)
    mine = [state for state in context.complete if any(written.get(state.name, ()))]
    for state in mine:
        _by_name(context, state, written[state.name])
    if mine:
        candidates = _candidates(context)
        ran = await _ran(context, candidates)
        for state in mine:
            _by_time(context, state, [[each.at for each in one] for one in written[state.name]], ran, candidates)


def _by_name(context: Context, state: State, written: Sequence[Sequence[Writing]]) -> None:
    """Where the store itself knows what wrote."""
    section, every = context.sections[state.name][0], [each for one in written for each in one]
    owned = (section.runs_of(each.run) for each in every if each.run)
    named = Counter((own.type, own.base_url, tuple(own.keys.items())) for own in owned if own is not None)
    for (kind, address, keys), count in named.items():
        part = "its last version was" if len(every) == 1 else f"{count} of its last {len(every)} versions were"
        seen = Seen(next(name for name, each in TYPES.items() if each == kind), keys)
        if not state.discover and _takes(context, seen.ci, address):
            _suggest(state, seen, f"{_system(seen.ci)} says so", f"{part} written by runs of this {keys[-1][0]}")


def _takes(context: Context, ci: str, address: str) -> bool:
    """Whether the entry under `ci` is, or can become, the one for the installation at this address."""
    usual = str(CI_SECTIONS[TYPES[ci]].model_fields["base_url"].default)
    sections = context.found.sections
    if all(each.seen.ci != ci for state in context.found.states for each in state.pipelines):
        sections[ci] = {**sections.get(ci, {}), **({} if address == usual else {"base_url": address})}
    return sections.get(ci, {}).get("base_url", usual) == address


def _candidates(context: Context) -> dict[Pipeline, Mapped]:
    """Every pipeline that is known and can be asked for its runs."""
    every = [each for state in context.found.states for each in state.pipelines]
    uses = [use for use in context.found.uses if use.applies or use.elsewhere]
    every += [Mapped(use.pipeline, use.at) for use in uses if use.pipeline is not None]
    if context.before is not None:
        at, there = str(context.before.path), context.before.states.values()
        every += [Mapped(Seen(each.ci, each.fields), at) for state in there for each in state.pipelines]
    found = dict[Pipeline, Mapped]()
    for each in every:
        if each.seen.ci in context.config.ci and is_ready(each, context.found.sections):
            found.setdefault(Pipeline(each.seen.ci, each.seen.keys, _system(each.seen.ci)), each)
    context.systems.allow(tuple(found))
    for name in dict.fromkeys(pipeline.ci for pipeline in found):
        if not context.systems.can_ask(name):
            lacking = context.systems.lacking(context.config.ci[name])
            context.say(f"{lacking}, so the runs of {_system(name)} were not looked at")
        elif _system(name) == ECS.name:
            context.say(f"{ECS.name} forgets a task an hour after its end, so its runs were not looked at")
    asked = [each for each in found if context.systems.can_ask(each.ci) and each.system != ECS.name]
    if len(asked) > _MOST_PIPELINES:
        context.say(f"the runs of {len(asked) - _MOST_PIPELINES} more pipelines were not looked at")
    return {pipeline: found[pipeline] for pipeline in asked[:_MOST_PIPELINES]}


async def _ran(context: Context, pipelines: Collection[Pipeline]) -> dict[Pipeline, Ran]:
    seen, failed = await all_within({each: partial(context.systems.runs, each) for each in pipelines}, _RUNS_WITHIN)
    unseen = {pipeline.title: why for pipeline, why in failed.items()}
    now, ran = context.systems.clock.now(), dict[Pipeline, Ran]()
    for pipeline, (answer, since) in seen.items():
        if isinstance(answer, Found):
            ran[pipeline] = spans_of(answer.value, now), (since, now)
        else:
            unseen[pipeline.title] = why_not(answer)
    context.say_failed("could not see the runs of", unseen)
    return ran


def _by_time(
    context: Context,
    state: State,
    written: Sequence[Sequence[datetime]],
    ran: Mapping[Pipeline, Ran],
    candidates: Mapping[Pipeline, Mapped],
) -> None:
    questions = context.found.questions
    for pipeline, (spans, window) in ran.items():
        candidate = candidates[pipeline]
        seen = reduce(add, (coincidence(one, spans, window) for one in written), NOTHING)
        known = next((each for each in state.pipelines if _is_same(each.seen, candidate.seen)), None)
        if seen.tells or (known is not None and seen.of >= _FEWEST and not seen.within):
            _suggest(state, candidate.seen, candidate.at, words(seen, len(written)))
            if isinstance(candidate.at, Place) and seen.tells:
                answered = f"{candidate.at}: on which state does this run "
                questions[:] = [each for each in questions if not each.startswith(answered)]
    if ran:
        seen = reduce(add, (beside_all(one, ran.values()) for one in written), NOTHING)
        left = seen.of - seen.within
        # one beside those of a suggested pipeline may be a person's, and comes and goes from day to day
        if seen.of >= _FEWEST and left > (1 if state.pipelines else 0):
            others = f"{left} of its last {seen.of} versions {'was' if left == 1 else 'were'} written while no"
            questions.append(
                f"{state.name}: {others} pipeline ran whose runs were seen. "
                f"What {'else ' if state.pipelines else ''}runs Terraform on it?"
            )


def _suggest(state: State, seen: Seen, at: Place | str, guess: str) -> None:
    known = next((each for each in state.pipelines if _is_same(each.seen, seen)), None)
    if known is None:
        state.pipelines.append(Mapped(seen, at, guess))
    else:
        known.guess = f"{known.guess}; {guess}"


def _is_same(one: Seen, other: Seen) -> bool:
    return (one.ci, dict(one.keys)) == (other.ci, dict(other.keys))


def _system(name: str) -> str:
    return BY_TYPE[TYPES[name]].name
