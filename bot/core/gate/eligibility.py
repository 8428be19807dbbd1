"""Who may release a lock in a channel: a current, full member of it, in the allowed group, in an incident channel.

Source: the `requester` rule of the gate. Ids decide, never names; what Slack could not say counts against.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.evidence import Found, Unseen
from bot.core.people import Member, Standing
from bot.core.phrase import Person, Phrase, quoted
from bot.core.policy import Policy


def why_not_eligible(standing: Standing, policy: Policy) -> Phrase | None:
    """Why this person may not act here, in words that say what would change it; None if they may."""
    for seen in standing.observations:
        if isinstance(seen, Unseen):
            detail = quoted(seen.detail, str(seen.trouble))
            return ("whether ", named(standing), " may act could not be checked: ", detail)
    if standing.home_team is None:
        words = " may act could not be checked: Slack has not said yet which workspace tflock is in. Try again soon"
        return ("whether ", named(standing), words)
    reason = _why_not_this_member(standing) or _why_not_here(standing) or _why_not_by_group(standing, policy)
    return None if reason is None else (named(standing), f" {reason}")


def lacks_standing(standing: Standing) -> bool:
    """Whether this is seen to be nobody who could act here: a guest, a stranger, no member of the channel.

    What Slack does not say, or who is in which group, does not count.
    """
    if isinstance(standing.member, Unseen) or standing.home_team is None:
        return False
    is_outside = isinstance(standing.in_channel, Found) and not standing.in_channel.value
    return _why_not_this_member(standing) is not None or is_outside


def named(standing: Standing) -> Person:
    name = standing.member.value.name if isinstance(standing.member, Found) else ""
    return Person(standing.user_id, name)


def _why_not_this_member(standing: Standing) -> str | None:
    if not isinstance(standing.member, Found):
        return "is not known to Slack"
    member: Member = standing.member.value
    return next((words for is_so, words in _bars(member, standing.home_team) if is_so), None)


def _bars(member: Member, home_team: str | None) -> Iterator[tuple[bool, str]]:
    """What may keep a member from acting, the plainest first."""
    yield member.is_deleted, "is deactivated"
    yield member.is_bot, "is a bot"
    unnamed = member.team_id is None and not member.is_stranger
    yield unnamed, "may not belong to this workspace: Slack names none for this user"
    is_foreign = member.is_stranger or member.team_id != home_team
    yield is_foreign, "belongs to another workspace (Slack Connect): only members of this one may act"
    yield member.is_guest, "is a guest: only full members may act"


def _why_not_here(standing: Standing) -> str | None:
    channel = standing.channel
    if isinstance(channel, Found) and channel.value.is_private and not standing.is_incident_channel:
        return (
            "asks in a private channel, which a name pattern does not include: ask in a public incident channel, or "
            "name this one by its id (slack.incident_channels in the configuration), or allow private ones "
            "(slack.private_incident_channels)"
        )
    if not isinstance(channel, Found) or channel.value.is_direct or not standing.is_incident_channel:
        return "asks outside an incident channel: ask again in one (slack.incident_channels in the configuration)"
    if not isinstance(standing.in_channel, Found) or not standing.in_channel.value:
        return "is not a member of this channel: join it first"
    return None


def _why_not_by_group(standing: Standing, policy: Policy) -> str | None:
    groups = standing.in_groups
    if groups is None and not policy.unlock_groups:
        return None
    if isinstance(groups, Found) and groups.value:
        return None
    return "is not in a user group that may unlock (policy.unlock_groups in the configuration)"
