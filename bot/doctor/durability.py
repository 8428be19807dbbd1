"""What Redis will keep of what it took, and what each setting that keeps more costs."""

from __future__ import annotations

from collections.abc import Iterator

from bot.doctor.check import Area, Result
from bot.store.durability import Durability
from bot.store.sentinels import Watch

_REDIS = Area("redis")
_ALLOW = "let the bot's user call CONFIG GET, or look there yourself"
_CONFIGURE = "in redis.conf, or with CONFIG SET and CONFIG REWRITE"
_ENOUGH = 3
"""Sentinels: with fewer, the loss of one leaves no majority that could start a fail-over."""


def results(found: Durability, watching: Watch | None) -> Iterator[Result]:
    yield _file(found)
    yield _memory(found)
    yield from _replicas(found)
    if watching is not None:
        yield from _sentinels(watching)
    for words in found.faults:
        yield _REDIS.warn("disk", words, "look into Redis's log and at its disk")


def _file(found: Durability) -> Result:
    subject = "durability"
    if found.appendonly is None:
        return _REDIS.unproven(subject, "it does not say whether it keeps an append-only file", _ALLOW)
    if not found.appendonly:
        detail = "no append-only file: a crash of Redis loses timeline entries and requests"
        return _REDIS.warn(subject, detail, f"appendonly yes, {_CONFIGURE}")
    if found.appendfsync is None:
        return _REDIS.unproven(subject, "append-only file; it does not say how often that is synced", _ALLOW)
    if found.appendfsync != "always":
        detail = f"appendfsync {found.appendfsync}: a crash of its machine may lose the last entries"
        fix = f"appendfsync always, {_CONFIGURE}; each write then waits for the disk, about 1 ms on an SSD"
        return _REDIS.warn(subject, detail, fix)
    return _REDIS.ok(subject, "append-only file, synced on every write")


def _memory(found: Durability) -> Result:
    if found.maxmemory_policy is None:
        return _REDIS.unproven("memory", "it does not say its maxmemory-policy", _ALLOW)
    if found.maxmemory_policy != "noeviction":
        detail = (
            f"maxmemory-policy {found.maxmemory_policy}: a full Redis throws away timelines, requests "
            "or an owner's “still running”"
        )
        fix = f"maxmemory-policy noeviction, {_CONFIGURE}; a full Redis then refuses writes, and tflock says so"
        return _REDIS.fail("memory", detail, fix)
    return _REDIS.ok("memory", "maxmemory-policy noeviction")


def _replicas(found: Durability) -> Iterator[Result]:
    """A Redis that forbids INFO is taken for one without replicas (`bot.store.replicas`)."""
    if found.replicas is None:
        detail = "it does not say whether it has replicas, so tflock waits for none: a fail-over may lose an answer"
        yield _REDIS.unproven("replicas", detail, "let the bot's user call INFO")
    elif not found.replicas:
        yield _REDIS.ok("replicas", "none: what is written is as durable as this one Redis")
    else:
        many = "1 replica" if found.replicas == 1 else f"{found.replicas} replicas"
        yield _REDIS.ok("replicas", f"{many}: what decides about a release counts once one of them has it")
        yield from _alone(found)


def _alone(found: Durability) -> Iterator[Result]:
    """What a primary does that lost its replicas. What decides about a release waits for one (WAIT) in any case."""
    if found.min_replicas is None:
        yield _REDIS.unproven("min-replicas-to-write", "it does not say its min-replicas-to-write", _ALLOW)
    elif not found.min_replicas:
        detail = "min-replicas-to-write 0: a primary that is cut off takes entries that the fail-over then loses"
        fix = f"min-replicas-to-write 1, {_CONFIGURE}; without a replica nothing is then written or unlocked"
        yield _REDIS.warn("min-replicas-to-write", detail, fix)
    elif found.min_replicas >= (found.replicas or 0) > 1:
        detail = f"min-replicas-to-write {found.min_replicas} of {found.replicas}: the loss of one stops all writes"
        yield _REDIS.warn("min-replicas-to-write", detail, f"min-replicas-to-write 1, {_CONFIGURE}")
    else:
        yield _REDIS.ok("min-replicas-to-write", f"{found.min_replicas}: a primary that is cut off takes no entries")


def _sentinels(found: Watch) -> Iterator[Result]:
    warnings = list(_about_sentinels(found))
    yield from (_REDIS.warn("sentinel", detail, fix) for detail, fix in warnings)
    if not warnings:
        yield _REDIS.ok("sentinel", f"{found.known} Sentinels, of which {found.quorum} must agree")


def _about_sentinels(found: Watch) -> Iterator[tuple[str, str]]:
    if found.away:
        yield f"{', '.join(found.away)} did not answer", "start it, or name the Sentinels that there are in REDIS_URL"
    if found.trouble:
        yield f"a fail-over is not possible now: {found.trouble}", "bring the Sentinels back: SENTINEL CKQUORUM"
    if not found.known:
        return
    if found.known < _ENOUGH:
        many = "1 Sentinel watches" if found.known == 1 else f"{found.known} Sentinels watch"
        yield f"{many} this Redis: if one is lost, there is no fail-over", "run 3, each on a machine of its own"
    elif found.quorum == 1:
        detail = "quorum 1: a single Sentinel that is cut off can call the primary down; what that took then is lost"
        yield (
            detail,
            f"quorum {found.known // 2 + 1}; a fail-over then needs so many that see each other",
        )
    elif found.quorum > found.known // 2 + 1:
        detail = f"quorum {found.quorum} of {found.known}: losing {found.known - found.quorum + 1} stops fail-overs"
        yield detail, f"quorum {found.known // 2 + 1}, the majority"
    if found.named == 1 and found.known > 1:
        yield "REDIS_URL names only one of the Sentinels: without that one, tflock finds no Redis", "name all of them"
