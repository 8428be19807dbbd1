"""What a team has decided: how long to wait, who people are, and which `Who` is a CI's.

Values only. The configuration fills them in (`bot.config.load`); the defaults are those of the documented example file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache

from bot.core.hours import Hours
from bot.core.run import Conclusion
from bot.core.systems import SYSTEMS, known_as
from bot.core.who import is_ci, run_named_in

DEFAULT_SETTLE: Mapping[Conclusion, timedelta] = {
    Conclusion.FAILED: timedelta(seconds=60),
    Conclusion.CANCELLED: timedelta(seconds=330),
    Conclusion.TIMED_OUT: timedelta(seconds=330),
    Conclusion.LOST: timedelta(seconds=660),
}
"""GitHub ends a cancelled job by force after 5 minutes; a runner's lease lasts 10. Some time is added to each."""

_CANCELS = (Conclusion.CANCELLED, Conclusion.TIMED_OUT)

_LONGEST_WHO = 512


@dataclass(frozen=True, slots=True)
class LoopRule:
    """This many starts of one pipeline within this time are a loop."""

    starts: int = 5
    within: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class WatchRule:
    """How the bot watches states: at all locks `every` so long, at a held one's runs every `look_every`.

    A run that takes more than `overdue_factor` times its usual time is reported. Each of the people who wait for a lock
    is notified `head_start` before the next one, and waits for `wait_for` at most.
    """

    every: timedelta = timedelta(seconds=60)
    look_every: timedelta = timedelta(minutes=5)
    overdue_factor: float = 2
    head_start: timedelta = timedelta(minutes=5)
    wait_for: timedelta = timedelta(hours=12)


class Approvers(StrEnum):
    """Who may approve an unlock that wants a second person. `NOBODY`: then it is refused."""

    NOBODY = "nobody"
    MEMBER = "member"
    GROUP = "group"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Who may approve. `groups` are Slack user group ids, for `Approvers.GROUP`.

    With `not_by_run_actor` the person who started the run that may hold the lock cannot be the second person.
    """

    by: Approvers = Approvers.MEMBER
    groups: tuple[str, ...] = ()
    not_by_run_actor: bool = False


class ByTime(StrEnum):
    """What an unlock needs where nothing but the time ties a run to the lock. `REFUSE`: then it is refused."""

    APPROVAL = "approval"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class AutoRelease:
    """How a state's lock is released without being asked for: once every look has allowed it for `after`, the release
    is announced, and `veto` later it is done, unless someone has stopped it.
    """

    after: timedelta
    veto: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """The times and limits that the gate and its surroundings go by. `unlock_groups` are Slack user group ids.

    `approval` is for states that have none of their own.
    """

    settle: Mapping[Conclusion, timedelta] = field(default_factory=lambda: dict(DEFAULT_SETTLE))
    state_quiet: timedelta = timedelta(seconds=120)
    clock_skew: timedelta = timedelta(seconds=120)
    evidence_max_age: timedelta = timedelta(seconds=30)
    unlock_groups: tuple[str, ...] = ()
    by_time: ByTime = ByTime.APPROVAL
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    approval_timeout: timedelta = timedelta(minutes=15)
    release_deadline: timedelta = timedelta(minutes=3)
    lock_age_alert: timedelta = timedelta(minutes=60)
    loop: LoopRule = field(default_factory=LoopRule)

    def settle_time(self, conclusion: Conclusion | None, system: str = "") -> timedelta:
        """How long after its end a job with this conclusion may still be writing; the longest, where it is not known.

        `system` is the CI system's proper name: where that one takes longer than usual, its own time counts, unless
        the team has configured less than usual. Success and skipped settle as a failure does.
        """
        if conclusion in {Conclusion.SUCCESS, Conclusion.SKIPPED}:
            conclusion = Conclusion.FAILED
        times = {**DEFAULT_SETTLE, **self.settle}
        slower = known_as(system).after_cancel
        times |= {end: max(times[end], slower) for end in _CANCELS if times[end] >= DEFAULT_SETTLE[end]}
        longest = max(times.values())
        return longest if conclusion is None else times.get(conclusion, longest)


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person whom the configuration names. `who` are patterns on Terraform's `Who`; `slack` is a user id.

    `github`, `gitlab`, `azure`, `jenkins` and `hcp` are logins there, the `login` of a CI system.
    """

    name: str
    slack: str | None = None
    email: str | None = None
    github: str | None = None
    who: tuple[str, ...] = ()
    gitlab: str | None = None
    azure: str | None = None
    jenkins: str | None = None
    hcp: str | None = None
    hours: Hours | None = None

    @property
    def names(self) -> set[str]:
        address = (self.email or "").partition("@")[0]
        names = (self.name, *(getattr(self, system.login) for system in SYSTEMS), address)
        return {name.casefold() for name in names if name}

    def login_in(self, system: str) -> str:
        """Their login in a CI system, by its proper name; the GitHub one where they have none of its own."""
        return getattr(self, known_as(system).login) or self.github or ""


@dataclass(frozen=True, slots=True)
class Holders:
    """How to read a lock's `Who`. All patterns are on the whole of it, and upper and lower case are the same.

    `ci_hosts` are the team's own shell patterns (`*`, `?`, `[…]`), in addition to the forms that only a CI machine has
    (`bot.core.who`). `run_id_hosts` know `*`, `?`, `{run}` and `{attempt}`.
    """

    ci_hosts: tuple[str, ...] = ()
    run_id_hosts: tuple[str, ...] = ()
    people: tuple[KnownPerson, ...] = ()

    def looks_like_ci(self, who: str) -> bool:
        """Whether a CI job, not a person at their own machine, wrote this `Who`, by its form or by the team's word."""
        return is_ci(who) or _matches_any(who, self.ci_hosts)

    def run_id_in(self, who: str) -> tuple[str, int | None] | None:
        """The run id and the attempt that the host name carries; the attempt is None where the pattern has none."""
        if len(who) > _LONGEST_WHO:
            return None
        if named := run_named_in(who):
            return named, None
        for template in self.run_id_hosts:
            if found := run_id_pattern(template).fullmatch(who):
                attempt = found.groupdict().get("attempt")
                return found["run"], None if attempt is None else int(attempt)
        return None

    def person_for_who(self, who: str) -> KnownPerson | None:
        """The one person whose patterns match; None if none does, and if two do, since then it is not known."""
        matching = self.people_for_who(who)
        return matching[0] if len(matching) == 1 else None

    def people_for_who(self, who: str) -> tuple[KnownPerson, ...]:
        return tuple(person for person in self.people if _matches_any(who, person.who))

    def person_for(self, *, login: str = "", email: str = "", system: str = "") -> KnownPerson | None:
        """The one person with this login in a CI system, else with this e-mail address; neither has case.

        A login that is written as an address counts as one. None if two have it: then it is not known who is meant.
        """
        wanted = login.casefold()
        by_login = [person for person in self.people if person.login_in(system).casefold() == wanted != ""]
        if by_login:
            return by_login[0] if len(by_login) == 1 else None
        addresses = {address.casefold() for address in (email, login) if "@" in address}
        by_email = [person for person in self.people if (person.email or "").casefold() in addresses]
        return by_email[0] if len(by_email) == 1 else None

    def person_in_slack(self, user_id: str) -> KnownPerson | None:
        return next((person for person in self.people if person.slack == user_id), None)

    def people_called(self, user: str) -> tuple[KnownPerson, ...]:
        """The person with this name: here, as a login, or before the @ of the address."""
        wanted = user.strip().casefold()
        return tuple(person for person in self.people if wanted and wanted in person.names)


@cache
def run_id_pattern(template: str) -> re.Pattern[str]:
    """`*@gha-{run}-{attempt}` as an expression with groups `run` and `attempt`, for use with `fullmatch`.

    Raises ValueError, with a reason fit for a person, if the template has no `{run}` or a placeholder twice.
    """
    if template.count("{run}") != 1 or template.count("{attempt}") > 1:
        raise ValueError("it needs {run} once, and {attempt} at most once")
    pieces = {"*": ".*", "?": ".", "{run}": "(?P<run>[A-Za-z0-9_]+)", "{attempt}": r"(?P<attempt>[0-9]{1,6})"}
    parts = re.split(r"(\*|\?|\{run\}|\{attempt\})", template)
    return re.compile("".join(pieces.get(part, re.escape(part)) for part in parts), re.IGNORECASE | re.DOTALL)


def _matches_any(text: str, patterns: tuple[str, ...]) -> bool:
    lowered = text.lower()
    return len(text) <= _LONGEST_WHO and any(fnmatchcase(lowered, pattern.lower()) for pattern in patterns)
