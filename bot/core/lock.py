"""Terraform's locks as values: lock info, lock places, what was seen of them, and what a release came to.

Source of the format: Terraform's `internal/states/statemgr/locker.go` (`LockInfo`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.errors import LockInfoInvalid

_CREATED = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[T ](?P<time>\d{2}:\d{2}:\d{2})(?:\.(?P<fraction>\d{1,9}))?\s*"
    r"(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})(?: UTC)?"
)
_LONGEST_INFO = 64 * 1024


OPERATIONS = APPLY, PLAN, REFRESH = "OperationTypeApply", "OperationTypePlan", "OperationTypeRefresh"


def operation_word(operation: str) -> str:
    """`apply` for `OperationTypeApply` (Terraform's `backendrun.OperationType`); empty where the lock names none."""
    return operation.removeprefix("OperationType").lower()


@dataclass(frozen=True, slots=True)
class LockInfo:
    """Terraform's own JSON about a lock. `created` is cut to microseconds; `who` is `user@host`, both may be empty.

    Without `is_since_known` the store does not tell since when it is held: `created` is only when it last changed.
    """

    id: str
    operation: str
    info: str
    who: str
    version: str
    created: datetime
    path: str
    is_since_known: bool = True

    @property
    def user(self) -> str:
        """The part of `who` before the last `@`; empty where Terraform could not look it up."""
        return self.who.rpartition("@")[0]

    @property
    def host(self) -> str:
        """The part of `who` after the last `@`; all of it where there is no `@`."""
        return self.who.rpartition("@")[2]


def parse_lock_info(raw: str | bytes) -> LockInfo:
    """Reads lock info as Terraform writes it.

    Raises LockInfoInvalid, with a reason fit for a person, for anything else; never another error.
    """
    if len(raw) > _LONGEST_INFO:
        raise LockInfoInvalid(f"lock info of {len(raw)} bytes is longer than any that Terraform writes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise LockInfoInvalid("lock info is not JSON") from error
    if not isinstance(document, dict):
        raise LockInfoInvalid("lock info is not a JSON object")
    lock_id = _text(document, "ID")
    if not lock_id.strip():
        raise LockInfoInvalid("lock info has no ID")
    return LockInfo(
        id=lock_id,
        operation=_text(document, "Operation"),
        info=_text(document, "Info"),
        who=_text(document, "Who"),
        version=_text(document, "Version"),
        created=parse_created(_text(document, "Created")),
        path=_text(document, "Path"),
    )


def lock_document(info: LockInfo) -> dict[str, str]:
    """Lock info as Terraform writes it, as the object that the JSON is of."""
    return {
        "ID": info.id,
        "Operation": info.operation,
        "Info": info.info,
        "Who": info.who,
        "Version": info.version,
        "Created": info.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "Path": info.path,
    }


def lock_text(info: LockInfo) -> str:
    """Lock info as Terraform writes it; `parse_lock_info` reads the same from it."""
    return json.dumps(lock_document(info), ensure_ascii=False)


def says_the_same(one: LockInfo | None, other: LockInfo) -> bool:
    """Whether two locks have one text, but perhaps for the ID: some stores show another than the text has."""
    return one is not None and replace(one, id=other.id) == other


def parse_created(text: str) -> datetime:
    """Terraform's `Created` in either spelling (JSON, or Go's printed form) with up to nine fractional digits.

    Raises LockInfoInvalid.
    """
    found = _CREATED.fullmatch(text.strip())
    if found is None:
        raise LockInfoInvalid("lock info has no readable Created time")
    zone = found["zone"]
    offset = "+00:00" if zone in {"Z", "UTC"} else zone
    fraction = (found["fraction"] or "0").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{found['day']}T{found['time']}.{fraction}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise LockInfoInvalid("lock info has no readable Created time") from error


def _text(document: dict[str, object], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise LockInfoInvalid(f"lock info has a {key} that is not text")
    return value


class PlaceKind(StrEnum):
    """Where a lock may be, whatever the store is. The values are in records and timelines: never renamed."""

    FILE = "lockfile"
    ITEM = "dynamodb item"
    LEASE = "lease"
    RECORD = "lock record"
    WORKSPACE = "workspace lock"

    @property
    def words(self) -> str:
        """What sentences call it."""
        return _PLACE_WORDS.get(self, self.value)

    @property
    def is_in_table(self) -> bool:
        """Whether such locks of many states share one table, so that the runs of one state can block the others."""
        return self is PlaceKind.ITEM


_PLACE_WORDS = {PlaceKind.ITEM: "DynamoDB item"}


class Fence(StrEnum):
    """Whether a writer whose lock was released can still write, by the store's own rules."""

    ENFORCED = "enforced"
    NONE = "none"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a backend can do. The gate and the words go by this; nothing asks for a backend's name.

    `conditional`: a release deletes exactly the lock that was read, or nothing. `shows_holder`: a look brings
    Terraform's lock info. `versions`: the store can keep older versions of a state. `swap`: a lock can be replaced by
    another one in one write. `shows_lock`: a look shows whether there is a lock; else only a try to lock it does.
    `tries_held`: a look at a lock that is held also tries to take it, which is how the store tells its ID.
    """

    conditional: bool
    fence: Fence
    shows_holder: bool
    versions: bool
    swap: bool
    shows_lock: bool = True
    tries_held: bool = False


NO_ABILITIES = Abilities(conditional=False, fence=Fence.NOT_KNOWN, shows_holder=False, versions=False, swap=False)
"""Of a backend of which nothing is known: the strictest."""


@dataclass(frozen=True, slots=True)
class LockPlace:
    """One place that holds a lock now.

    `where` is for people (`acme-tf-locks / acme-tfstate/…`). `fence` is what was read with the lock and no other lock
    has (the exact `Info` text, an ETag …): a release that carries it deletes that lock or nothing. `info` is None where
    the text could not be read, and then `garbage` says why; such a lock can never be released. `stored_at` is when the
    store wrote it, by its own clock, where it tells. `service` is the store's proper name, empty in records. `can` is
    what the backend can do with this lock, where that is not what it can do with each.
    """

    kind: PlaceKind
    where: str
    fence: str = field(repr=False)
    info: LockInfo | None
    garbage: str | None = None
    stored_at: datetime | None = None
    service: str = ""
    can: Abilities | None = None


@dataclass(frozen=True, slots=True)
class LockSeen:
    """What the backend holds for a state, all places read at the same time.

    `held` are the places that hold a lock, `free` those that were read and hold none, `unseen` those that could not
    be read. A state is known to be free only if `held` and `unseen` are both empty.
    """

    held: tuple[LockPlace, ...]
    free: tuple[PlaceKind, ...]
    unseen: tuple[tuple[PlaceKind, Unseen | NotFound], ...]
    at: datetime

    @property
    def is_free(self) -> bool:
        return not self.held and not self.unseen

    @property
    def is_locked(self) -> bool | None:
        """None if no place holds a lock and one could not be read."""
        return True if self.held else None if self.unseen else False

    @property
    def is_gone(self) -> bool:
        """Whether what would be locked, a workspace, is itself not there, or not to be seen."""
        workspace, unseen = PlaceKind.WORKSPACE, self.unseen
        absent = all(kind is workspace and isinstance(why, NotFound) for kind, why in unseen)
        return bool(unseen) and not self.held and absent

    @property
    def is_throttled(self) -> bool:
        """Whether the lock table refused to be read because it is asked too often."""
        return any(
            kind.is_in_table and isinstance(why, Unseen) and why.trouble is Trouble.THROTTLED
            for kind, why in self.unseen
        )

    @property
    def is_unshown(self) -> bool:
        """Whether the store shows the lock to nobody who only looks: asking again shows no more."""
        return not self.held and any(
            isinstance(why, Unseen) and why.trouble is Trouble.NOT_SHOWN for _, why in self.unseen
        )

    @property
    def locks(self) -> tuple[LockInfo, ...]:
        """The different locks that are here, oldest first. Two, if the places hold different ones."""
        by_id = {place.info.id: place.info for place in self.held if place.info is not None}
        return tuple(sorted(by_id.values(), key=lambda info: (info.created, info.id)))

    @property
    def lock(self) -> LockInfo | None:
        """The lock to speak of: the oldest one that can be read."""
        return self.locks[0] if self.locks else None

    @property
    def garbage(self) -> tuple[LockPlace, ...]:
        return tuple(place for place in self.held if place.info is None)

    def stored_at(self, lock_id: str) -> datetime | None:
        """When the store first wrote this lock, where it tells."""
        return min((place.stored_at for place in self.places_of(lock_id) if place.stored_at), default=None)

    def can(self, lock_id: str, usually: Abilities) -> Abilities:
        """What a backend that `usually` can so much can do with this lock."""
        return next((place.can for place in self.places_of(lock_id) if place.can is not None), usually)

    def places_of(self, lock_id: str) -> tuple[LockPlace, ...]:
        """The places that hold this lock, in the order in which Terraform releases them: file, then item."""
        order = list(PlaceKind)
        mine = [place for place in self.held if place.info is not None and place.info.id == lock_id]
        return tuple(sorted(mine, key=lambda place: order.index(place.kind)))


@dataclass(frozen=True, slots=True)
class StateSeen:
    """The state object as last read. Sizes in bytes.

    `last_written` is on the bot's clock (the store's own clock is read with it, and the difference taken out). With
    `is_upper_bound` the store does not tell: the bot has seen this very content since then. `fault` says why the state
    does not parse as a Terraform state; None if it is valid. `is_encrypted`: OpenTofu has encrypted it, so that only
    its serial and lineage are read. `md5` is what the object really has.
    """

    size: int
    last_written: datetime
    md5: str
    serial: int | None
    lineage: str | None
    terraform_version: str | None
    fault: str | None
    version_id: str | None = None
    last_good_version: str | None = None
    is_encrypted: bool = False
    is_upper_bound: bool = False


@dataclass(frozen=True, slots=True)
class StateAbsent:
    """There is no state object. `traces` says what shows that there once was one; empty if nothing does."""

    traces: tuple[str, ...] = ()
    last_good_version: str | None = None


class DigestMatch(StrEnum):
    MATCHES = "matches"
    DIFFERS = "differs"
    NO_ITEM = "no digest item"
    NO_TABLE = "no table"
    UNSEEN = "could not be read"


@dataclass(frozen=True, slots=True)
class DigestSeen:
    """The DynamoDB digest item against the state object. `key` is the item's partition key."""

    match: DigestMatch
    key: str | None = None
    item: str | None = None
    actual: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class StateCheck:
    """Everything that one look at the stored state brought."""

    state: Observation[StateSeen | StateAbsent]
    digest: DigestSeen


class Billing(StrEnum):
    """How a table's capacity is paid for, in DynamoDB's own words."""

    PROVISIONED = "PROVISIONED"
    ON_DEMAND = "PAY_PER_REQUEST"


@dataclass(frozen=True, slots=True)
class TableCapacity:
    """What a table can take. Units are a second's, and 0 on demand. `status` is DynamoDB's own word (`ACTIVE`)."""

    billing: Billing
    read_units: int
    write_units: int
    status: str


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """The attribute by whose time DynamoDB deletes items on its own; empty if it is not known."""

    enabled: bool
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many requests a table refused recently because it was asked too often."""

    reads: int
    writes: int
    within: timedelta

    @property
    def total(self) -> int:
        return self.reads + self.writes


@dataclass(frozen=True, slots=True)
class TableSeen:
    """What is known of a lock table. Each part is looked up separately, because each wants its own right."""

    name: str
    capacity: Observation[TableCapacity]
    ttl: Observation[TimeToLive]
    refused: Observation[Refusals]

    @property
    def has_refused(self) -> bool:
        """Whether it is known to have refused requests recently."""
        return isinstance(self.refused, Found) and self.refused.value.total > 0


class ReleaseResult(StrEnum):
    """What became of one attempt to delete one place."""

    RELEASED = "released"
    ALREADY_FREE = "already free"
    HOLDER_CHANGED = "holder changed"
    THROTTLED = "throttled"
    NOT_SENT = "not sent"
    NOT_KNOWN = "not known"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class PlaceRelease:
    """One place's outcome. `detail` is for people; `retry_after` in seconds where the store named it."""

    place: LockPlace
    result: ReleaseResult
    detail: str = ""
    retry_after: float | None = None


class TakeResult(StrEnum):
    """What became of one attempt to take one free place."""

    TAKEN = "taken"
    HELD = "held"
    THROTTLED = "throttled"
    NOT_SENT = "not sent"
    NOT_KNOWN = "not known"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class PlaceTaken:
    """One place's outcome. `place` is what is there now, where that was seen: ours, or the lock that was faster.

    `detail` is for people; `retry_after` in seconds where the store named it.
    """

    kind: PlaceKind
    result: TakeResult
    place: LockPlace | None = None
    detail: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class PlaceProbe:
    """What was found out about one place on a throw-away lock.

    `is_conditional` is None where it could not be found out. `is_proven` is True only if a lock was put, a delete under
    another condition left it there, and one under its own removed it; `needs_proof` says that nothing is released
    before that. `missing_rights` are the rights that a release needs and that were denied. `detail` is for people; it
    says what else went wrong. `is_tried` is False where no throw-away lock can be made, and only the rights were read.
    """

    kind: PlaceKind
    place: str
    is_conditional: bool | None
    missing_rights: tuple[str, ...]
    detail: str
    is_proven: bool = False
    needs_proof: bool = False
    is_tried: bool = True
    trouble: Trouble | None = None
    """The first that kept it from being proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a store calls the rights that tflock needs there, to go into the doctor's sentences.

    `grant` says where rights are given ("grant it in …"); `state`, `versions`, `trial` and `sweep` are those to read
    the state, to learn whether old versions are kept, to put a throw-away lock, and to read the locks of many states at
    once from `swept`. `container` is what holds the states (bucket), `honours` who is known to honour conditions.
    `table` are those to learn what the lock table takes, where there is one.
    """

    grant: str
    state: str
    versions: str
    trial: str
    sweep: str
    swept: PlaceKind
    container: str
    honours: str
    table: str = ""


def age(info: LockInfo, now: datetime) -> timedelta:
    """How long ago the lock was taken, by the holder's clock; never negative."""
    return max(timedelta(0), now - info.created)
