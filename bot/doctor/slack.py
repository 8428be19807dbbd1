"""The doctor's look at Slack: the tokens, the scopes, and the channels in which locks may be released."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.app.wiring import Wiring
from bot.config.settings import Config, SlackSettings
from bot.core.evidence import Found
from bot.doctor.check import Check, Level
from bot.slack.client import FAILURES, Failure, failure

SCOPES: Mapping[str, str] = {
    "app_mentions:read": "mentions in threads",
    "channels:history": "messages of public channels on the timeline: marks, the shortcut, `capture`, edits",
    "channels:read": "who is in a public channel",
    "chat:write": "every answer",
    "commands": "/tflock",
    "dnd:read": "an owner's do-not-disturb",
    "files:read": "an export that a crash cut short",
    "files:write": "the exported timeline",
    "groups:history": "messages of private channels on the timeline, in the same ways",
    "groups:read": "who is in a private channel",
    "im:history": "whether a message to an owner was written, after a crash: without it he may get it twice",
    "im:write": "the message to an owner",
    "reactions:read": "marks that put messages on the timeline",
    "usergroups:read": "policy.unlock_groups",
    "users.profile:read": "an owner's status",
    "users:read": "guests and deactivated users",
    "users:read.email": "owners known by email",
}
"""The scopes of manifest.yml, with what each is for."""

_NEEDED_TO_UNLOCK = {"channels:read", "chat:write", "commands", "users:read"}
_PAGES = 20
_PAGE = 1000
_NAMED = 5
_SECONDS = 15
_OAUTH = "the app's page OAuth & Permissions"


async def slack_checks(config: Config, wiring: Wiring) -> list[Check]:
    """Asks as the bot. Makes no message, and nobody sees that it was asked."""
    settings = config.slack
    checks = [_receiving(settings)] if settings.app_token is None else [await _socket_mode(wiring.slack, settings)]
    if settings.bot_token is None:
        mend = f"set it to the bot token (xoxb-…) from {_OAUTH}"
        return [Check("slack", "token", Level.FAIL, "SLACK_BOT_TOKEN is not set", mend), *checks, *_no_channel(config)]
    answer = await _call("asking who the bot is", wiring.slack.auth_test)
    if isinstance(answer, Failure):
        return [Check("slack", "token", Level.FAIL, answer.detail, f"set SLACK_BOT_TOKEN from {_OAUTH}"), *checks]
    who = f"the bot is {answer.get('user')} in {answer.get('team')}"
    found = Check("slack", "token", Level.OK, who)
    channels, groups = await asyncio.gather(_channels(config, wiring.slack), _groups(config, wiring, answer))
    return [found, *_scopes(config, answer), *checks, *channels, *groups]


def _receiving(settings: SlackSettings) -> Check:
    if settings.signing_secret is None:
        mend = "set SLACK_SIGNING_SECRET from the app's page Basic Information, or SLACK_APP_TOKEN for Socket Mode"
        return Check("slack", "requests", Level.FAIL, "neither SLACK_SIGNING_SECRET nor SLACK_APP_TOKEN is set", mend)
    told = "over HTTP, with a signing secret (whether it is the app's own shows with the first request)"
    return Check("slack", "requests", Level.OK, told)


async def _socket_mode(client: AsyncWebClient, settings: SlackSettings) -> Check:
    """Asking for an address of the socket uses nothing up: nobody connects to it, and it expires."""
    token = settings.app_token.get_secret_value() if settings.app_token else ""
    answer = await _call("opening Socket Mode", partial(client.apps_connections_open, app_token=token))
    if isinstance(answer, Failure):
        mend = "set SLACK_APP_TOKEN to an app-level token (xapp-…) with connections:write, and enable Socket Mode"
        return Check("slack", "requests", Level.FAIL, answer.detail, mend)
    return Check("slack", "requests", Level.OK, "over Socket Mode")


def _scopes(config: Config, answer: AsyncSlackResponse) -> list[Check]:
    given = _header(answer.headers, "x-oauth-scopes")
    if given is None:
        return [Check("slack", "scopes", Level.WARN, "Slack did not say which scopes the token has")]
    missing = sorted(SCOPES.keys() - {scope.strip() for scope in given.split(",")})
    if not missing:
        return [Check("slack", "scopes", Level.OK, f"all {len(SCOPES)} of the manifest")]
    needed = _NEEDED_TO_UNLOCK | ({"usergroups:read"} if config.policy.unlock_groups else set())
    return [_missing_scope(scope, Level.FAIL if scope in needed else Level.WARN) for scope in missing]


def _missing_scope(scope: str, level: Level) -> Check:
    mend = f"add it on {_OAUTH} and install the app again"
    return Check("slack", "scopes", level, f"{scope} is missing: it is needed for {SCOPES[scope]}", mend)


def _no_channel(config: Config) -> list[Check]:
    if config.slack.incident_channels:
        return []
    mend = "give slack.incident_channels at least one name pattern or channel id"
    return [Check("slack", "channels", Level.FAIL, "no incident channel is configured: nobody could unlock", mend)]


async def _channels(config: Config, client: AsyncWebClient) -> list[Check]:
    wanted = config.slack.incident_channels
    ids = [channel for channel in wanted if _is_id(channel)]
    patterns = [channel for channel in wanted if not _is_id(channel)]
    alerts = config.slack.alerts_channel
    checks = _no_channel(config)
    checks += await asyncio.gather(*(_channel(client, channel, Level.FAIL) for channel in ids))
    if patterns:
        checks += await _patterns(client, patterns)
    if alerts:
        checks.append(await _channel(client, alerts, Level.WARN, subject="alerts channel"))
    return checks


async def _channel(client: AsyncWebClient, channel: str, level: Level, *, subject: str = "channels") -> Check:
    answer = await _call("looking up a channel", partial(client.conversations_info, channel=channel))
    if isinstance(answer, Failure):
        mend = "correct the id in the configuration; a private channel is seen only once the bot is a member"
        return Check("slack", subject, level, f"{channel}: {answer.detail}", mend)
    found: Mapping[str, Any] = answer.get("channel") or {}
    name = f"{channel} (#{found.get('name')})"
    if found.get("is_archived"):
        return Check("slack", subject, level, f"{name} is archived", "name another channel in the configuration")
    if not found.get("is_member"):
        return Check("slack", subject, level, f"the bot is not a member of {name}", "in that channel: /invite @tflock")
    return Check("slack", subject, Level.OK, f"the bot is a member of {name}")


async def _patterns(client: AsyncWebClient, patterns: Sequence[str]) -> list[Check]:
    names = dict[str, bool]()
    async for page in _pages(client):
        if isinstance(page, Failure):
            return [Check("slack", "channels", Level.WARN, f"the channels could not be listed: {page.detail}")]
        names |= {str(found.get("name")): bool(found.get("is_member")) for found in page}
    return [_pattern(pattern, names) for pattern in patterns]


def _pattern(pattern: str, names: Mapping[str, bool]) -> Check:
    matching = sorted(name for name in names if fnmatchcase(name, pattern))
    outside = [name for name in matching if not names[name]]
    mend = "in each such channel: /invite @tflock"
    if not matching:
        return Check("slack", "channels", Level.WARN, f"no channel is called {pattern} (yet)", mend)
    if outside:
        told = f"{pattern}: the bot is not a member of {_some(outside)} ({len(outside)} of {len(matching)})"
        return Check("slack", "channels", Level.WARN, told, mend)
    return Check("slack", "channels", Level.OK, f"{pattern}: the bot is a member of {_some(matching)}")


async def _pages(client: AsyncWebClient) -> AsyncIterator[Iterable[Mapping[str, Any]] | Failure]:
    cursor = ""
    for _ in range(_PAGES):
        kinds = "public_channel,private_channel"
        call = partial(client.conversations_list, types=kinds, exclude_archived=True, limit=_PAGE, cursor=cursor)
        answer = await _call("listing the channels", call)
        yield answer if isinstance(answer, Failure) else answer.get("channels") or ()
        if isinstance(answer, Failure):
            return
        cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            return


async def _groups(config: Config, wiring: Wiring, answer: AsyncSlackResponse) -> list[Check]:
    groups = config.policy.unlock_groups
    bot = str(answer.get("user_id"))
    seen = await asyncio.gather(*(wiring.directory.is_in_groups(bot, (group,)) for group in groups))
    return [_group(group, observed) for group, observed in zip(groups, seen, strict=True)]


def _group(group: str, seen: Any) -> Check:
    if isinstance(seen, Found):
        return Check("slack", "unlock groups", Level.OK, f"{group} can be read")
    mend = "correct policy.unlock_groups: user group ids begin with S"
    return Check("slack", "unlock groups", Level.FAIL, f"{group} cannot be read: {seen.detail}", mend)


async def _call(doing: str, call: Callable[[], Awaitable[AsyncSlackResponse]]) -> AsyncSlackResponse | Failure:
    try:
        async with asyncio.timeout(_SECONDS):
            return await call()
    except FAILURES as error:
        return failure(error, doing)


def _header(headers: Mapping[str, Any], wanted: str) -> str | None:
    found = next((value for name, value in headers.items() if name.lower() == wanted), None)
    return str(found[0] if isinstance(found, list) else found) if found is not None else None


def _is_id(channel: str) -> bool:
    """The configuration takes names in lower case only."""
    return channel[:1].isupper()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"#{name}" for name in names[:_NAMED]) + more
