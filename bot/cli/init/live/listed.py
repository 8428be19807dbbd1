"""Names that a store lists, into states that no checkout has, and into entries for many that share a form. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from bot.cli.init.join import fit, telling
from bot.config.patterns import expression, filled, readings, variables
from bot.config.section import BackendSection

_STATE = ".tfstate"
_FEWEST = 5
"""So many states that share a form become one entry."""

_MOST_VARIABLES = 3
_MOST_PARTS = 3
_LONGEST = 60
_SERVICE = "service"
_ENVIRONMENTS = re.compile(
    r"(?:(?:non|pre)-?)?(?:dev|develop|development|test|testing|tst|qa|uat|int|integration|stage|staging|stg|"
    r"prod|production|prd|sandbox|demo|live|shared|global|ops|dr)\d*",
    re.IGNORECASE,
)
_REGIONS = re.compile(r"[a-z]{2,9}(?:-[a-z]+)+-?\d|[a-z]+(?:east|west|north|south|central)[a-z]*\d?")
_ACCOUNTS = re.compile(r"\d{12}")
_PRODUCTION = re.compile(r"prod|production|prd|live", re.IGNORECASE)


def values_at(section: BackendSection, values: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The keys of the state that the container of `section` lists as `name`: `values` are the section's, as the file
    has them. None for a name that no state can have there.
    """
    found = section.keys_at(name)
    here, there = section.listing, section.model_copy(update=found).listing
    if here is None or there is None or (there.container, there.name) != (here.container, name):
        return None
    is_default = {key for key, value in found.items() if value in {"", "default"}}
    kept = {key: found.get(key, value) for key, value in values.items() if key not in is_default}
    return {**kept, **{key: value for key, value in found.items() if key not in is_default}}


def identity(section: BackendSection | None) -> tuple[str, ...] | None:
    """What no two states have in common, of whatever kind they are."""
    found = None if section is None else type(section).identity(section.model_dump(exclude_none=True))
    return None if found is None or section is None else (section.type, *found)


def like_states(section: BackendSection, names: Iterable[str], known: Collection[str]) -> tuple[list[str], list[str]]:
    """Those whose names say that they are states, and those that have the form of a known one and would have to be
    looked into. Other objects of the container are neither.
    """
    surely, perhaps = list[str](), list[str]()
    forms = {(name.count("/"), posixpath.splitext(name)[1]) for name in known if not name.endswith(_STATE)}
    for name in names:
        is_any = section.listing is not None and not section.listing.has_others
        if is_any or section.keys_at(name).get("key", name).endswith(_STATE):
            surely.append(name)
        elif (name.count("/"), posixpath.splitext(name)[1]) in forms:
            perhaps.append(name)
    return surely, perhaps


@dataclass(frozen=True, slots=True)
class Form:
    """One entry for many: `text` is what they are listed as and `name` what they are called, both with variables."""

    text: str
    name: str
    members: tuple[str, ...]
    production: Mapping[str, tuple[str, ...]]
    """The values of variables that say production."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the entry and its states are called: no other state may be called so."""
        read = (readings(self.text, member)[:1] for member in self.members)
        return (self.name, *(filled(self.name, values) for found in read for values in found))


def forms(
    names: Sequence[str], known: Collection[str], *, where: str, is_free: Callable[[str], bool]
) -> tuple[list[Form], list[str]]:
    """The entries for many that these names allow, and the names that are in none.

    None of them means a `known` name, nor one of another, and no two give one name to two states. `where` is what the
    container is called; `is_free` tells whether a state's name is not taken.
    """
    made, rest, taken = list[Form](), list[str](), set[str]()
    for (_, _), group in groupby(sorted(names, key=_shape), key=_shape):
        members = list(group)
        apart = _apart([*members, *(name for name in known if _shape(name) == _shape(members[0]))])
        for part in _parts(members, known):
            is_left = partial(_is_left, taken, is_free)
            form = _form(part, apart, where, is_left) if len(part) >= _FEWEST else None
            if form is None:
                rest += part
            else:
                made.append(form)
                taken |= {each.casefold() for each in form.names}
    return made, sorted(rest)


def _apart(names: Sequence[str]) -> set[str]:
    """The steps that are not the same in all of these names."""
    return {step for column in zip(*map(_steps, names), strict=True) if len(set(column)) > 1 for step in column}


def _is_left(taken: Collection[str], is_free: Callable[[str], bool], name: str) -> bool:
    return name.casefold() not in taken and is_free(name)


def _shape(name: str) -> tuple[int, str]:
    return name.count("/"), _end(name)


def _end(name: str) -> str:
    """What stays as it is at the end of a name."""
    return _STATE if name.endswith(_STATE) else ""


def _steps(name: str) -> list[str]:
    return name.removesuffix(_end(name)).split("/")


def _parts(members: Sequence[str], known: Collection[str]) -> Iterator[list[str]]:
    """The members in groups that one text with few variables means, and which means none of the known ones."""
    columns = list(zip(*map(_steps, members), strict=True))
    varying = [index for index, column in enumerate(columns) if len(set(column)) > 1]
    pattern = expression(_text(members, columns, varying))
    fits = 0 < len(varying) <= _MOST_VARIABLES and not any(pattern.fullmatch(name) for name in known)
    if len(members) < _FEWEST or fits or len(varying) <= 1:
        # with one variable there is nothing left to divide them by
        yield from ([list(members)] if fits or len(members) < _FEWEST else ([name] for name in members))
        return
    first = varying[0]
    for _, group in groupby(
        sorted(members, key=lambda name: _steps(name)[first]), key=lambda name: _steps(name)[first]
    ):
        yield from _parts(list(group), known)


def _text(members: Sequence[str], columns: Sequence[Sequence[str]], varying: Sequence[int]) -> str:
    names = _variable_names([columns[index] for index in varying])
    steps = [column[0] for column in columns]
    for index, name in zip(varying, names, strict=True):
        steps[index] = f"{{{name}}}"
    return "/".join(steps) + _end(members[0])


def _variable_names(columns: Sequence[Sequence[str]]) -> list[str]:
    known = ((_ENVIRONMENTS, "env"), (_ACCOUNTS, "account"), (_REGIONS, "region"))
    names = list[str]()
    for column in columns:
        name = next((word for form, word in known if all(map(form.fullmatch, column))), _SERVICE)
        names.append(name)
    counted = Counter(names)
    return [
        f"{name}{names[: index + 1].count(name)}" if counted[name] > 1 else name for index, name in enumerate(names)
    ]


def _form(members: Sequence[str], apart: Collection[str], where: str, is_free: Callable[[str], bool]) -> Form | None:
    """None if the states would not each have a good name of their own."""
    columns = list(zip(*map(_steps, members), strict=True))
    varying = [index for index, column in enumerate(columns) if len(set(column)) > 1]
    text = _text(members, columns, varying)
    read = [found.groupdict() for found in map(expression(text).fullmatch, members) if found is not None]
    fixed = [step for step in telling(text.removesuffix(_STATE)) if step != "env:"]
    # only an environment would be the name of any state
    more = apart if not any(_SERVICE in step for step in fixed) else ()
    telling_most = [step for step in fixed if variables(step) or step in more or _ENVIRONMENTS.fullmatch(step)]
    for name in dict.fromkeys(("-".join(telling_most), "-".join(fixed), "-".join((where, *fixed)))):
        called = [filled(name, values) for values in read]
        is_good = is_free(name) and all(
            len(each) <= _LONGEST and fit(each) == each and is_free(each) for each in called
        )
        if is_good and len({each.casefold() for each in called}) == len(members) == len(read):
            return Form(text, name, tuple(members), _production(read))
    return None


def _production(read: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    found = {name: tuple(sorted({values[name] for values in read})) for name in (read[0] if read else ())}
    said = {name: tuple(filter(_PRODUCTION.fullmatch, values)) for name, values in found.items()}
    return {name: values for name, values in said.items() if values}


def called(name: str, *, is_free: Callable[[str], bool]) -> str:
    """A short name for the state that is listed so."""
    steps = [step for step in telling(name.removesuffix(_STATE)) if step not in {"env:", "default", "terraform"}]
    steps = [step.removesuffix(_STATE).replace(f"{_STATE}env:", "-").replace("env:", "-") for step in steps]
    for few in (steps[-_MOST_PARTS:], steps, name.split("/")):
        made = fit("-".join(few))
        if made and is_free(made):
            return made
    base = fit("-".join(steps)) or "state"
    number = 2
    while not is_free(f"{base[:56]}-{number}"):
        number += 1
    return f"{base[:56]}-{number}"
