"""Who may write on the record: full members of the workspace that the bot lives in."""

from __future__ import annotations

from bot.core.evidence import Found, Unseen
from bot.errors import NotPermitted, Unreachable
from bot.usecases.world import World


async def may_write(world: World, user: str) -> bool:
    """Whether a user is a full member of this workspace. Raises Unreachable where Slack does not say.

    A person from another workspace who shares a channel with the bot is not a stranger to Slack (`is_stranger`): their
    team tells (docs.slack.dev/reference/objects/user-object).
    """
    seen, home = await world.directory.member(user), world.directory.home_team
    if isinstance(seen, Unseen):
        raise Unreachable(seen.system, seen.detail)
    if home is None:
        raise Unreachable("Slack", "Slack has not said yet which workspace tflock is in")
    return isinstance(seen, Found) and (
        seen.value.team_id == home and not (seen.value.is_stranger or seen.value.is_guest or seen.value.is_bot)
    )


async def check_may_write(world: World, user: str, act: str = "write on the timeline") -> None:
    """A timeline is the team's record: strangers and guests read it in the channel, but do not write in it.

    `act` is what they want. Raises NotPermitted, or Unreachable where Slack does not say who the user is.
    """
    if not await may_write(world, user):
        raise NotPermitted(f"Only full members of this workspace may {act}. Nothing was changed.")
