"""What the sections of the configuration have in common, and what a backend's section says of itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
Problem: TypeAlias = tuple[str | None, str]
"""A key of the section, None for all of the section, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a state is listed: what holds it, with the way there, and its name in it. `part` is the part of the
    container that it is in, if that is known; `is_folded`: upper and lower case of names are the same.
    """

    container: tuple[str, ...]
    name: str
    part: str = ""
    is_folded: bool = False

    @property
    def place(self) -> tuple[str, ...]:
        """What no two states have in common."""
        return (*self.container, self.name.casefold() if self.is_folded else self.name)

    def is_apart_from(self, other: Listing) -> bool:
        """Whether no state of one can be one of the other, whatever their names are."""
        return self.container != other.container or bool(self.part and other.part and self.part != other.part)


@dataclass(frozen=True, slots=True)
class OwnRuns:
    """Runs that a store makes on its states itself: the CI system that it is, and the keys of the state's pipeline."""

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

    @classmethod
    def problems(cls, given: Mapping[str, Any], *, has_region: bool) -> Iterator[Problem]:  # noqa: ARG003 - who needs one, asks
        """What is wrong by a rule on more than one key. `has_region`: AWS's region is known from elsewhere."""
        yield from ()

    @classmethod
    @abstractmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        """What no two states have in common; None where the values do not say."""

    @classmethod
    @abstractmethod
    def identity_words(cls) -> str:
        """The keys that `identity` is made of, as a sentence says them."""

    @property
    @abstractmethod
    def lock_path(self) -> str:
        """The `Path` that this state's locks carry, by which a pasted error is known."""

    @property
    def listing(self) -> Listing | None:
        """Where the store lists this state; None if its kind has no `states`."""
        return None

    @property
    def own_runs(self) -> OwnRuns | None:
        """The pipeline that the store itself is of this state, known without being named; None if it runs nothing."""
        return None

    def with_defaults(self, aws: Mapping[str, Any]) -> Self:  # noqa: ARG002 - only who is reached as AWS is
        """The same with the defaults of the `aws` section filled in."""
        return self
