"""People and places as Slack describes them, as far as it matters for what someone may do here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.evidence import NotFound, Observation, Unseen


class Presence(StrEnum):
    ACTIVE = "active"
    AWAY = "away"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Member:
    """What Slack says of a user. `tz_offset` in seconds."""

    id: str
    name: str
    team_id: str | None
    is_bot: bool
    is_guest: bool
    is_stranger: bool
    is_deleted: bool
    tz: str | None
    tz_offset: int
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Whether a person can be reached. `status_until` and `snoozed_until` are None where no end is set.

    `unseen` names what could not be read (`presence`, `status`, `do-not-disturb`), and is shown as none.
    """

    presence: Presence
    status_text: str
    status_emoji: str
    status_until: datetime | None
    snoozed_until: datetime | None
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roll:
    """Who is in a channel, as far as it was read; `missing` says why the rest was not."""

    ids: tuple[str, ...]
    missing: NotFound | Unseen | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """`is_direct` for a DM; `name` is empty there. `is_private` unless Slack says that it is public."""

    id: str
    name: str
    is_direct: bool
    is_archived: bool
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person is in a channel: everything that decides whether they may release a lock there.

    `home_team` is the workspace that the bot lives in. `in_groups` is None where the policy names no group.
    `is_incident_channel` is what the configuration makes of the channel's id and name.
    """

    user_id: str
    home_team: str | None
    member: Observation[Member]
    in_channel: Observation[bool]
    in_groups: Observation[bool] | None
    channel: Observation[Channel]
    is_incident_channel: bool

    @property
    def observations(self) -> tuple[Observation[object], ...]:
        groups = () if self.in_groups is None else (self.in_groups,)
        return (self.member, self.in_channel, self.channel, *groups)


BOT = "tflock"
"""Whose act it is if nobody asked for it."""


@dataclass(frozen=True, slots=True)
class Automatic:
    """In place of a person who asks: the configuration. `is_configured`: it asks for this state, now.

    `stopped_by` is a Slack user id: someone does not want this lock released automatically.
    """

    is_configured: bool
    stopped_by: str = ""

    @property
    def observations(self) -> tuple[Observation[object], ...]:
        """Nobody had to be asked."""
        return ()


class OwnerSays(StrEnum):
    DEAD = "dead"
    RUNNING = "running"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class OwnerAnswer:
    """What the owner of a lock answered about exactly this lock in this incident."""

    lock_id: str
    owner_id: str
    says: OwnerSays
    at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A second person's consent to release exactly this lock.

    `in_group` is whether they are in one of the groups that may approve; None where the policy names none. `covers` are
    the rules that wanted approval when they gave it: what came up later they have not approved.
    """

    lock_id: str
    standing: Standing
    at: datetime
    in_group: Observation[bool] | None = None
    covers: frozenset[str] = frozenset()
