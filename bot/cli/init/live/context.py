"""What all parts of a look work on: the gathered states, the configuration that is there, and who is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from bot.cli.init.join import Gathered, State
from bot.cli.init.live.listed import identity
from bot.cli.init.live.look import Systems
from bot.cli.init.write import some
from bot.config.models import BACKEND_SECTIONS
from bot.config.section import BackendSection
from bot.config.settings import Config


@dataclass
class Context:
    """`config` has the CI systems and AWS's defaults, `before` is the configuration that is there, if one is.

    `facts` are what the head of the file says of the look. `sections` are by the state's name; of an entry for many
    those of some of its states.
    """

    found: Gathered
    before: Config | None
    config: Config
    systems: Systems
    facts: dict[str, None] = field(default_factory=dict)
    sections: dict[str, list[BackendSection]] = field(default_factory=dict)
    there: dict[tuple[str, ...] | None, str] = field(default_factory=dict)
    """The names of the configuration that is there, by what no two states have in common."""

    taken: set[str] = field(default_factory=set)
    """What the states are called that entries for many mean, case folded."""

    def __post_init__(self) -> None:
        """What the configuration that is there has a name for keeps it."""
        fixed = () if self.before is None else self.before.states.values()
        self.there = {identity(each.backend): each.name for each in fixed}
        sections = {id(state): self.section(state.keys.type, state.keys.values) for state in self.complete}
        names = {key: self.there.get(identity(each)) for key, each in sections.items() if each is not None}
        taken = {name.casefold() for name in names.values() if name}
        for state in self.found.states:
            state.name = names.get(id(state)) or _free(state.name, taken)
            taken.add(state.name.casefold())
            if (section := sections.get(id(state))) is not None:
                self.sections[state.name] = [section]

    @property
    def complete(self) -> list[State]:
        return [state for state in self.found.states if not state.missing]

    def say(self, words: str) -> None:
        self.facts[words] = None

    def say_failed(self, what: str, failed: Mapping[str, str]) -> None:
        """`what` could not be done with whom, and why: those with one reason together. Sorted: answers come in any
        order, which is no difference between two results.
        """
        reasons = dict[str, list[str]]()
        for name, why in sorted(failed.items()):
            reasons.setdefault(why, []).append(name)
        for why, names in reasons.items():
            self.say(f"{what} {some(names)}: {why}")

    def section(self, kind: str, values: Mapping[str, Any]) -> BackendSection | None:
        """A state's backend with its defaults; None for keys that cannot be one's."""
        try:
            return BACKEND_SECTIONS[kind].model_validate(values).with_defaults(dict(self.config.aws))
        except (KeyError, ValidationError):
            return None

    def is_free(self, name: str) -> bool:
        """Whether no state has this name, here or in the configuration that is there."""
        names = (*(state.name for state in self.found.states), *self.there.values())
        return name.casefold() not in self.taken and all(name.casefold() != each.casefold() for each in names)


def _free(name: str, taken: Collection[str]) -> str:
    free, number = name, 2
    while free.casefold() in taken:
        free, number = f"{name[:56]}-{number}", number + 1
    return free
