"""People and channels as Slack describes them. Whatever Slack does, a question gets an observation."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.people import Channel, Member, Presence, Roll, Whereabouts
from bot.ports.clock import Clock
from bot.slack.client import FAILURES, SYSTEM, Failure, as_error, failure, next_cursor, retry_handlers

log = structlog.get_logger()

T = TypeVar("T")
Json = Mapping[str, Any]
Call = Callable[[], Awaitable[AsyncSlackResponse]]
CALL_SECONDS = 5.0
PAGING_SECONDS = 20.0
PAGE = 999  # the largest that conversations.members takes
PAGES = 200  # more than other lists may have: these are channels of everyone, and `paging` ends it by time


class SlackDirectory:
    """Implements `bot.ports.people.Directory`. Every call ends within `timeout` seconds, a paged list within `paging`.

    A 429 is waited out only where that fits into the time-out; otherwise the answer is throttled. A member of
    another workspace of the bot's own Enterprise Grid organisation counts as one of the home team: their `team_id` is
    given as `home_team`. This is known after `introduce`.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        clock: Clock,
        timeout: float = CALL_SECONDS,
        paging: float = PAGING_SECONDS,
    ) -> None:
        self._client = copy.copy(client)  # the same connection and token, with the patience of a look-up
        self._client.retry_handlers = retry_handlers(timeout / 2)
        self._clock = clock
        self._timeout = timeout
        self._paging = paging
        self._home_team: str | None = None
        self._enterprise: str | None = None
        self._user_id: str | None = None
        self.ahead: timedelta | None = None
        """How far Slack's clock is ahead of this machine's, as its last answer said; None if none did."""

    @property
    def user_id(self) -> str | None:
        """The bot's own user id; None until `introduce`."""
        return self._user_id

    @property
    def home_team(self) -> str | None:
        return self._home_team

    async def introduce(self) -> str:
        """Asks `auth.test`; under an organisation-wide installation the organisation is the home team."""
        answer = await self._call("asking who the bot is", self._client.auth_test)
        if isinstance(answer, Failure):
            raise as_error(answer)
        self._enterprise = answer.get("enterprise_id")
        self._home_team = answer.get("team_id") or self._enterprise
        self._user_id = str(answer.get("user_id") or "")
        return self._user_id

    async def now(self) -> Observation[datetime]:
        date: datetime | None = None

        async def call() -> AsyncSlackResponse:
            nonlocal date
            response = await self._client.auth_test()
            date = _date_of(response)
            return response

        def read(_: Json) -> datetime:
            if date is None:
                raise LookupError("date")
            return date

        return await self._ask("asking for the time", call, read)

    async def member(self, user_id: str) -> Observation[Member]:
        call = partial(self._client.users_info, user=user_id)
        return await self._ask("looking up a user", call, lambda answer: self._member(answer["user"]))

    async def by_email(self, email: str) -> Observation[Member]:
        call = partial(self._client.users_lookupByEmail, email=email)
        return await self._ask("looking up a user by email", call, lambda answer: self._member(answer["user"]))

    async def channel(self, channel_id: str) -> Observation[Channel]:
        call = partial(self._client.conversations_info, channel=channel_id)
        return await self._ask("looking up a channel", call, _channel)

    async def is_in_channel(self, user_id: str, channel_id: str) -> Observation[bool]:
        at, roll = self._clock.now(), await self._roll(channel_id, within=self._paging, wanted=user_id)
        is_there = user_id in roll.ids
        return Found(is_there, at) if is_there or roll.missing is None else roll.missing

    async def members(self, channel_id: str) -> Observation[tuple[str, ...]]:
        at, roll = self._clock.now(), await self._roll(channel_id, within=self._paging)
        return Found(roll.ids, at) if roll.missing is None else roll.missing

    async def roll(self, channel_id: str, *, within: float) -> Roll:
        """As many of a channel's members as are read within so many seconds. An answer of 429 ends it."""
        return await self._roll(channel_id, within=within)

    async def group_members(self, group_ids: Sequence[str]) -> Observation[tuple[str, ...]]:
        at = self._clock.now()
        members = list[str]()
        for answer in await asyncio.gather(*(self._group(group_id) for group_id in group_ids)):
            if not isinstance(answer, Found):
                return answer
            members.extend(answer.value)
        return Found(tuple(dict.fromkeys(members)), at)

    async def presence(self, user_id: str) -> Observation[Presence]:
        call = partial(self._client.users_getPresence, user=user_id)
        return await self._ask("asking for a presence", call, lambda answer: Presence(answer["presence"]))

    async def is_in_groups(self, user_id: str, group_ids: Sequence[str]) -> Observation[bool]:
        at = self._clock.now()
        answers = await asyncio.gather(*(self._group(group_id) for group_id in group_ids))
        if any(isinstance(answer, Found) and user_id in answer.value for answer in answers):
            return Found(value=True, at=at)
        for answer in answers:
            if isinstance(answer, Unseen):
                return answer
            if isinstance(answer, NotFound):
                return Unseen(SYSTEM, Trouble.DENIED, f"{answer.what}: a user group that Slack does not know", at)
        return Found(value=False, at=at)

    async def whereabouts(self, user_id: str) -> Observation[Whereabouts]:
        """Presence, status and do-not-disturb, asked at the same time; `unseen` names what Slack did not say.

        If it told nothing at all, nothing is found.
        """
        at = self._clock.now()
        presence, profile, quiet = await asyncio.gather(
            self.presence(user_id),
            self._ask("reading a status", partial(self._client.users_profile_get, user=user_id), _status),
            self._ask(
                "asking for do-not-disturb", partial(self._client.dnd_info, user=user_id), lambda a: _snoozed(a, at)
            ),
        )
        asked = {"presence": presence, "status": profile, "do-not-disturb": quiet}
        unseen = tuple(name for name, answer in asked.items() if not isinstance(answer, Found))
        if len(unseen) == len(asked) and not isinstance(profile, Found):
            return profile
        text, emoji, until = profile.value if isinstance(profile, Found) else ("", "", None)
        here = presence.value if isinstance(presence, Found) else Presence.UNKNOWN
        snoozed = quiet.value if isinstance(quiet, Found) else None
        return Found(Whereabouts(here, text, emoji, until, snoozed, unseen), at)

    async def _group(self, group_id: str) -> Observation[tuple[str, ...]]:
        call = partial(self._client.usergroups_users_list, usergroup=group_id)
        return await self._ask(f"reading the user group {group_id}", call, lambda answer: tuple(answer["users"]))

    async def _roll(self, channel_id: str, *, within: float, wanted: str = "") -> Roll:
        """The members, up to the page that has the wanted one."""
        at, ids = self._clock.now(), dict[str, None]()
        missing: NotFound | Unseen | None = None
        try:
            async with asyncio.timeout(within):
                async for page in self._pages(channel_id):
                    if not isinstance(page, Found):
                        missing = page
                        break
                    ids |= dict.fromkeys(page.value)
                    if wanted in ids:
                        break
        except TimeoutError:
            detail = f"Slack did not give all members of the channel within {within:g} s"
            missing = Unseen(SYSTEM, Trouble.TIMED_OUT, detail, at)
        return Roll(tuple(ids), missing)

    async def _pages(self, channel_id: str) -> AsyncIterator[Observation[tuple[str, ...]]]:
        """The pages of a channel's members up to the last one, or up to the first that could not be read."""
        cursor: str | None = None
        for _ in range(PAGES):
            call = partial(self._client.conversations_members, channel=channel_id, limit=PAGE, cursor=cursor)
            page = await self._ask("reading the members of a channel", call, _members)
            if not isinstance(page, Found):
                yield page
                return
            ids, cursor = page.value
            yield Found(ids, page.at)
            if not cursor:
                return
        yield Unseen(SYSTEM, Trouble.TOO_MUCH, f"the channel has more than {PAGES} pages of members", self._clock.now())

    async def _ask(self, doing: str, call: Call, read: Callable[[Json], T]) -> Found[T] | NotFound | Unseen:
        """One call as an observation. `read` may meet an answer that lacks what it looks for."""
        at = self._clock.now()
        answer = await self._call(doing, call)
        if isinstance(answer, Failure):
            return _unseen(answer, at)
        try:
            return Found(read(answer), at)
        except (LookupError, TypeError, ValueError, AttributeError):
            return Unseen(SYSTEM, Trouble.GARBLED, f"Slack's answer could not be read while {doing}", at)

    async def _call(self, doing: str, call: Call) -> Json | Failure:
        try:
            async with asyncio.timeout(self._timeout):
                response = await call()
        except FAILURES as error:
            failed = failure(error, doing)
            if failed.trouble is not None:
                log.warning("slack.unseen", doing=doing, trouble=failed.trouble.value, code=failed.code)
            return failed
        self._compare_clocks(response)
        return response.data if isinstance(response.data, dict) else {}

    def _compare_clocks(self, response: AsyncSlackResponse) -> None:
        date = _date_of(response)
        if date is not None:
            self.ahead = date - self._clock.now()

    def _member(self, user: Json) -> Member:
        profile = user.get("profile") or {}
        return Member(
            id=str(user["id"]),
            name=profile.get("display_name") or user.get("real_name") or user.get("name") or str(user["id"]),
            team_id=self._team_of(user),
            is_bot=bool(user.get("is_bot")) or user["id"] == "USLACKBOT",
            is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
            is_stranger=bool(user.get("is_stranger")),
            is_deleted=bool(user.get("deleted")),
            tz=user.get("tz"),
            tz_offset=int(user.get("tz_offset") or 0),
            email=profile.get("email"),
        )

    def _team_of(self, user: Json) -> str | None:
        organisation = (user.get("enterprise_user") or {}).get("enterprise_id")
        if organisation and organisation == self._enterprise:
            return self._home_team
        team = user.get("team_id") or (user.get("profile") or {}).get("team")
        return str(team) if team else None


def _date_of(response: AsyncSlackResponse) -> datetime | None:
    date = next((value for name, value in response.headers.items() if name.lower() == "date"), None)
    try:
        at = parsedate_to_datetime(str(date))
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo is not None else None


def _unseen(failed: Failure, at: datetime) -> NotFound | Unseen:
    if failed.trouble is None:
        return NotFound(SYSTEM, failed.detail, at)
    return Unseen(SYSTEM, failed.trouble, failed.detail, at, failed.retry_after)


def _members(answer: Json) -> tuple[tuple[str, ...], str]:
    return tuple(answer["members"]), next_cursor(answer)


def _channel(answer: Json) -> Channel:
    channel = answer["channel"]
    is_direct = bool(channel.get("is_im") or channel.get("is_mpim"))
    name = "" if is_direct else str(channel.get("name") or "")
    return Channel(
        str(channel["id"]),
        name,
        is_direct=is_direct,
        is_archived=bool(channel.get("is_archived")),
        is_private=channel.get("is_private") is not False,
    )


def _status(answer: Json) -> tuple[str, str, datetime | None]:
    profile = answer["profile"]
    until = _instant(profile.get("status_expiration"))
    return str(profile.get("status_text") or ""), str(profile.get("status_emoji") or ""), until


def _snoozed(answer: Json, now: datetime) -> datetime | None:
    """The end of the do-not-disturb that is on now. Slack shows a snooze as such only to the person it belongs to."""
    if answer.get("snooze_enabled"):
        return _instant(answer.get("snooze_endtime"))
    start, end = _instant(answer.get("next_dnd_start_ts")), _instant(answer.get("next_dnd_end_ts"))
    is_on = answer.get("dnd_enabled") and start is not None and end is not None and start <= now < end
    return end if is_on else None


def _instant(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
