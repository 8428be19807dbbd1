"""Who can act instead of a lock's owner: members of the channel who may, in the order of how soon they can.

A channel may have thousands of members and Slack answers for one at a time, so that the search has a budget and an
end. What is known by then is shown, with how much is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.gate.eligibility import why_not_eligible
from bot.core.hours import USUAL, on_clock
from bot.core.people import Channel, Member, Presence, Standing
from bot.core.reports.who import StandIn, StandIns
from bot.errors import JournalAway
from bot.usecases.world import World

SECONDS = 4.0
"""The whole search ends after this."""

_FOR_THE_ROLL = 2.5
_LOOKED_UP = 40
_AT_ONCE = 10
_ENOUGH = 10
_ENTRIES = 200


async def stand_ins(world: World, channel_id: str, *, groups: Sequence[str] = ()) -> StandIns | None:
    """Everyone who may unlock in the channel, and is in one of `groups` if any are named. None outside an incident
    channel.

    Where only groups may act, they are looked through; else those who took part in the incident come first.
    """
    search = _Search(world)
    try:
        async with asyncio.timeout(SECONDS):
            if not await search.prepare(channel_id, groups):
                return None
            await search.go()
    except TimeoutError:
        detail = f"Slack did not answer everything within {SECONDS:g} s"
        search.missing = Unseen("Slack", Trouble.TIMED_OUT, detail, world.clock.now())
    return search.found()


@dataclass(slots=True)
class _Search:
    """What is known so far. `ids` are those to look at, in order; `grouped` who is in the groups that may unlock."""

    world: World
    ids: tuple[str, ...] = ()
    channel: Channel | None = None
    grouped: Observation[tuple[str, ...]] | None = None
    people: list[StandIn] = field(default_factory=list)
    looked: int = 0
    missing: NotFound | Unseen | None = None

    async def prepare(self, channel_id: str, groups: Sequence[str]) -> bool:
        """Finds out whom to look at; False if nobody at all may act there."""
        world, unlockers = self.world, self.world.policy.unlock_groups
        channel, roll, self.grouped, among, part = await asyncio.gather(
            world.directory.channel(channel_id),
            world.directory.roll(channel_id, within=_FOR_THE_ROLL),
            _members(world, unlockers),
            _members(world, groups),
            _took_part(world, channel_id),
        )
        if not (isinstance(channel, Found) and world.is_incident_channel(channel.value)):
            return False
        self.channel, self.missing = channel.value, roll.missing
        inside = set(roll.ids)
        wanted = (*(user for user in part if user in inside), *roll.ids)
        for listed in (self.grouped, among):
            if listed is not None and not isinstance(listed, Found):
                wanted, self.missing = (), listed
            elif listed is not None:
                allowed = set(listed.value)
                wanted = tuple(user for user in wanted if user in allowed)
        self.ids = tuple(dict.fromkeys(wanted))
        return True

    async def go(self) -> None:
        """Looks at them, some at a time, until there are enough who are active or the budget is used up."""
        for start in range(0, min(len(self.ids), _LOOKED_UP), _AT_ONCE):
            await asyncio.gather(*(self._look(user) for user in self.ids[start : start + _AT_ONCE]))
            active = sum(one.presence is Presence.ACTIVE for one in self.people)
            if active >= _ENOUGH or (isinstance(self.missing, Unseen) and self.missing.trouble is Trouble.THROTTLED):
                return

    def found(self) -> StandIns:
        order = {user: position for position, user in enumerate(self.ids)}
        ranked = sorted(
            self.people,
            key=lambda one: (one.presence is not Presence.ACTIVE, one.at_work is not True, order[one.member.id]),
        )
        return StandIns(tuple(ranked), len(self.ids) - self.looked, self.missing)

    async def _look(self, user: str) -> None:
        member = await self.world.directory.member(user)
        if isinstance(member, Unseen):
            self.missing = member
            return
        self.looked += 1
        if why_not_eligible(self._standing(user, member), self.world.policy) is None and isinstance(member, Found):
            # listed before their presence is known: should Slack be slow, they can act all the same
            place = len(self.people)
            self.people.append(_stand_in(self.world, member.value, Presence.UNKNOWN))
            seen = await self.world.directory.presence(user)
            if isinstance(seen, Found):
                self.people[place] = _stand_in(self.world, member.value, seen.value)

    def _standing(self, user: str, member: Observation[Member]) -> Standing:
        """The standing of someone who is known to be in the channel."""
        at, grouped = member.at, self.grouped
        return Standing(
            user_id=user,
            home_team=self.world.directory.home_team,
            member=member,
            in_channel=Found(value=True, at=at),
            in_groups=Found(user in grouped.value, at) if isinstance(grouped, Found) else grouped,
            channel=Found(self.channel, at) if self.channel is not None else NotFound("Slack", "the channel", at),
            is_incident_channel=True,
        )


def _stand_in(world: World, member: Member, presence: Presence) -> StandIn:
    local = on_clock(world.clock.now(), member.tz, member.tz_offset)
    known = world.holders.person_in_slack(member.id)
    hours = known.hours if known is not None and known.hours is not None else USUAL
    return StandIn(member, presence, local, None if local is None else hours.hold(local))


async def _members(world: World, groups: Sequence[str]) -> Observation[tuple[str, ...]] | None:
    return await world.directory.group_members(groups) if groups else None


async def _took_part(world: World, channel_id: str) -> tuple[str, ...]:
    """Who is on the timeline of the channel's incident, the latest first; not all of them need be people."""
    try:
        incident = await world.journal.current(channel_id)
        entries = await world.journal.tail(incident.id, _ENTRIES) if incident is not None else ()
    except JournalAway:
        return ()
    return tuple(dict.fromkeys(entry.actor for entry in reversed(entries)))
