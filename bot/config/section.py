"""What the sections of the configuration have in common, and what a backend's section says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
Problem: TypeAlias = tuple[str | None, str]
"""A key of the section, None for all of the section, and what is wrong there."""

Block: TypeAlias = Mapping[str, str]
"""A block of Terraform's: its texts by their names. Those of a block in it have its name and a dot before theirs."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a block of Terraform's says of a state. `values` are by the section's keys, perhaps not all that it needs.
    `missing` has by key, None for all of it, what nobody has said, in words; `notes` are for who reads the section.
    """

    values: dict[str, Any]
    missing: dict[str | None, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a state is listed: what holds it, with the way there, and its name in it. `where` is the container for
    people. `part` is the part of the container that it is in, if that is known; `is_folded`: upper and lower case of
    names are the same; `has_others`: what is no state is listed there, too.
    """

    container: tuple[str, ...]
    name: str
    where: str = field(compare=False)
    part: str = ""
    is_folded: bool = False
    has_others: bool = False

    @property
    def place(self) -> tuple[str, ...]:
        """What no two states have in common."""
        return (*self.container, self.name.casefold() if self.is_folded else self.name)

    def is_apart_from(self, other: Listing) -> bool:
        """Whether no state of one can be one of the other, whatever their names are."""
        return self.container != other.container or bool(self.part and other.part and self.part != other.part)


@dataclass(frozen=True, slots=True)
class OwnRuns:
    """Runs that a store knows of its states: the CI system that it is part of, and the keys of their pipeline."""

    type: str
    base_url: str
    token_env: str
    keys: Mapping[str, str]


class Section(BaseModel):
    """A mapping of the file. Unknown keys are errors; a text is never taken for a number, nor the reverse."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BackendSection(Section):
    """A state's `backend`, by its `type`. A package in `bot.backends` has its own in `section.py`, as `Backend`.

    Checks look at the values of the file as they are, of any shape, so that every problem is reported at once.
    """

    type: str

    blocks: ClassVar[tuple[str, ...]]
    """The kinds of blocks of Terraform's that may say where such a state is."""

    spelled: ClassVar[Mapping[str, str]] = {}
    """What Terraform calls keys that have another name here."""

    name_keys: ClassVar[tuple[str, ...]] = ()
    """The keys that tell apart the states of one container, the most telling one last."""

    place_keys: ClassVar[tuple[str, ...]] = ()
    """The keys of which no two states have all in common, and how a sentence names them."""

    place_words: ClassVar[str]

    @classmethod
    def read(cls, block: Block, env: Mapping[str, str]) -> Told | None:  # noqa: ARG003 - who needs them, asks
        """What a block of one of these kinds says; None if it is another backend's. `env` has the variables that
        Terraform's backend would read. If it `has_workspaces`, who asks adds the workspace.
        """
        given = {name: block.get(cls.spelled.get(name, name)) for name in cls.model_fields if name != "type"}
        return Told({name: text for name, text in given.items() if text})

    @classmethod
    def has_workspaces(cls) -> bool:
        """Whether a state has Terraform's workspaces, each a state of its own."""
        return "workspace" in cls.model_fields and not cls.model_fields["workspace"].is_required()

    @classmethod
    def problems(cls, given: Mapping[str, Any], *, has_region: bool) -> Iterator[Problem]:  # noqa: ARG003 - who needs one, asks
        """What is wrong by a rule on more than one key. `has_region`: AWS's region is known from elsewhere."""
        yield from ()

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        """What no two states have in common; None where the values do not say."""
        fields = {key: cls.model_fields[key] for key in cls.place_keys}
        if not all(given.get(key) for key, field in fields.items() if field.is_required()):
            return None
        return tuple(str(given.get(key) or field.default or "") for key, field in fields.items())

    @property
    def lock_path(self) -> str:
        """The `Path` that this state's locks carry, by which a pasted error is known; empty where they have none, as
        those of Terraform's `http` backend.
        """
        return ""

    @property
    def listing(self) -> Listing | None:
        """Where the store lists this state; None if its kind has no `states`."""
        return None

    def keys_at(self, name: str) -> dict[str, str]:
        """The `name_keys` of the state that is listed so, as far as one can be."""
        return dict.fromkeys(self.name_keys, name)

    @property
    def own_runs(self) -> OwnRuns | None:
        """The pipeline that the store itself is of this state, known without being named; None if it runs nothing."""
        return None

    def runs_of(self, run: str) -> OwnRuns | None:  # noqa: ARG002 - who needs it, asks
        """The pipeline of a run that wrote a version, as `Writing` names it; None where the store does not tell."""
        return self.own_runs

    def with_defaults(self, aws: Mapping[str, Any]) -> Self:  # noqa: ARG002 - only who is reached as AWS is
        """The same with the defaults of the `aws` section filled in."""
        return self
