"""Who may write on the record."""

from __future__ import annotations

from bot.core.evidence import Found
from bot.errors import NotPermitted
from bot.usecases.world import World


async def check_may_write(world: World, user: str) -> None:
    """A timeline is the team's record: strangers and guests read it in the channel, but do not write in it.

    Raises NotPermitted.
    """
    seen = await world.directory.member(user)
    if not isinstance(seen, Found) or seen.value.is_stranger or seen.value.is_guest or seen.value.is_bot:
        raise NotPermitted("Only full members of this workspace may write on the timeline. Nothing was changed.")
