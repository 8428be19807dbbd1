"""The log of a run against the state that it left: what it made that no state knows, and what it may have begun. Pure.

Nothing is called *not recorded* that may be: an object counts as recorded if the state has its id at any address of its
type, and where the log says no id, if the state has something new at its address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.instants import shifted
from bot.core.joblog.changes import Action, Change, Changes, Fate
from bot.core.record.redact import redact
from bot.core.recovery.contents import Contents, Instance, quoted, type_of
from bot.core.recovery.imports import AGAIN, VALUES, why_no_import


@dataclass(frozen=True, slots=True)
class Made:
    """An object that the log says was made, and no state has. `block` imports it; where it is empty, `why` says why.

    `id` is what the log calls it, empty where it does not, or where it may be a secret.
    """

    address: str
    id: str = ""
    block: str = ""
    why: str = ""

    @property
    def is_made_again(self) -> bool:
        """Whether nobody has to import or remove it: no provider has it, or no second one does any harm."""
        return self.why == AGAIN


@dataclass(frozen=True, slots=True)
class Unsure:
    """A change whose outcome is not known. `why` says what is missing."""

    address: str
    action: Action
    why: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What a run did, against a state. Addresses of deposed objects end as Terraform prints them.

    `recorded` are the objects whose changes the state has; `tainted` those of them that the next apply replaces.
    `scripts` are the addresses whose provisioners ran, whose deeds no state has.
    """

    recorded: tuple[str, ...] = ()
    made: tuple[Made, ...] = ()
    unsure: tuple[Unsure, ...] = ()
    destroyed: tuple[str, ...] = ()
    tainted: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Sets:
    recorded: dict[str, None] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    unsure: list[Unsure] = field(default_factory=list)
    destroyed: dict[str, None] = field(default_factory=dict)
    tainted: dict[str, None] = field(default_factory=dict)


def compare(
    changes: Changes, state: Contents, *, written: datetime | None, skew: timedelta, between: Sequence[Contents] = ()
) -> Difference:
    """`written` is when this run's state was last written, by a clock that may differ from the log's by `skew`.

    `between` are the versions since this run began, where a later run has written the newest one: what one of them has
    was recorded, and the later run may have destroyed it. No address in the answer has a secret in it.
    """
    sets, held = _Sets(), _Held(state.instances, changes, between)
    for place, change in enumerate(changes.changes):
        later = changes.changes[place + 1 :]
        match change.action:
            case Action.CREATE:
                _created(sets, held, change, later)
            case Action.UPDATE:
                _updated(sets, held, change, later, written, skew)
            case Action.DELETE:
                _deleted(sets, held, change, later)
    return Difference(
        _clean(sets.recorded),
        tuple(replace(one, address=redact(one.address)) for one in sets.made),
        tuple(replace(one, address=redact(one.address)) for one in sets.unsure),
        _clean(sets.destroyed),
        _clean(sets.tainted),
        _clean(changes.scripts),
    )


def _clean(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(redact(one) for one in addresses)


class _Held:
    """The objects of a state, and what the run found at their addresses before it changed anything."""

    def __init__(self, instances: Iterable[Instance], changes: Changes, between: Sequence[Contents]) -> None:
        self._at: dict[str, list[Instance]] = {}
        self._ids: set[tuple[str, str, str]] = set()
        for one in instances:
            self._at.setdefault(one.address, []).append(one)
            self._ids |= _ids_of(one)
        self._between = [{each for one in version.instances for each in _ids_of(one)} for version in between]
        self._before = dict(changes.before)
        for change in changes.changes:
            if change.action is not Action.CREATE and change.id and not change.deposed:
                self._before.setdefault(change.address, change.id)

    def has(self, change: Change) -> bool:
        """Whether the state has the very object that the log names, wherever it is."""
        return bool(change.id) and _id_of(change) in self._ids

    def had(self, change: Change) -> bool:
        """Whether a version between has the very object that the log names."""
        return bool(change.id) and any(_id_of(change) in ids for ids in self._between)

    def at(self, address: str, deposed: str = "") -> Instance | None:
        return next((one for one in self._at.get(address, ()) if one.deposed == deposed), None)

    def new_at(self, address: str) -> Instance | None:
        """What the state has at an address, if it is not what was there before the run, as far as that is known."""
        one = self.at(address)
        before = self._before.get(address)
        return None if one is None or (before is not None and one.id == before) else one

    def stands(self, change: Change, known: str) -> bool:
        """Whether the state still has an object that was to be destroyed. By its `known` id, if there is one: the state
        may have it under its deposed key or not, and `-json` names no such key.
        """
        if known:
            return any(known in {one.id, one.name} for one in self._at.get(change.address, ()))
        return self.at(change.address, change.deposed) is not None

    def before(self, address: str) -> str:
        return self._before.get(address, "")


def _ids_of(one: Instance) -> set[tuple[str, str, str]]:
    return {(one.type, key, value) for key, value in (("id", one.id), ("name", one.name)) if value}


def _id_of(change: Change) -> tuple[str, str, str]:
    return type_of(change.address), change.key, change.id


def _shown(change: Change) -> str:
    return f"{change.address} (deposed object {change.deposed})" if change.deposed else change.address


def _is_masked(text: str) -> bool:
    return "***" in text


def _record(sets: _Sets, change: Change, one: Instance | None = None) -> None:
    sets.recorded[_shown(change)] = None
    if one is not None and one.is_tainted:
        sets.tainted[_shown(change)] = None


def _created(sets: _Sets, held: _Held, change: Change, later: tuple[Change, ...]) -> None:
    new = held.new_at(change.address)
    if change.fate is not Fate.DONE:
        # an object that was there before may be what the state has: one that replaces another is made first
        if new is not None and (new.is_tainted or held.before(change.address)):
            _record(sets, change, new)
        else:
            sets.unsure.append(Unsure(change.address, change.action, _WHY[change.fate]))
        return
    if held.has(change):
        _record(sets, change, held.at(change.address))
        return
    is_gone = any(
        one.action is Action.DELETE and one.address == change.address and one.id == change.id and change.id
        for one in later
    )
    if is_gone:  # its own end says what became of it
        return
    if held.had(change):
        why = "the state had it, and a later run has saved the state without it"
        sets.unsure.append(Unsure(change.address, change.action, why))
    elif _is_masked(change.address):
        sets.unsure.append(Unsure(change.address, change.action, "the log hides a part of its address"))
    elif (not change.id or _is_masked(change.id)) and held.at(change.address) is not None:
        if new is not None and held.before(change.address):
            _record(sets, change, new)
        elif held.before(change.address):
            sets.unsure.append(Unsure(change.address, change.action, "the log does not say its id"))
        else:
            _record(sets, change, new)
    else:
        sets.made.append(_made(change, is_taken=held.at(change.address) is not None))


def _made(change: Change, *, is_taken: bool) -> Made:
    kind, why = type_of(change.address), ""
    is_safe = redact(change.id) == change.id and not _is_masked(change.id) and kind not in VALUES
    shown = change.id if is_safe else ""
    if is_taken:
        why = "the state has another object at this address: remove one of the two by hand"
    elif kind in VALUES:
        why = why_no_import(kind)
    elif change.key not in {"", "id"} or not shown:
        why = "the log does not say its id"
    elif redact(change.address) != change.address:
        why = "its address may have a secret in it: write the block by hand"
    else:
        why = why_no_import(kind)
    block = "" if why else f'import {{\n  to = {change.address}\n  id = "{quoted(shown)}"\n}}'
    return Made(change.address, shown, block, why)


def _updated(
    sets: _Sets, held: _Held, change: Change, later: tuple[Change, ...], written: datetime | None, skew: timedelta
) -> None:
    if any(one.address == change.address and one.deposed == change.deposed for one in later):
        return  # the last word on an object is its last change's
    if held.at(change.address, change.deposed) is None and not held.has(change):
        sets.unsure.append(Unsure(_shown(change), change.action, "the state no longer has it"))
    elif change.fate is Fate.DONE and written and change.at and written > shifted(change.at, skew):
        _record(sets, change, held.at(change.address, change.deposed))
    else:
        why = "the state may have been written before" if change.fate is Fate.DONE else _WHY[change.fate]
        sets.unsure.append(Unsure(_shown(change), change.action, why))


def _deleted(sets: _Sets, held: _Held, change: Change, later: tuple[Change, ...]) -> None:
    made_again = [one for one in later if _is_done(one, Action.CREATE) and one.address == change.address]
    known = change.id or ("" if change.deposed else held.before(change.address))
    if not change.deposed and made_again and (not known or any(one.id in {known, ""} for one in made_again)):
        return  # the new one has its id, as everything has that is known by a name: its own line covers it
    if not held.stands(change, known):
        _record(sets, change)
    elif change.fate is Fate.DONE:
        sets.destroyed[_shown(change)] = None
    else:
        sets.unsure.append(Unsure(_shown(change), change.action, _WHY[change.fate]))


def _is_done(change: Change, action: Action) -> bool:
    return change.action is action and change.fate is Fate.DONE


_WHY = {
    Fate.BEGUN: "the log does not say how it ended",
    Fate.FAILED: "it ended with an error",
}
