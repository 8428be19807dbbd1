"""Pipelines for the states of which none is sure: by what the store says wrote a version, else by the times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial, reduce
from operator import add
from typing import Any

from bot.backends.frame import Writing
from bot.cli.init.join import Mapped, State
from bot.cli.init.live.context import Context
from bot.cli.init.live.evidence import NOTHING, Ran, beside_all, coincidence, spans_of, words
from bot.cli.init.live.look import all_within, why_not
from bot.cli.init.tree import Place
from bot.cli.init.uses import Seen
from bot.cli.init.write import TYPES, is_ready
from bot.config.models import GitlabSection, HcpSection
from bot.core.evidence import Found
from bot.core.run import Pipeline
from bot.core.systems import BY_TYPE, ECS

_WRITINGS_WITHIN = 120.0
_RUNS_WITHIN = 240.0
_MOST_STATES = 60
_MOST_PIPELINES = 60
_FEWEST = 3
"""Of fewer versions it says nothing that none was written while a pipeline ran."""


async def attribute(context: Context) -> None:
    """Suggests pipelines, with their evidence, and asks where nothing that is known explains the versions."""
    unsure = [state for state in context.complete if state.name in context.sections
              and all(each.guess for each in state.pipelines)]  # fmt: skip
    if len(unsure) > _MOST_STATES:
        context.say(f"{len(unsure) - _MOST_STATES} states without a sure pipeline were not looked into")
    written = await _written(context, unsure[:_MOST_STATES])
    mine = [state for state in unsure if any(written.get(state.name, ()))]
    for state in mine:
        _by_name(context, state, written[state.name])
    if mine:
        candidates = _candidates(context)
        ran = await _ran(context, candidates)
        for state in mine:
            _by_time(context, state, [[each.at for each in one] for one in written[state.name]], ran, candidates)


async def _written(context: Context, states: Sequence[State]) -> dict[str, list[tuple[Writing, ...]]]:
    """Of each state, or of some of those that an entry for many means, when the newest versions were written."""
    work = {
        (state.name, index): partial(context.systems.writings, section)
        for state in states
        for index, section in enumerate(context.sections[state.name])
        if not context.systems.lacking(section)
    }
    seen, failed = await all_within(work, _WRITINGS_WITHIN)
    unlisted, written = {name: why for (name, _), why in failed.items()}, dict[str, list[tuple[Writing, ...]]]()
    for (name, _), each in seen.items():
        if isinstance(each, Found):
            written.setdefault(name, []).append(each.value)
        else:
            unlisted[name] = why_not(each)
    context.say_failed("could not list the versions of", unlisted)
    return written


def _by_name(context: Context, state: State, written: Sequence[Sequence[Writing]]) -> None:
    """Where the store itself knows what wrote."""
    section, every = context.sections[state.name][0], [each for one in written for each in one]
    named = Counter(seen for each in every if each.run and (seen := _writer(section, each.run)) is not None)
    for seen, count in named.items():
        part = "its last version was" if len(every) == 1 else f"{count} of its last {len(every)} versions were"
        who = "a job of this project" if seen.ci == "gitlab" else "runs of this workspace"
        if not state.discover and _takes(context, seen.ci, section):
            _suggest(state, seen, f"{_system(seen.ci)} says so", f"{part} written by {who}")


def _writer(section: Any, run: str) -> Seen | None:
    if section.type == "hcp":
        return Seen("hcp", (("organization", section.organization), ("workspace", section.workspace)))
    project = run.partition("/-/")[0].strip("/")
    return Seen("gitlab", (("project", project),)) if section.type == "gitlab" and project else None


def _takes(context: Context, ci: str, section: Any) -> bool:
    """Whether the entry under `ci` is, or can become, the one for the installation that keeps this state."""
    usual = str((GitlabSection if ci == "gitlab" else HcpSection).model_fields["base_url"].default)
    address = str(section.base_url if ci == "gitlab" else section.address)
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
