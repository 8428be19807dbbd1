"""What a job says of itself: that it runs Terraform on a state, on which host, in which run, and how that ended.

A claim is the strongest evidence there is of who holds a lock, and a reported exit the strongest that it is over. A
claim that goes silent proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.instants import shifted
from bot.core.lock import LockInfo


@dataclass(frozen=True, slots=True)
class Claim:
    """One job's word. `host` is the name that Terraform sees; times are on the bot's clock.

    `lock_id` is the lock that the job says it holds, as its newest heartbeat reported it. `exit_code` and `ended_at`
    are set together, when the job has reported the end of its Terraform; negative codes are signals.
    `actor` is who started the run, a login or an address, if the job said so.
    """

    id: str
    state: str
    host: str
    run_url: str
    attempt: int
    made_at: datetime
    heartbeat_at: datetime | None = None
    lock_id: str | None = None
    exit_code: int | None = None
    ended_at: datetime | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Exited:
    """The end of the very process that held a lock, as that process's own parent reported it."""

    code: int
    at: datetime


def may_have_taken(claim: Claim, lock: LockInfo, skew: timedelta) -> bool:
    """Whether the lock may be the claimant's: it named the lock, or was at work on the lock's host at that time."""
    if _names(claim, lock):
        return True
    if not _is_on_host(claim, lock):
        return False
    ended_before = claim.ended_at is not None and claim.ended_at < shifted(lock.created, -skew)
    return claim.made_at <= shifted(lock.created, skew) and not ended_before


def is_certain(claim: Claim, lock: LockInfo) -> bool:
    """Whether the claim fits the lock without any allowance for clocks that differ."""
    if _names(claim, lock):
        return True
    ended_before = claim.ended_at is not None and claim.ended_at < lock.created
    return _is_on_host(claim, lock) and claim.made_at <= lock.created and not ended_before


def exit_for(claim: Claim, lock: LockInfo) -> Exited | None:
    """The reported end, if it is surely that of the process that took the lock.

    A process that ended a moment before the lock was taken may have been followed by another one on that host.
    """
    if claim.exit_code is None or claim.ended_at is None or not is_certain(claim, lock):
        return None
    return Exited(claim.exit_code, claim.ended_at)


def _names(claim: Claim, lock: LockInfo) -> bool:
    return bool(lock.id) and claim.lock_id == lock.id


def _is_on_host(claim: Claim, lock: LockInfo) -> bool:
    return bool(lock.host) and claim.host.casefold() == lock.host.casefold()
