"""What a release without a success came to, by what is there now: the one rule, whatever the store."""

from __future__ import annotations

from bot.core.lock import LockPlace, PlaceRelease, ReleaseResult


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


def _holder(place: LockPlace) -> str:
    if place.info is None:
        return "another lock is there now; its text cannot be read"
    return f"held by {place.info.who or 'someone unnamed'} now (lock {place.info.id})"
