"""What a pasted Terraform error is, what to do about it, and what not to do. Pure; never raises.

Sources of the texts: Terraform's `internal/backend/remote-state/s3` and `internal/command/clistate`, aws-sdk-go-v2's
error codes, and the retry errors of the AWS, Google and Azure providers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from bot.core.aws_codes import Meaning, codes_for
from bot.core.explain.pasted import Pasted, PastedLock, pasted
from bot.core.phrase import Phrase, Quoted, quoted
from bot.core.reports.report import Notice


class ErrorKind(StrEnum):
    """What a pasted error can be."""

    HELD = "held lock"
    THROTTLED = "throttled lock table"
    DEADLINE = "deadline exceeded"
    DIGEST = "digest mismatch"
    ALREADY_UNLOCKED = "already unlocked"
    WRONG_LOCK_ID = "wrong lock id"
    OWN_ORPHAN = "own orphan"
    RATE_LIMIT = "provider rate limit"
    EXPIRED_TOKEN = "expired token"  # noqa: S105 - the name of a fault
    CONFLICT = "drift or dependency conflict"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`what` it is, what to `do`, what to `avoid`. `state` is the configured state whose lock the message shows."""

    kind: ErrorKind
    title: str
    what: Phrase
    do: tuple[Phrase, ...]
    avoid: tuple[Phrase, ...]
    lock: PastedLock | None = None
    state: str | None = None


_THROTTLE_CODES = tuple(
    # these two are words of everyday English, too, and a provider's service says that it got too many requests
    rf"\b{code}Exception\b" if code in {"Throttled", "Throttling"} else rf"\b{code}(?:Exception)?\b"
    for code in codes_for(Meaning.THROTTLED)
    if code != "TooManyRequests"
)
_NETWORK = (r"context deadline exceeded", r"i/o timeout", r"TLS handshake timeout", r"Client\.Timeout exceeded")
_BROKEN = (
    r"connection reset by peer",
    r"broken pipe",
    r"unexpected EOF",
    r"\bEOF\b",
    r"RequestTimeout",
    r"request send failed",
    *_NETWORK,
)
_LOCKING = (r"state lock", r"DynamoDB", r"Lock Info:", r"\.tflock\b", r"lock table")
_TAKEN = (
    r"ConditionalCheckFailed",
    r"conditional request failed",
    r"PreconditionFailed",
    r"pre-conditions you specified did not hold",
    r"state (?:blob )?is already locked",
    r"workspace already locked",
)
_AT_ONCE = timedelta(seconds=60)


def explain(text: str, states: Mapping[str, str]) -> Explanation:
    """Reads the text. `states` are the names of the configured states by the `Path` that their locks carry."""
    found = pasted(text)
    state = states.get(found.lock.path) if found.lock else None
    kind = classify(found)
    title, what, do, avoid = _WORDS[kind](found, state)
    return Explanation(kind, title, what, do, avoid, found.lock, state)


def classify(found: Pasted) -> ErrorKind:
    """The most telling sign wins: a message about a lock often carries several."""
    if found.has(r"does not have the expected content", r"checksum calculated for the state", r"digest value stored"):
        return ErrorKind.DIGEST
    if found.has(r"lock ID .{0,80}does not match (?:the )?existing lock"):
        return ErrorKind.WRONG_LOCK_ID
    if found.has(
        r"failed to retrieve lock info",
        r"\b(?:state is not|already un|not currently )locked\b",
        r"LockID .{0,200} not found",
    ):
        return ErrorKind.ALREADY_UNLOCKED
    if _is_taken(found):
        return ErrorKind.OWN_ORPHAN if _may_be_own(found) else ErrorKind.HELD
    return _of_service(found)


def _of_service(found: Pasted) -> ErrorKind:
    """What another service did, the lock table or the one that a provider speaks to."""
    locking = found.has(*_LOCKING)
    gave_up = found.has(r"exceeded maximum number of attempts") and not found.has(*_NETWORK, r"\bdial tcp\b")
    if locking and (found.has(*_THROTTLE_CODES) or gave_up):
        return ErrorKind.THROTTLED
    if found.has(r"ProvisionedThroughputExceeded"):
        return ErrorKind.THROTTLED
    signs = {
        ErrorKind.EXPIRED_TOKEN: _EXPIRED,
        ErrorKind.RATE_LIMIT: _LIMITED,
        ErrorKind.DEADLINE: _NETWORK,
        ErrorKind.CONFLICT: _CONFLICTS,
    }
    otherwise = ErrorKind.UNKNOWN if found.lock is None else ErrorKind.HELD
    return next((kind for kind, expressions in signs.items() if found.has(*expressions)), otherwise)


_EXPIRED = (
    r"ExpiredToken",
    r"RequestExpired",
    r"token (?:included in the request )?(?:is|has|was) (?:been )?expired",
    r"\btoken expired\b",
    r"credentials? (?:have|has|are|is) (?:been )?expired",
    r"(?:StatusCode|status code|status|HTTP(?:/[\d.]+)?|Error)[: =]*401\b",
    r"\b401 Unauthori[sz]ed\b",
    r"invalid_grant",
)
_LIMITED = (
    r"(?:StatusCode|status code|status|HTTP(?:/[\d.]+)?|Error)[: =]*429\b",
    r"\b429 Too Many",
    r"Too ?Many ?Requests",
    r"\brate ?limit",
    r"\bRate exceeded\b",
    r"rateLimitExceeded",
    *_THROTTLE_CODES,
)
_CONFLICTS = (
    r"DependencyViolation",
    r"DeleteConflict",
    r"ResourceInUse",
    r"ConflictException",
    r"has a dependent object",
    r"(?:StatusCode|status code|status|HTTP(?:/[\d.]+)?|Error)[: =]*409\b",
    r"\b409 Conflict\b",
    r"AlreadyExists|already exists|AlreadyOwnedByYou",
    r"is (?:still|currently) in use",
    r"objects have changed outside of Terraform",
    r"changed outside of Terraform",
    r"Provider produced inconsistent",
    r"Saved plan is stale",
    r"NoSuchEntity|ResourceNotFoundException",
)


def _is_taken(found: Pasted) -> bool:
    acquiring = found.has(r"acquiring the state lock") and found.lock is not None
    throttled = found.has(*_THROTTLE_CODES) and not found.has(*_TAKEN)
    return (found.has(*_TAKEN) and found.has(*_LOCKING)) or (acquiring and not throttled)


def _may_be_own(found: Pasted) -> bool:
    """Whether the lock may be the failed run's own, from a request whose answer was lost and that was sent again."""
    if found.has(*_BROKEN):
        return True
    if found.lock is None or found.lock.created is None or found.logged_at is None:
        return False
    return timedelta(0) <= found.logged_at - found.lock.created <= _AT_ONCE


def _ask(word: str, state: str | None) -> Quoted:
    return Quoted(f"/tflock {word} {state or 'STATE'}")


def _belongs(found: Pasted, state: str | None) -> Phrase:
    if state is not None:
        return (" The lock is that of the state ", Quoted(state), ".")
    if found.lock is not None and found.lock.path:
        return (" No state of the configuration has the path ", Quoted(found.lock.path), ".")
    return ()


def _by(lock: PastedLock | None) -> Phrase:
    if lock is None:
        return ()
    since: Phrase = (" since ", lock.created) if lock.created else ()
    what: Phrase = (", for ", Quoted(lock.operation)) if lock.operation else ()
    return (": ", quoted(lock.who, "somebody whom the lock does not name"), *what, *since, ", lock ", Quoted(lock.id))


_Words = tuple[str, Phrase, tuple[Phrase, ...], tuple[Phrase, ...]]
_NO_FORCE: Phrase = (
    "run ",
    Quoted("terraform force-unlock"),
    ": it does not look whether the holder still writes.",
)


def _held(found: Pasted, state: str | None) -> _Words:
    what: Phrase = (
        "Another Terraform holds the lock of this state",
        *_by(found.lock),
        ".",
        *_belongs(found, state),
    )
    do: tuple[Phrase, ...] = (
        (_ask("status", state), " shows which run that is and whether it is dead."),
        ("If it is at work: wait, or start with ", Quoted("-lock-timeout=10m"), ", which tries again by itself."),
        ("If it is dead: ", _ask("unlock", state), " in the incident channel."),
    )
    return "The lock is held by another run", what, do, (_NO_FORCE, _NO_LOCK_FALSE)


_NO_LOCK_FALSE: Phrase = ("use ", Quoted("-lock=false"), ": two writers corrupt the state.")


def _own_orphan(found: Pasted, state: str | None) -> _Words:
    what: Phrase = (
        (
            "The lock was taken just when this run failed and may be its own: the store took it, its answer "
            "was lost, and the second try met the first one's lock"
        ),
        *_by(found.lock),
        ".",
        *_belongs(found, state),
    )
    do: tuple[Phrase, ...] = (
        ("Compare the lock's Who and Created with the machine and the time of the run that failed.",),
        (_ask("status", state), " shows which run it is tied to; if that is the failed one, ", _ask("unlock", state)),
        ("Then start the run again.",),
    )
    return "This may be the failed run's own lock", what, do, (_NO_FORCE, _NOT_JUST_AGAIN)


_NOT_JUST_AGAIN: Phrase = ("just start it again: nobody is left who would release that lock.",)


def _throttled(found: Pasted, state: str | None) -> _Words:
    what: Phrase = (
        "The lock table had no capacity left and turned the request away. That says nothing of a lock: it may be free.",
        *_belongs(found, state),
    )
    do: tuple[Phrase, ...] = (
        (_ask("status", state), " shows who hammers the table; ", _ask("kill-job", state), " ends a loop."),
        ("Wait until it is over, then start again. Give the table on-demand capacity if that happens again.",),
        ("If it came at the end of an apply, check the digest: a throttled write of it is only logged.",),
    )
    avoid: tuple[Phrase, ...] = (("start it again at once, or in a loop: each try makes it worse.",), _NO_FORCE)
    return "The lock table is throttled", what, do, avoid


def _deadline(found: Pasted, state: str | None) -> _Words:
    what: Phrase = (
        (
            "No answer came in time. Whether the request was carried out is not known: a lock may have been taken, or "
            "released, or neither."
        ),
        *_belongs(found, state),
    )
    do: tuple[Phrase, ...] = (
        (_ask("status", state), " reads what stands there now, and whether the table is throttled."),
        ("Then start again; an unlock is tried again by ", _ask("unlock", state), " until it is settled."),
    )
    return "The deadline was exceeded", what, do, (("take it for done, or for not done.",),)


def _digest(found: Pasted, state: str | None) -> _Words:
    what: Phrase = (
        (
            "The state in S3 is not the one whose MD5 the lock table has, mostly since a write of the digest was "
            "throttled, or the state was replaced by hand. It is no lock problem."
        ),
    )
    do: tuple[Phrase, ...] = (
        (_ask("status", state), " shows the digest that belongs there, and whether the state is whole."),
        ("Make sure that no run is writing, then set ", Quoted("Digest"), " of the item ", Quoted("<path>-md5"), "."),
    )
    avoid: tuple[Phrase, ...] = (
        ("unlock: that does not cure it.",),
        ("delete the item before you know that the state is the right one.",),
    )
    return "The digest does not match the state", what, do, avoid


def _already_unlocked(found: Pasted, state: str | None) -> _Words:
    what: Phrase = ("There is no such lock any more: somebody else, or the run itself, has released it.",)
    do: tuple[Phrase, ...] = (
        ("Nothing needs to be unlocked. ", _ask("status", state), " shows whether another lock stands there now."),
        ("Start the run again.",),
    )
    return "It is unlocked already", what, do, (("unlock whatever lock comes next: it is somebody's.",),)


def _wrong_lock_id(found: Pasted, state: str | None) -> _Words:
    what: Phrase = ("The lock that stands there is not the one that was to be released: it has changed hands.",)
    do: tuple[Phrase, ...] = ((_ask("status", state), " shows the lock that stands there now, and its holder."),)
    avoid: tuple[Phrase, ...] = (
        ("try again with the other ID: its holder has probably just begun.",),
        _NO_FORCE,
    )
    return "The lock ID is another lock's", what, do, avoid


def _rate_limit(found: Pasted, state: str | None) -> _Words:
    what: Phrase = ("The service that the provider speaks to limits the rate of requests. The lock has no part in it.",)
    do: tuple[Phrase, ...] = (
        ("Wait some minutes, plan, and apply again: what was done before is in the state.",),
        ("Lower ", Quoted("-parallelism"), ", and see whether several pipelines use the same account at a time."),
    )
    return "The provider is rate-limited (429)", what, do, (("start it again in a loop.",), _NO_UNLOCK)


_NO_UNLOCK: Phrase = ("unlock anything because of it.",)


def _expired_token(found: Pasted, state: str | None) -> _Words:
    what: Phrase = (
        (
            "The credentials ran out, or are not valid. In the middle of an apply that means: some changes were made, "
            "and the state and the lock may not have been written back."
        ),
    )
    do: tuple[Phrase, ...] = (
        ("Look in the job's log and on its machine for ", Quoted("errored.tfstate"), "; push it if it is there."),
        (_ask("status", state), " shows whether the run left its lock; ", _ask("unlock", state), " once it is dead."),
        ("Plan before you apply again, with credentials that last longer than the apply.",),
    )
    avoid: tuple[Phrase, ...] = (("apply without a plan: the state may lag behind what was made.",),)
    return "A token expired (401)", what, do, avoid


def _conflict(found: Pasted, state: str | None) -> _Words:
    what: Phrase = (
        (
            "The provider met something that is not as the state has it: changed or made by hand, still in use, or "
            "wanted by something else. The lock has no part in it."
        ),
    )
    do: tuple[Phrase, ...] = (
        ("Plan again with a refresh and read what differs.",),
        ("Import what exists already, or let go of what is still used, then apply a new plan.",),
    )
    avoid: tuple[Phrase, ...] = (_NO_UNLOCK, ("apply the old plan again: it was made for another world.",))
    return "Drift, or a conflict of dependencies", what, do, avoid


def _unknown(found: Pasted, state: str | None) -> _Words:
    what: Phrase = ("tflock does not know this error.", *_belongs(found, state))
    do: tuple[Phrase, ...] = (
        ("Paste the whole message, from ", Quoted("Error:"), " to the end of its frame."),
        (_ask("status", state), " shows whether a lock has anything to do with it."),
    )
    return "That is not an error that tflock knows", what, do, (_NO_UNLOCK,)


_WORDS = {
    ErrorKind.HELD: _held,
    ErrorKind.OWN_ORPHAN: _own_orphan,
    ErrorKind.THROTTLED: _throttled,
    ErrorKind.DEADLINE: _deadline,
    ErrorKind.DIGEST: _digest,
    ErrorKind.ALREADY_UNLOCKED: _already_unlocked,
    ErrorKind.WRONG_LOCK_ID: _wrong_lock_id,
    ErrorKind.RATE_LIMIT: _rate_limit,
    ErrorKind.EXPIRED_TOKEN: _expired_token,
    ErrorKind.CONFLICT: _conflict,
    ErrorKind.UNKNOWN: _unknown,
}


def notice_of(told: Explanation) -> Notice:
    """The explanation as a short answer, for Slack and the terminal alike."""
    lines = [
        told.what,
        *(("What to do: " if number == 0 else "Also: ", *step) for number, step in enumerate(told.do)),
        *(("What not to do: ", *step) for step in told.avoid),
    ]
    return Notice(told.title, tuple(lines))
