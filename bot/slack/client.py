"""Slack's Web API: one factory for the client, and one place that reads its failures."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.core.evidence import Trouble
from bot.errors import Denied, Missing, Rejected, Throttled, Unreachable, UpstreamError

log = structlog.get_logger()

SYSTEM = "Slack"
API_URL = "https://slack.com/api/"
CALL_SECONDS = 10
PATIENCE_SECONDS = 12.0
RETRIES = 3
_TOO_MANY = 429
_SERVER_ERROR = 500

# All that the SDK raises, wraps or lets through. AttributeError: it takes a plain-text body for a mapping.
FAILURES = (SlackApiError, SlackRequestError, aiohttp.ClientError, OSError, ValueError, AttributeError)

# Doing these twice would be seen: a connection that broke midway does not show whether Slack has taken the call.
_ONCE_ONLY = ("chat.postMessage", "chat.postEphemeral", "files.completeUploadExternal")

_ABSENT = frozenset(
    {
        "user_not_found",
        "users_not_found",
        "channel_not_found",
        "no_such_subteam",
        "message_not_found",
        "thread_not_found",
        "file_not_found",
        "expired_url",
        "used_url",
    }
)
_RIGHTS = frozenset(
    {
        "missing_scope",
        "not_authed",
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
        "no_permission",
        "access_denied",
        "ekm_access_denied",
        "team_access_not_granted",
        "enterprise_is_restricted",
        "org_login_required",
        "restricted_action",
        "not_in_channel",
        "user_not_in_channel",
        "is_archived",
        "file_uploads_disabled",
        "file_uploads_except_images_disabled",
        "posting_to_channel_denied",
        "cant_update_message",
        "user_not_visible",
        "user_disabled",
        "cannot_dm_bot",
    }
)
_REASONS = {
    "not_in_channel": "the bot is not a member of the channel; invite it",
    "user_not_in_channel": "the user is not a member of the channel",
    "is_archived": "the channel is archived",
    "user_disabled": "the user is deactivated",
    "file_uploads_disabled": "an administrator has switched file uploads off",
}
_BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_BROKEN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failed call says. `trouble` is None where Slack answered that the thing does not exist.

    `code` is Slack's own word, empty where there was none. `retry_after` in seconds, where Slack named it.
    """

    trouble: Trouble | None
    code: str
    detail: str
    retry_after: float | None = None


class _RateLimitRetry(AsyncRateLimitErrorRetryHandler):
    """Waits as Slack asks, but no longer than `patience` seconds for one call; then the 429 is the answer."""

    def __init__(self, patience: float) -> None:
        super().__init__(max_retry_count=RETRIES)
        self._patience = patience

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> bool:
        if response is None or response.status_code != _TOO_MANY:
            return False
        asked = _first(response.headers, "retry-after")
        if not asked.isdigit():
            return False
        waited: float = (state.custom_values or {}).get("waited", 0.0) + int(asked) + 1  # the SDK adds up to a second
        state.custom_values = {"waited": waited}
        _, is_api, method = request.url.rpartition("/api/")
        call = method if is_api else "a response or upload URL"  # which are secrets in themselves
        log.warning("slack.throttled", call=call, retry_after=int(asked))
        return waited <= self._patience


class _ConnectionRetry(AsyncConnectionErrorRetryHandler):
    """Tries again where the connection failed, unless that could post a message twice."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if request.url.endswith(_ONCE_ONLY) and not isinstance(error, aiohttp.ClientConnectorError):
            return False
        return await super()._can_retry_async(state=state, request=request, response=response, error=error)


class _Client(AsyncWebClient):
    """Asks for the token at each call, so that one from a file may change meanwhile; so do its copies."""

    def __init__(self, secret: SecretStr, **options: Any) -> None:
        self._secret = secret
        super().__init__(**options)

    @property
    def token(self) -> str | None:
        return self._secret.get_secret_value() or None

    @token.setter
    def token(self, value: str | None) -> None:
        """The SDK sets what it was made with, which is nothing."""


def slack_client(
    token: str | SecretStr,
    *,
    base_url: str = API_URL,
    session: aiohttp.ClientSession | None = None,
    timeout: int = CALL_SECONDS,
    patience: float = PATIENCE_SECONDS,
) -> AsyncWebClient:
    """A client that honours 429 for up to `patience` seconds a call, and retries lost connections where that is safe.

    `timeout` is in seconds a request. A `session` keeps connections open between calls and stays the caller's to
    close; without one each call opens its own. The token is in no repr of the client. A proxy from the environment
    is not used for an API on this machine.
    """
    client = _Client(
        SecretStr(token) if isinstance(token, str) else token,
        base_url=base_url,
        session=session,
        timeout=timeout,
        retry_handlers=retry_handlers(patience),
    )
    if is_loopback(base_url):
        client.proxy = None
    return client


def retry_handlers(patience: float) -> list[AsyncRetryHandler]:
    return [_RateLimitRetry(patience), _ConnectionRetry()]


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def failure(error: Exception, doing: str) -> Failure:
    """Reads what the SDK raised. `doing` completes the sentence: "while looking up a user"."""
    if isinstance(error, TimeoutError):
        return Failure(Trouble.TIMED_OUT, "", f"Slack did not answer in time while {doing}")
    if isinstance(error, SlackApiError):
        said = error.response  # the SDK's response, or aiohttp's for broken JSON
        status = getattr(said, "status_code", None) or getattr(said, "status", None)
        return read_answer(int(status or 0), getattr(said, "headers", None) or {}, getattr(said, "data", None), doing)
    if isinstance(error, aiohttp.ClientError | OSError):
        return Failure(Trouble.NO_CONNECTION, "", f"no connection to Slack while {doing}")
    return Failure(Trouble.GARBLED, "", f"Slack's answer could not be read while {doing}")


def read_answer(status: int, headers: Mapping[str, Any], body: Any, doing: str) -> Failure:
    """Reads an answer that is not a success: its status, its headers and its JSON, where it had any."""
    facts: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    code = str(facts.get("error") or "")
    if status == _TOO_MANY or code in _BUSY:
        asked = _first(headers, "retry-after")
        seconds = float(asked) if asked.isdigit() else None
        return Failure(Trouble.THROTTLED, code, f"Slack asks for patience while {doing}", seconds)
    if status >= _SERVER_ERROR or code in _BROKEN:
        return Failure(Trouble.SERVER_ERROR, code, f"Slack returned an error ({code or status}) while {doing}")
    if not code:
        return Failure(Trouble.GARBLED, "", f"Slack's answer (HTTP {status}) could not be read while {doing}")
    if code in _ABSENT:
        return Failure(None, code, f"Slack answered {code} while {doing}")
    if code in _RIGHTS:
        return Failure(Trouble.DENIED, code, f"Slack refused while {doing}: {_reason(code, facts)}")
    return Failure(Trouble.GARBLED, code, f"Slack refused while {doing}: {code}")


def as_error(failed: Failure) -> UpstreamError:
    """The failure as an error of `bot.errors`."""
    match failed.trouble:
        case None:
            return Missing(SYSTEM, failed.detail)
        case Trouble.THROTTLED:
            return Throttled(SYSTEM, failed.detail, retry_after=failed.retry_after)
        case Trouble.DENIED:
            return Denied(SYSTEM, failed.detail)
        case Trouble.GARBLED if failed.code:
            return Rejected(SYSTEM, failed.detail)
        case _:
            return Unreachable(SYSTEM, failed.detail)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """The SDK's errors as ours. The chain is cut: a trace with the locals of the SDK's frames would show the token."""
    try:
        yield
    except FAILURES as error:
        raise as_error(failure(error, doing)) from None


def next_cursor(answer: Mapping[str, Any] | AsyncSlackResponse) -> str:
    """Where the next page of a list is; empty after the last (docs.slack.dev/apis/web-api/pagination)."""
    return str((answer.get("response_metadata") or {}).get("next_cursor") or "")


def _reason(code: str, facts: Mapping[str, Any]) -> str:
    if code == "missing_scope":
        return f"the app lacks the scope {facts.get('needed') or 'that this needs'} (missing_scope)"
    return f"{_REASONS[code]} ({code})" if code in _REASONS else code


def _first(headers: Mapping[str, Any], name: str) -> str:
    for key, value in headers.items():
        if key.lower() == name:
            return str(value[0] if isinstance(value, list) else value)
    return ""
