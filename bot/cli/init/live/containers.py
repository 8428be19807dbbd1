"""The states that buckets, containers, projects and organizations list, and that no checkout has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeAlias

from bot.cli.init.holes import bound, holes_in, is_known, shown
from bot.cli.init.join import Mapped, State, fit
from bot.cli.init.keys import Keys
from bot.cli.init.live.context import Context
from bot.cli.init.live.listed import Form, called, forms, identity, like_states, values_at
from bot.cli.init.live.look import all_within, why_not
from bot.config.models import BACKEND_SECTIONS
from bot.config.patterns import filled, readings
from bot.config.section import BackendSection
from bot.core.evidence import Found

Place: TypeAlias = tuple[str, ...]
"""A container of a store: the kind, and the way there."""

_NAMED = "placeholder"
_WITHIN = 180.0
_LOOKED_INTO_WITHIN = 60.0
_MOST_ADDED = 200
_MOST_LOOKED_INTO = 50
_SAMPLED = 5
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Known:
    """A state of a container: what it is listed as, its keys as the file has them, and what it is called there."""

    name: str
    section: BackendSection
    values: Mapping[str, Any]
    called: str


@dataclass
class _Container:
    """`open` are states of which only the name is not known, each with its form; `there` are those of the configuration
    that is there.
    """

    place: Place
    known: list[_Known] = field(default_factory=list)
    there: list[_Known] = field(default_factory=list)
    open: list[tuple[State, _Known]] = field(default_factory=list)

    @property
    def label(self) -> str:
        listing = self.model.section.listing
        return "" if listing is None else listing.where

    @cached_property
    def model(self) -> _Known:
        """The one whose other keys most have: what a listing does not tell is taken from it."""
        every = self.known or [each for _, each in self.open] or self.there
        rest = [_rest(each) for each in every]
        return every[rest.index(Counter(rest).most_common(1)[0][0])]


def _rest(known: _Known) -> str:
    return repr(sorted((key, value) for key, value in known.values.items() if key not in known.section.name_keys))


async def list_stores(context: Context) -> None:
    """Adds the states that stores list and nobody has named."""
    containers = _containers(context)
    work, unlisted = dict[Place, Any](), dict[str, str]()
    for container in containers:
        section, names = container.model.section, [each.name for each in container.known]
        if why := context.systems.lacking(section):
            unlisted[container.label] = why
        else:
            work[container.place] = partial(context.systems.listed, section, names)
    seen, failed = await all_within(work, _WITHIN)
    found = list[_Listed]()
    for container in containers:
        answer = seen.get(container.place)
        if isinstance(answer, Found):
            found.append(_Listed(context, container, answer.value))
        elif answer is not None or container.place in failed:
            unlisted[container.label] = failed[container.place] if answer is None else why_not(answer)
    unsure = {(one.container.place, name): ask for one in found for name, ask in one.unsure()}
    read, _ = await all_within(unsure, _LOOKED_INTO_WITHIN)
    for one in found:
        one.take([name for (place, name), is_state in read.items() if is_state and place == one.container.place])
    context.say_failed("could not list", unlisted)


def _containers(context: Context) -> list[_Container]:
    found = dict[Place, _Container]()
    for state in context.found.states:
        (section,) = context.sections.get(state.name, (None,)) if not state.missing else (None,)
        form = _form_of(context, state) if state.missing else None
        if section is not None and (container := _container(context, found, section)) is not None:
            name = "" if section.listing is None else section.listing.name
            container.known.append(_Known(name, section, state.keys.values, state.name))
        elif form is not None and (container := _container(context, found, form.section)) is not None:
            container.open.append((state, form))
    before = context.before
    templates = () if before is None else (each.template for each in before.patterns)
    for each in () if before is None else (*before.states.values(), *templates):
        values = {"type": each.backend.type, **each.backend.model_dump(exclude_defaults=True)}
        if (container := _container(context, found, each.backend)) is not None:
            container.there.append(_Known("", each.backend, values, each.name))
    return list(found.values())


def _container(context: Context, found: dict[Place, _Container], section: BackendSection) -> _Container | None:
    if section.listing is None:
        context.say(f"states of the kind {section.type} cannot be listed")
        return None
    place = (section.type, *section.listing.container)
    return found.setdefault(place, _Container(place))


def _form_of(context: Context, state: State) -> _Known | None:
    """What a state is listed as of which only the name is not known, with its holes; None for any other."""
    kind, values = state.keys.type, dict(state.keys.values)
    unknown = {key: value for key, value in values.items() if isinstance(value, str) and not is_known(value)}
    if not unknown or unknown.keys() - set(BACKEND_SECTIONS[kind].name_keys) or len(state.missing) > len(unknown):
        return None
    section = context.section(kind, {**values, **dict.fromkeys(unknown, _NAMED)})
    if section is None or any(BACKEND_SECTIONS[kind].problems(section.model_dump(), has_region=True)):
        return None
    listing = section.model_copy(update=unknown).listing
    # a name that is all hole would be the form of anything
    if listing is None or len(shown(listing.name)) == sum(len(each) + 2 for each in holes_in(listing.name)):
        return None
    return _Known(listing.name, section, values, state.name)


@dataclass
class _Listed:
    """One container with what it lists."""

    context: Context
    container: _Container
    names: Sequence[str]

    def __post_init__(self) -> None:
        known, section = [each.name for each in self.container.known], self.container.model.section
        fold = str.casefold if section.listing is not None and section.listing.is_folded else str
        here = {fold(name) for name in known}
        self.new = [name for name in self.names if fold(name) not in here]
        self.states, self.perhaps = like_states(section, self.new, known)
        self.here = len({fold(name) for name in self.names} & here)

    def unsure(self) -> Iterator[tuple[str, Any]]:
        """What has to be looked into, to know whether it is a state: the first few."""
        for name in self.perhaps[:_MOST_LOOKED_INTO]:
            if (section := self._section(name)) is not None:
                yield name, partial(self.context.systems.is_state, section)

    def take(self, looked_into: Sequence[str]) -> None:
        """Adds the states, those among them that were looked into."""
        known = [each.name for each in self.container.known]
        states, new = [*self.states, *looked_into], self.new
        others = len(new) - len(states)
        count = len(states) + self.here
        self.context.say(
            f"{self.container.label} lists {count} states, "
            + (f"{len(states)} of them not in the checkout" if states else "all of them known")
            + (f"; what else is there ({others}) does not look like a state" if others else "")
        )
        left = [name for name in states if not self._fits(name)]
        self._close()
        there = self.context.there
        fixed = {name for name in left if identity(self._section(name)) in there} if there else set[str]()
        for form in self._patterns(left):
            self._add_many(form)
            left = [name for name in left if not readings(form.text, name)]
        grouped, single = forms(
            [name for name in left if name not in fixed],
            [*known, *fixed],
            where=fit(self.container.label.replace("/", " ").split()[-1]),
            is_free=self.context.is_free,
        )
        for form in grouped:
            self._add_many(form)
        single += sorted(fixed)
        for name in single[:_MOST_ADDED]:
            self._add_one(name)
        if len(single) > _MOST_ADDED:
            more = len(single) - _MOST_ADDED
            words = f"{self.container.label} lists {more} more states than are written here: which are yours?"
            self.context.found.questions.append(words)

    def _patterns(self, names: Sequence[str]) -> Iterator[Form]:
        """The entries for many of the configuration that is there, with those that they mean."""
        for each in () if self.context.before is None else self.context.before.patterns:
            members = tuple(name for name in names if readings(each.listing.name, name))
            if (each.template.backend.type, *each.listing.container) == self.container.place and members:
                yield Form(each.listing.name, each.template.name, members, each.protected)

    def _values(self, name: str) -> dict[str, Any] | None:
        return values_at(self.container.model.section, self.container.model.values, name)

    def _section(self, name: str) -> BackendSection | None:
        values = self._values(name)
        return None if values is None else self.context.section(self.container.place[0], values)

    def _fits(self, name: str) -> bool:
        """Adds the state if it has the form of one of which only the name was not known."""
        for state, form in self.container.open:
            parts, values = bound(form.name, name), values_at(form.section, form.values, name)
            if parts is None or values is None:
                continue
            guess = f"{self.container.label} lists {name}, which has the form {shown(form.name)}"
            unknown = "on which states it runs is only known when it runs"
            made = State(
                state.folder,
                state.at,
                Keys(state.keys.type, values, notes=list(state.keys.notes)),
                guesses=[*state.guesses, guess],
                pipelines=[Mapped(each.seen, each.at, each.guess or unknown) for each in state.pipelines],
                unseen=list(state.unseen),
            )
            self._add(made, name)
            return True
        return False

    def _close(self) -> None:
        """Drops what was asked for and is found now."""
        states = self.context.found.states
        fitted = {(state.folder, str(state.at)) for state in self.context.complete}
        gone = {id(state) for state, _ in self.container.open if (state.folder, str(state.at)) in fitted}
        states[:] = [state for state in states if id(state) not in gone]

    def _add_one(self, name: str) -> None:
        values = self._values(name)
        if values is not None:
            self._add(self._new(values), name)

    def _add(self, state: State, name: str) -> None:
        section = self.context.section(state.keys.type, state.keys.values)
        if section is not None:
            state.name = self.context.there.get(identity(section)) or called(name, is_free=self.context.is_free)
            self.context.found.states.append(state)
            self.context.sections[state.name] = [section]

    def _add_many(self, form: Form) -> None:
        values, members = self._values(form.text), list(filter(None, map(self._section, form.members)))
        if values is None or len(members) < len(form.members):
            for name in form.members:
                self._add_one(name)
            return
        state, first = self._new(values), form.members[:_SHOWN]
        some_of = ", ".join(filled(form.name, reading) for name in first for reading in readings(form.text, name)[:1])
        state.guesses.append(f"one entry for the {len(members)} states of this form: {some_of} …")
        state.name, state.discover, state.protected = form.name, True, form.production
        self.context.found.states.append(state)
        self.context.taken |= {each.casefold() for each in form.names}
        self.context.sections[state.name] = members[:: max(1, len(members) // _SAMPLED)][:_SAMPLED]

    def _new(self, values: Mapping[str, Any]) -> State:
        model = self.container.model.called
        guess = f"found by listing, not in the checkout; what a listing does not tell is as in {model}"
        return State(
            "", f"listed in {self.container.label}", Keys(self.container.place[0], dict(values)), guesses=[guess]
        )
