"""Who people are, in Slack."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bot.core.evidence import Observation
from bot.core.people import Channel, Member, Presence, Roll, Whereabouts


class Directory(Protocol):
    """Who people are and where they belong, in Slack. Authorise by ids, never by names."""

    @property
    def home_team(self) -> str | None:
        """The workspace that the bot is installed in; None until `introduce` has been called."""
        ...

    async def introduce(self) -> str:
        """Asks Slack who the bot is; returns its user id. Raises UpstreamError."""
        ...

    async def now(self) -> Observation[datetime]:
        """What time it is by Slack's own clock, which also stamps the messages, cut down to the second."""
        ...

    async def member(self, user_id: str) -> Observation[Member]: ...

    async def is_in_channel(self, user_id: str, channel_id: str) -> Observation[bool]:
        """Follows the cursor until the user is found or the last page is read."""
        ...

    async def is_in_groups(self, user_id: str, group_ids: Sequence[str]) -> Observation[bool]:
        """Whether the user is in any of the groups; unseen if one cannot be read and no other has them."""
        ...

    async def channel(self, channel_id: str) -> Observation[Channel]: ...

    async def whereabouts(self, user_id: str) -> Observation[Whereabouts]: ...

    async def by_email(self, email: str) -> Observation[Member]: ...

    async def members(self, channel_id: str) -> Observation[tuple[str, ...]]: ...

    async def roll(self, channel_id: str, *, within: float) -> Roll:
        """The ids of a channel's members, as many as could be read within so many seconds."""
        ...

    async def group_members(self, group_ids: Sequence[str]) -> Observation[tuple[str, ...]]:
        """Everyone who is in any of the user groups; unseen if one of them cannot be read."""
        ...

    async def presence(self, user_id: str) -> Observation[Presence]: ...
