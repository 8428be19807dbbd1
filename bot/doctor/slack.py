"""Slack: the tokens, the scopes, and the channels in which locks may be released."""

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
from bot.doctor.check import Area, Level, Result, trouble_of, why_not
from bot.http.pages import MOST_PAGES
from bot.slack.client import FAILURES, Failure, failure, next_cursor
from bot.slack.rights import SCOPES

_SLACK = Area("slack")
_NEEDED_TO_UNLOCK = {"channels:read", "chat:write", "commands", "users:read"}
_PAGE = 1000
_NAMED = 5
_SECONDS = 15
_OAUTH = "the app's page OAuth & Permissions"


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    """Makes no message, and nobody sees that it was asked."""
    settings = config.slack
    checks = [_receiving(settings)] if settings.app_token is None else [await _socket_mode(wiring.slack, settings)]
    if settings.bot_token is None:
        fix = f"set it to the bot token (xoxb-…) from {_OAUTH}"
        return [_SLACK.fail("token", "SLACK_BOT_TOKEN is not set", fix), *checks, *_no_channel(config)]
    answer = await _call("asking who the bot is", wiring.slack.auth_test)
    if isinstance(answer, Failure):
        return [_failed("token", answer, f"set SLACK_BOT_TOKEN from {_OAUTH}"), *checks]
    who = f"the bot is {answer.get('user')} in {answer.get('team')}"
    found = _SLACK.ok("token", who)
    channels, groups = await asyncio.gather(_channels(config, wiring.slack), _groups(config, wiring, answer))
    return [found, *_scopes(config, answer), *checks, *channels, *groups]


def _receiving(settings: SlackSettings) -> Result:
    if settings.signing_secret is None:
        fix = "set SLACK_SIGNING_SECRET from the app's page Basic Information, or SLACK_APP_TOKEN for Socket Mode"
        return _SLACK.fail("requests", "neither SLACK_SIGNING_SECRET nor SLACK_APP_TOKEN is set", fix)
    detail = "over HTTP, with a signing secret (whether it is the app's own shows with the first request)"
    return _SLACK.ok("requests", detail)


async def _socket_mode(client: AsyncWebClient, settings: SlackSettings) -> Result:
    """Asking for an address of the socket uses nothing up: nobody connects to it, and it expires."""
    token = settings.app_token.get_secret_value() if settings.app_token else ""
    answer = await _call("opening Socket Mode", partial(client.apps_connections_open, app_token=token))
    if isinstance(answer, Failure):
        fix = "set SLACK_APP_TOKEN to an app-level token (xapp-…) with connections:write, and enable Socket Mode"
        return _failed("requests", answer, fix)
    return _SLACK.ok("requests", "over Socket Mode")


def _scopes(config: Config, answer: AsyncSlackResponse) -> list[Result]:
    found = next((value for name, value in answer.headers.items() if name.lower() == "x-oauth-scopes"), None)
    given = str(found[0] if isinstance(found, list) else found) if found is not None else None
    if given is None:
        return [_SLACK.unproven("scopes", "Slack did not say which scopes the token has", essential=True)]
    missing = sorted(SCOPES.keys() - {scope.strip() for scope in given.split(",")})
    if not missing:
        return [_SLACK.ok("scopes", f"all {len(SCOPES)} of the manifest")]
    needed = _NEEDED_TO_UNLOCK | ({"usergroups:read"} if config.policy.unlock_groups else set())
    fix = f"add it on {_OAUTH} and install the app again"
    return [
        (_SLACK.fail if scope in needed else _SLACK.warn)(
            "scopes", f"{scope} is missing: it is needed for {SCOPES[scope]}", fix
        )
        for scope in missing
    ]


def _no_channel(config: Config) -> list[Result]:
    if config.slack.incident_channels:
        return []
    fix = "give slack.incident_channels at least one name pattern or channel id"
    return [_SLACK.fail("channels", "no incident channel is configured: nobody could unlock", fix)]


async def _channels(config: Config, client: AsyncWebClient) -> list[Result]:
    wanted = config.slack.incident_channels
    ids = [channel for channel in wanted if _is_id(channel)]
    patterns = [channel for channel in wanted if not _is_id(channel)]
    alerts = config.slack.alerts_channel
    checks = _no_channel(config)
    checks += await asyncio.gather(*(_channel(client, channel, Level.FAIL) for channel in ids))
    if patterns:
        checks += await _patterns(client, patterns, with_private=config.slack.private_incident_channels)
    if alerts:
        checks.append(await _channel(client, alerts, Level.WARN, subject="alerts channel"))
    elif any(state.auto_release for state in config.states.values()):
        fix = "set slack.alerts_channel: it is announced there where no open incident deals with the state"
        checks.append(_SLACK.warn("alerts channel", "auto_release has no channel to be announced in", fix))
    return checks


async def _channel(client: AsyncWebClient, channel: str, level: Level, *, subject: str = "channels") -> Result:
    answer = await _call("looking up a channel", partial(client.conversations_info, channel=channel))
    if isinstance(answer, Failure):
        fix = "correct the id in the configuration; a private channel is seen only once the bot is a member"
        essential = level is Level.FAIL
        detail = f"{channel}: {answer.detail}"
        return _SLACK.unanswered(subject, answer.trouble, detail, fix, otherwise=level, essential=essential)
    found: Mapping[str, Any] = answer.get("channel") or {}
    name = f"{channel} (#{found.get('name')})"
    if found.get("is_archived"):
        return Result(_SLACK.name, subject, level, f"{name} is archived", "name another channel in the configuration")
    if not found.get("is_member"):
        fix = "in that channel: /invite @tflock"
        return Result(_SLACK.name, subject, level, f"the bot is not a member of {name}", fix)
    return _SLACK.ok(subject, f"the bot is a member of {name}")


async def _patterns(client: AsyncWebClient, patterns: Sequence[str], *, with_private: bool) -> list[Result]:
    """A private channel counts only where the configuration allows them in general."""
    names = dict[str, bool]()
    async for page in _pages(client):
        if isinstance(page, Failure):
            return [_SLACK.unproven("channels", f"the channels could not be listed: {page.detail}", "try again")]
        meant = (found for found in page if with_private or found.get("is_private") is False)
        names |= {str(found.get("name")): bool(found.get("is_member")) for found in meant}
    return [_pattern(pattern, names) for pattern in patterns]


def _pattern(pattern: str, names: Mapping[str, bool]) -> Result:
    matching = sorted(name for name in names if fnmatchcase(name, pattern))
    outside = [name for name in matching if not names[name]]
    fix = "in each such channel: /invite @tflock"
    if not matching:
        return _SLACK.warn("channels", f"no channel that may be one is called {pattern} (yet)", fix)
    if outside:
        detail = f"{pattern}: the bot is not a member of {_some(outside)} ({len(outside)} of {len(matching)})"
        return _SLACK.warn("channels", detail, fix)
    return _SLACK.ok("channels", f"{pattern}: the bot is a member of {_some(matching)}")


async def _pages(client: AsyncWebClient) -> AsyncIterator[Iterable[Mapping[str, Any]] | Failure]:
    cursor = ""
    for _ in range(MOST_PAGES):
        kinds = "public_channel,private_channel"
        call = partial(client.conversations_list, types=kinds, exclude_archived=True, limit=_PAGE, cursor=cursor)
        answer = await _call("listing the channels", call)
        yield answer if isinstance(answer, Failure) else answer.get("channels") or ()
        if isinstance(answer, Failure):
            return
        cursor = next_cursor(answer)
        if not cursor:
            return


async def _groups(config: Config, wiring: Wiring, answer: AsyncSlackResponse) -> list[Result]:
    groups = config.policy.unlock_groups
    bot = str(answer.get("user_id"))
    seen = await asyncio.gather(*(wiring.directory.is_in_groups(bot, (group,)) for group in groups))
    return [_group(group, observed) for group, observed in zip(groups, seen, strict=True)]


def _group(group: str, seen: Any) -> Result:
    if isinstance(seen, Found):
        return _SLACK.ok("unlock groups", f"{group} can be read")
    fix = "correct policy.unlock_groups: user group ids begin with S"
    detail = f"{group} cannot be read: {why_not(seen)}"
    return _SLACK.unanswered("unlock groups", trouble_of(seen), detail, fix, otherwise=Level.FAIL, essential=True)


def _failed(subject: str, answer: Failure, fix: str) -> Result:
    return _SLACK.unanswered(subject, answer.trouble, answer.detail, fix, otherwise=Level.FAIL, essential=True)


async def _call(doing: str, call: Callable[[], Awaitable[AsyncSlackResponse]]) -> AsyncSlackResponse | Failure:
    try:
        async with asyncio.timeout(_SECONDS):
            return await call()
    except FAILURES as error:
        return failure(error, doing)


def _is_id(channel: str) -> bool:
    """The configuration takes names in lower case only."""
    return channel[:1].isupper()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"#{name}" for name in names[:_NAMED]) + more
