"""What a job says of itself: that it runs Terraform on a state, on which host, in which run, and how that ended.

Terraform writes its host into the lock, and hosts repeat: a claim says where a job was, not that it got the lock. Only
a **sealed** claim proves that: its wrapper gave the command a host name that no other process has ever had. A claim
that goes silent proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.instants import shifted
from bot.core.lock import LockInfo

_SEAL = "tflock-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimBody:
    """What a claim says, without its id. `host` is its machine's name; times are on the bot's clock.

    `lock_id` is the lock that the job says it holds, as its newest heartbeat reported it. `private_host`: the job said
    that no process of another job has its host's name. `exit_code` and `ended_at` are set together, when the job has
    reported the end of its command; negative codes are signals. `processes_left` came with them: how many processes
    that the command had started were alive then, and None where the job could not tell. `actor` is who started the run,
    a login or an address, if the job said so.
    """

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
    private_host: bool = False
    processes_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(ClaimBody):
    """One job's word."""

    id: str

    @property
    def seal(self) -> str:
        """The host name that the wrapper gives to the command, where it can, and to nothing else."""
        return f"{_SEAL}{self.id}"


@dataclass(frozen=True, slots=True)
class Exited:
    """The end of the very process that held a lock, as that process's own parent reported it."""

    code: int
    at: datetime


def sealed_id(host: str) -> str | None:
    """The id of the claim whose seal this host name is, if it is one."""
    return host.removeprefix(_SEAL) or None if host.startswith(_SEAL) else None


def is_sealed(claim: Claim, lock: LockInfo) -> bool:
    """Whether nobody but the claim's own command can have written the lock, whatever any clock says."""
    return bool(claim.id) and lock.host == claim.seal


def is_private(claim: Claim, lock: LockInfo, skew: timedelta) -> bool:
    """Whether the lock is of a host whose name only the claimant's job has. Other steps of the job have it as well."""
    return claim.private_host and may_have_taken(claim, lock, skew)


def may_have_taken(claim: Claim, lock: LockInfo, skew: timedelta) -> bool:
    """Whether the lock may be the claimant's: it is sealed as the claim's, or the job was on its host at that time.

    A lock that a job merely names is not its own: it may have read the ID in an error.
    """
    if is_sealed(claim, lock):
        return True
    if not _is_on_host(claim, lock):
        return False
    ended_before = claim.ended_at is not None and claim.ended_at < shifted(lock.created, -skew)
    return claim.made_at <= shifted(lock.created, skew) and not ended_before


def is_certain(claim: Claim, lock: LockInfo) -> bool:
    """Whether the claim fits the lock without any allowance for clocks that differ."""
    return may_have_taken(claim, lock, timedelta(0))


def names(claim: Claim, lock: LockInfo, skew: timedelta) -> bool:
    """Whether the job said that it holds this lock, and was where the lock was taken."""
    return bool(lock.id) and claim.lock_id == lock.id and may_have_taken(claim, lock, skew)


def exit_for(claim: Claim, lock: LockInfo) -> Exited | None:
    """The reported end, if it is that of the process that took the lock, and of all that it had started.

    Only a seal tells which process took it: without one, a later process on that host may have.
    """
    if not is_sealed(claim, lock) or claim.processes_left != 0 or claim.exit_code is None or claim.ended_at is None:
        return None
    return Exited(claim.exit_code, claim.ended_at)


def _is_on_host(claim: Claim, lock: LockInfo) -> bool:
    return bool(lock.host) and claim.host.casefold() == lock.host.casefold()
