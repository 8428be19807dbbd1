"""Google's default credentials: a key file, workload identity federation, impersonation, or the machine's account.

Source: `google.auth.default` and `google.auth.credentials.TokenState` of google-auth.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from bot.backends.credentials import (
    FetchedToken,
    LibraryMissing,
    code_in,
    no_file,
    none_found,
    refused,
    unanswered,
)
from bot.http.client import Failed

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_WHY = "a gcs backend without access_token_env uses Google's default credentials"
_BY = "Google's token service"
_CODE = re.compile(r"PERMISSION_DENIED|UNAUTHENTICATED|NOT_FOUND|INVALID_ARGUMENT|Status: 4\d\d")
_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_NO_FILE = "was not found"
_TOKEN_WITHIN, _METADATA_WITHIN = 4.0, 1.5
"""Seconds. The machine's own metadata server is near, and asked three times whether it is there."""

_LOOKED_FOR = f"the file that {_FILE} names, a sign-in of gcloud, and the account of this machine or pod"
_FIX = "give tflock one of them, or a token with access_token_env"
_CHECK = (
    "check that the service account exists and its key is valid, or the pool, the provider and the audience of the "
    "federation, and that the bot may impersonate the account"
)


def default_credentials(service: str) -> FetchedToken:
    """Raises LibraryMissing if google-auth is not installed. Looks for the credentials at the first request."""
    try:
        from google import auth  # noqa: PLC0415 - an extra, for those who use it
        from google.auth import credentials, exceptions  # noqa: PLC0415, F401 - as above
        from google.auth.transport.requests import Request  # noqa: PLC0415 - as above
    except ImportError as error:
        raise LibraryMissing(_WHY, "google-auth", "gcp") from error
    return FetchedToken(service, _Default(service, auth, Request()).fetch)


class _Default:
    """Google's default credentials. Of what the library says of a failure only the code is repeated: it may say more.

    `auth` is google-auth, and `asks` its way to make a request.
    """

    def __init__(self, service: str, auth: Any, asks: Callable[..., Any]) -> None:
        self._service = service
        self._auth = auth
        self._asks = asks
        self._found: Any = None

    def fetch(self) -> str:
        known = self._auth.exceptions
        try:
            if self._found is None:
                # with the scopes it would ask another service for the project, and fail where that is out of reach
                found, _ = self._auth.default(request=self._request)
                self._found = self._auth.credentials.with_scopes_if_required(found, [_SCOPE])
            self._renew()
            return str(self._found.token)
        except (known.GoogleAuthError, ValueError, OSError) as error:
            raise self._why(error) from error

    def _request(self, url: str, method: str = "GET", body: Any = None, headers: Any = None, **more: Any) -> Any:
        """As the library asks, but not for two minutes."""
        timeout = _TOKEN_WITHIN if more.pop("timeout", None) is None else _METADATA_WITHIN
        return self._asks(url, method, body, headers, timeout=timeout, **more)

    def _renew(self) -> None:
        """Renews a token that is about to end. Where that fails, it still holds for a while."""
        states, state = self._auth.credentials.TokenState, self._found.token_state
        if state is not states.FRESH:
            try:
                self._found.refresh(self._request)
            except self._auth.exceptions.GoogleAuthError:
                if state is states.INVALID:
                    raise

    def _why(self, error: Exception) -> Failed:
        said, known = " ".join(map(str, error.args)), self._auth.exceptions
        if isinstance(error, known.DefaultCredentialsError) and not os.environ.get(_FILE):
            return none_found(self._service, _LOOKED_FOR, _FIX)
        if _NO_FILE in said or isinstance(error, OSError):
            return no_file(self._service, f"the one that {_FILE} names, or one that it names in turn")
        code = code_in(said, _CODE)
        is_lost = any(isinstance(one, known.TransportError) for one in (error, error.__cause__))
        if (is_lost and not code) or getattr(error, "retryable", False):
            return unanswered(self._service, _BY, is_up=not is_lost)
        return refused(self._service, _BY, code or type(error).__name__, _CHECK)
