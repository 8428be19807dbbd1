"""The steps of a request to unlock: the only ways in which its phase changes, and who takes each.

Every step names the phases in which it may be taken. Redis compares and sets in one go, so that of two people or
workers at the same time one takes the request along, and the other one finds that it may not any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

from bot.usecases.request.record import UNLOCKS, RequestPhase, UnlockRecord
from bot.usecases.world import World

_SHOWN, _CONFIRMED, _APPROVAL = RequestPhase.SHOWN, RequestPhase.CONFIRMED, RequestPhase.APPROVAL
_ARMED, _RELEASING, _SETTLED, _DONE = (
    RequestPhase.ARMED,
    RequestPhase.RELEASING,
    RequestPhase.SETTLED,
    RequestPhase.DONE,
)

WAITING = frozenset({_SHOWN, _APPROVAL})
"""Nobody has sent the request on its way yet."""

UNDER_WAY = frozenset({_CONFIRMED, _ARMED, _RELEASING})
"""A worker decides on it, again and again, and may delete."""


class Step(Enum):
    """A step with who takes it, the phases before it, and the phase after it."""

    # A member, and for `CONFIRM` a second one as well, by a click. An armed request may be confirmed: then it does not
    # wait any longer for what waiting helps.
    CONFIRM = "a member, or a second one who approves", WAITING | {_ARMED}, _CONFIRMED
    ARM = "a member", WAITING, _ARMED
    DISARM = "a member", {_ARMED}, _DONE
    DECLINE = "a member, or the look that finds the lock gone or the time over", WAITING, _DONE

    # An automatic release has no requester: it is announced by the sweep, and anyone in the channel stops it. A click
    # on its message makes it that person's, so that it can be confirmed as any other.
    ANNOUNCE = "the sweep", {_SHOWN}, _ARMED
    STOP = "anyone in the channel, or the sweep that must not continue it", {_SHOWN, _ARMED}, _DONE

    # Looks at a request that waits. What a second person was shown may no longer be true: then it is asked again.
    CHECK_AGAIN = "a look", WAITING, _SHOWN
    ASK_SECOND = "the worker", UNDER_WAY, _APPROVAL

    # The worker that carries it out. From `INTEND` on a delete may have reached the store, and only `SETTLE` leads on
    # from there: whatever was sent gets its outcome. `WAIT_ON` is back to waiting after an attempt that deleted nothing
    # or not all, so that it can be called off.
    INTEND = "the worker", UNDER_WAY, _RELEASING
    WAIT_ON = "the worker", {_ARMED, _RELEASING}, _ARMED
    SETTLE = "the worker", UNDER_WAY, _SETTLED
    CLOSE = "the worker that has told the outcome", {_SETTLED}, _DONE
    OFFER_AGAIN = "the worker that has told an outcome that left the lock there", {_SETTLED}, _SHOWN

    def __init__(self, by: str, before: Collection[RequestPhase], after: RequestPhase) -> None:
        self.by = by
        self.before = frozenset(before)
        self.after = after


async def advance(
    world: World,
    request_id: str,
    step: Step,
    *,
    only_in: Collection[RequestPhase] | None = None,
    and_is: Mapping[str, object] | None = None,
    durably: bool = False,
    **fields: object,
) -> UnlockRecord | None:
    """Takes the step, and sets the fields with it; None, and nothing is changed, if it may not be taken (any more).

    `only_in` are the phases that the caller means, where those are fewer, and `and_is` what other fields hold.
    Raises JournalAway; `durably` raises NotReplicated if a fail-over of Redis could lose it.
    """
    before = step.before if only_in is None else step.before & frozenset(only_in)
    return await UNLOCKS.update(
        world, request_id, only_if=("phase", before), and_is=and_is, durably=durably, phase=step.after, **fields
    )
