"""What Redis means when it answers and does not do what was asked: in words that the person on call can act on.

Sources: redis.io/docs/latest/operate/oss_and_stack/management/security/acl, and the error replies of redis/redis,
`src/server.c` (`processCommand`) and `src/script.c`.
"""

from __future__ import annotations

import re

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)

from bot.errors import JournalAway, JournalRefused

RIGHTS = "give tflock's user the rights in docs/security.md (Redis); tflock doctor names each that is missing"

_IN_PIPELINE = re.compile(r"^Command # \d+ \(.*\) of pipeline caused error: \(['\"](.*)['\"],?\)$", re.DOTALL)
"""redis-py puts the command, with its arguments, before what Redis said."""
_WRAPPED = re.compile(r"(?:: -|because of: )([A-Z]+) (.*)", re.DOTALL)
"""Redis 6.2 of a script, and Redis 7 of a transaction: the answer within the answer."""
NOPERM = "Redis refuses a right to tflock's user (NOPERM)"
_DISK = "Redis can't write to its disk"
_FREE_DISK = "free or repair the disk of Redis; it takes writes again on its own"

_BY_TYPE: tuple[tuple[type[Exception], str, str], ...] = (
    (NoPermissionError, NOPERM, RIGHTS),
    (AuthenticationError, "Redis refuses the login", "correct user and password in REDIS_URL"),
    (OutOfMemoryError, "Redis's memory is full", "give Redis more maxmemory; keep maxmemory-policy noeviction"),
    (ReadOnlyError, "this Redis is a replica and takes no writes", "name the primary in REDIS_URL, or its Sentinels"),
    (MasterDownError, "this Redis is a replica and has lost its primary", "look at the primary of Redis"),
    (ClusterDownError, "the Redis cluster is down or has lost slots", "look at CLUSTER INFO and CLUSTER SLOTS there"),
    (SlotNotCoveredError, "the Redis cluster has lost slots", "look at CLUSTER INFO and CLUSTER SLOTS there"),
    (BusyLoadingError, "Redis is still loading its data", "wait until it has read its files"),
)  # fmt: skip
_BY_WORDS = (
    (re.compile(r"ACL failure in script|The user executing the script can't"), NOPERM, RIGHTS),
    (
        re.compile("max number of clients"),  # redis-py calls this answer a lost connection
        "Redis takes no more connections",
        "raise maxclients of Redis, or end connections that nobody needs",
    ),
    (
        re.compile("slots are not covered"),  # redis-py, of a cluster whose nodes it could ask
        "the Redis cluster has lost slots",
        "look at CLUSTER INFO and CLUSTER SLOTS there",
    ),
)
_BY_CODE = {
    "MISCONF": (_DISK, _FREE_DISK),
    "NOREPLICAS": (
        "Redis takes no writes because too few replicas follow it (min-replicas-to-write)",
        "bring the replicas back",
    ),
}  # fmt: skip
"""Those to which redis-py gives no type. They are the first word of the answer."""
_TYPED: dict[str, type[ResponseError]] = {"OOM": OutOfMemoryError, "READONLY": ReadOnlyError}
"""Those to which it gives one only where they are the first word."""


def away(error: BaseException) -> JournalAway:
    """Our error for one of redis-py's or of the network."""
    found = refused(error)
    return found or JournalAway(f"Redis: {_said(error) or type(error).__name__}")


def refused(error: BaseException) -> JournalRefused | None:
    """None for an error that is no answer of Redis, or one that says nothing of the kind."""
    text = _said(error)
    if not isinstance(error, RedisError | RedisClusterException):
        return None
    for kind, words, fix in _BY_TYPE:
        if isinstance(error, kind):
            return JournalRefused(words, fix, _own(text))
    for pattern, words, fix in _BY_WORDS:
        if pattern.search(text):
            return JournalRefused(words, fix, _own(text))
    if wrapped := _WRAPPED.search(text):
        code, rest = wrapped.groups()
        return refused(_TYPED[code](rest) if code in _TYPED else ResponseError(f"{code} {rest}"))
    words, fix = _BY_CODE.get(text.partition(" ")[0], ("", ""))
    return JournalRefused(words, fix, _own(text.partition(" ")[2])) if words else None


def _said(error: BaseException) -> str:
    """What Redis said, without the command for which it said so."""
    return _IN_PIPELINE.sub(r"\1", str(error))


def _own(text: str) -> str:
    """Redis's own words, without the script that they may quote."""
    return text.partition(" script: ")[0].strip().rstrip(".")
