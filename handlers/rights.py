"""Who may write on the record."""

from __future__ import annotations

from bot.errors import NotPermitted
from bot.usecases.record.rights import may_write
from bot.usecases.world import World


async def check_may_write(world: World, user: str, act: str = "write on the timeline") -> None:
    """A timeline is the team's record: strangers and guests read it in the channel, but do not write in it.

    `act` is what he wants. Raises NotPermitted, or Unreachable where Slack does not say who the user is.
    """
    if not await may_write(world, user):
        raise NotPermitted(f"Only full members of this workspace may {act}. Nothing was changed.")
