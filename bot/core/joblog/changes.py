"""What a Terraform command says that it changes: addresses, ids, and how far each change came. Pure.

Source: Terraform's `internal/command/views` (`hook_ui.go`, `json/hook.go`) and its `internal/command/format`
(`object_id.go`). `Still creating...` shortens ids, so ids are taken only from the lines that begin or end a change.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from bot.core.joblog.shapes import ADDRESS, BEFORE, SPAN, bare

MOST = 20_000
"""Objects of one command; what comes after them is not followed, and the log then counts as cut."""

_LONGEST = 4096
_CALLED = r"(?: \[(?P<key>[\w.-]+)=(?P<id>.*)\])?\s*$"
_BEGINS_OR_ENDS = re.compile(
    rf"{BEFORE}(?P<address>{ADDRESS}): (?:(?P<begins>Creating|Modifying|Destroying)\.\.\."
    rf"|(?P<ends>Creation|Modifications|Destruction) complete after {SPAN}){_CALLED}"
)
_REFRESHES = re.compile(rf"{BEFORE}(?P<address>{ADDRESS}): Refreshing state\.\.\.{_CALLED}")
_SCRIPT = re.compile(rf"{BEFORE}(?P<address>{ADDRESS}): Provisioning with '[\w-]{{1,60}}'\.\.\.\s*$")
_CONCERNS = re.compile(rf"with (?P<address>{ADDRESS}),\s*$")
_DEPOSED = re.compile(r" \(deposed object (?P<key>[0-9a-f*]+)\)$")
_LEFT = ("errored.tfstate", "Failed to save state", "Failed to persist state")


class Action(StrEnum):
    """In the words of Terraform's own JSON."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Fate(StrEnum):
    """How far a change came: one that has only `BEGUN` has no end in the log; a `FAILED` one ended with an error."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


_ACTIONS = {
    "Creating": Action.CREATE,
    "Creation": Action.CREATE,
    "Modifying": Action.UPDATE,
    "Modifications": Action.UPDATE,
    "Destroying": Action.DELETE,
    "Destruction": Action.DELETE,
}
_FATES = {"apply_start": Fate.BEGUN, "apply_complete": Fate.DONE, "apply_errored": Fate.FAILED}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object. `id` is what the log calls it, by its attribute `key`; both empty where it does not.

    `deposed` is the key of an object that has been replaced and is not yet destroyed. `at` is its last line's time.
    """

    action: Action
    address: str
    fate: Fate
    deposed: str = ""
    key: str = ""
    id: str = field(default="", repr=False)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What one Terraform command changed, in the order of its log, and what it met.

    `before` are the objects that it found in the state and refreshed: the id by address. `scripts` are the addresses
    whose provisioners ran. `left_state`: it said that it could not save its state.
    `is_cut`: something of it was not read, or not followed.
    """

    changes: tuple[Change, ...] = ()
    before: dict[str, str] = field(default_factory=dict, repr=False)
    scripts: tuple[str, ...] = ()
    left_state: bool = False
    is_cut: bool = False


def _parted(address: str) -> tuple[str, str]:
    """The address, and the key of a deposed object at it."""
    found = _DEPOSED.search(address)
    return (address, "") if found is None else (address[: found.start()], found["key"])


class ChangeReader:
    """Takes the lines of one Terraform command, in order. `close` says what they came to."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str], Change] = {}
        self._ended: list[Change] = []
        self._before: dict[str, str] = {}
        self._scripts: dict[str, None] = {}
        self._left_state = self._is_cut = False

    def gap(self) -> None:
        self._is_cut = True

    def line(self, said: str, at: datetime | None) -> None:
        """A line of Terraform's, without a CI's time and colours."""
        if len(self._ended) + len(self._under_way) >= MOST:
            self._is_cut = True
        elif said.startswith("{"):
            self._machine_line(said, at)
        elif len(said) <= _LONGEST:
            self._human_line(said, at)

    def beside(self, said: str) -> None:
        """A line that is none of a change: an error may say which object it is about, and where the state was left."""
        self._left_state |= any(words in said for words in _LEFT)
        found = _CONCERNS.match(bare(said)) if "  with " in said and len(said) <= _LONGEST else None
        if found is not None:
            self._fails(found["address"])

    def close(self) -> Changes:
        changes = (*self._ended, *self._under_way.values())
        return Changes(changes, self._before, tuple(self._scripts), self._left_state, self._is_cut)

    def _human_line(self, said: str, at: datetime | None) -> None:
        found = _BEGINS_OR_ENDS.match(said)
        if found is not None:
            address, deposed = _parted(found["address"])
            fate = Fate.BEGUN if found["begins"] else Fate.DONE
            action = _ACTIONS[found["begins"] or found["ends"]]
            self._comes(Change(action, address, fate, deposed, found["key"] or "", found["id"] or "", at))
        elif (found := _REFRESHES.match(said)) is not None:
            self._was(found["address"], found["key"], found["id"])
        elif (found := _SCRIPT.match(said)) is not None:
            self._scripts[found["address"]] = None

    def _machine_line(self, said: str, at: datetime | None) -> None:
        try:
            body = json.loads(said)
        except (ValueError, RecursionError):
            return
        hook = body.get("hook") if isinstance(body, dict) else None
        resource = hook.get("resource") if isinstance(hook, dict) else None
        address = resource.get("addr") if isinstance(resource, dict) else None
        if not isinstance(hook, dict) or not isinstance(address, str) or len(address) > _LONGEST:
            return
        key, value = (text if isinstance(text := hook.get(name), str) else "" for name in ("id_key", "id_value"))
        kind, action = body.get("type"), hook.get("action")
        if kind in {"refresh_start", "refresh_complete"}:
            self._was(address, key, value)
        elif kind == "provision_start":
            self._scripts[address] = None
        elif kind in _FATES and action in set(Action):
            self._comes(Change(Action(action), address, _FATES[kind], "", key, value, at))

    def _was(self, address: str, key: str | None, value: str | None) -> None:
        if value and key == "id":
            self._before[address] = value

    def _comes(self, change: Change) -> None:
        place = (change.address, change.deposed)
        begun = self._under_way.pop(place, None)
        if begun is not None and (change.fate is Fate.BEGUN or begun.action is not change.action):
            self._ended.append(begun)  # it never said how it ended
            begun = None
        if change.fate is Fate.BEGUN:
            self._under_way[place] = change
            return
        if begun is not None and not change.id:
            change = replace(change, key=begun.key, id=begun.id)
        self._ended.append(change)

    def _fails(self, address: str) -> None:
        address, deposed = _parted(address)
        begun = self._under_way.pop((address, deposed), None)
        if begun is not None:
            self._ended.append(replace(begun, fate=Fate.FAILED))
