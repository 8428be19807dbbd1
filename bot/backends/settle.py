"""What a release or a hold without a success came to, by what is there now: the one rule, whatever the store."""

from __future__ import annotations

from bot.core.hold import is_of
from bot.core.lock import (
    LockInfo,
    LockPlace,
    PlaceKind,
    PlaceRelease,
    PlaceTaken,
    ReleaseResult,
    TakeResult,
    says_the_same,
)


def settled(place: LockPlace, said: str, now: LockPlace | str | None, *, is_open: bool) -> PlaceRelease:
    """`said` is what became of the request, for people. `is_open`: the store may have done it, or may do it yet.

    `now` is what a look afterwards found, or why it found nothing out.
    """
    if isinstance(now, str):
        return PlaceRelease(place, ReleaseResult.NOT_KNOWN, f"{said}; then {now}")
    if now is None and is_open:
        return PlaceRelease(place, ReleaseResult.RELEASED, "the answer was lost; the lock is gone")
    if now is None:
        return PlaceRelease(place, ReleaseResult.ALREADY_FREE)
    if now.fence != place.fence:
        return PlaceRelease(place, ReleaseResult.HOLDER_CHANGED, _holder(now))
    # what was sent and not answered may still be carried out: that the lock is there now settles nothing
    result = ReleaseResult.NOT_KNOWN if is_open else ReleaseResult.THROTTLED
    return PlaceRelease(place, result, f"{said}; the lock is still there")


def taken(kind: PlaceKind, said: str, now: LockPlace | str | None, hold: LockInfo) -> PlaceTaken:
    """What an attempt to take a free place came to. Where nothing is, what was sent may yet arrive, or was ended."""
    if isinstance(now, str) or now is None:
        return PlaceTaken(kind, TakeResult.NOT_KNOWN, detail=f"{said}; then {now or 'nothing is there'}")
    if is_of(now.info, hold):
        return PlaceTaken(kind, TakeResult.TAKEN, now, "the answer was lost; the hold is there")
    return PlaceTaken(kind, TakeResult.HELD, now, _holder(now))


def swapped(place: LockPlace, said: str, now: LockPlace | str | None, hold: LockInfo, *, is_open: bool) -> PlaceRelease:
    """What an attempt to put a hold in a lock's place came to: `RELEASED` exactly if that lock is gone by it."""
    if isinstance(now, LockPlace) and is_of(now.info, hold) and says_the_same(now.info, hold):
        return PlaceRelease(place, ReleaseResult.RELEASED, "the answer was lost; the hold is there")
    return settled(place, said, now, is_open=is_open)


def ended(place: LockPlace, said: str, now: LockPlace | str | None, hold: LockInfo) -> PlaceRelease:
    """What an attempt to end a hold came to that got no answer."""
    if isinstance(now, str):
        return PlaceRelease(place, ReleaseResult.NOT_KNOWN, f"{said}; then {now}")
    if now is not None and is_of(now.info, hold):
        return PlaceRelease(place, ReleaseResult.NOT_KNOWN, f"{said}; the hold is still there")
    return PlaceRelease(place, ReleaseResult.RELEASED, "the answer was lost; the hold is gone")


def _holder(place: LockPlace) -> str:
    if place.info is None:
        return "another lock is there now; its text cannot be read"
    return f"held by {place.info.who or 'someone unnamed'} now (lock {place.info.id})"
