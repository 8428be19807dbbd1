"""Google's default credentials: a key file, workload identity federation, impersonation, or the machine's account.

Source: `google.auth.default` and `google.auth.credentials.TokenState` of google-auth.
"""

from __future__ import annotations

from typing import Any

from bot.backends.credentials import FetchedToken
from bot.errors import ConfigInvalid

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
MISSING = (
    "a gcs backend without access_token_env uses Google's default credentials, which need google-auth: "
    'install it with: pip install "tflock[gcp]"'
)


def default_credentials(service: str) -> FetchedToken:
    """Raises ConfigInvalid if google-auth is not installed. Looks for the credentials at the first request."""
    try:
        import google.auth  # noqa: PLC0415 - an extra, for those who use it
        import google.auth.exceptions  # noqa: PLC0415 - as above
        from google.auth.transport.urllib3 import Request  # noqa: PLC0415 - as above
        from urllib3 import PoolManager  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ConfigInvalid((MISSING,)) from error
    found: list[Any] = []
    request = Request(PoolManager(timeout=5.0, retries=1))  # type: ignore[no-untyped-call]  # of google-auth

    def fetch() -> str:
        if not found:
            credentials, _ = google.auth.default(scopes=[_SCOPE], request=request)
            found.append(credentials)
        if not found[0].valid:
            found[0].refresh(request)
        return str(found[0].token)

    return FetchedToken(service, fetch, (google.auth.exceptions.GoogleAuthError,))
