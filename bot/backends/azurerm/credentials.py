"""Azure's credentials: a shared access signature, or what azure-identity finds (Entra ID, managed identity, workload
identity).

Source: `DefaultAzureCredential` of azure-identity, which keeps its tokens and renews them.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from pydantic import SecretStr

from bot.backends.credentials import FetchedToken
from bot.errors import ConfigInvalid

_SCOPE = "https://storage.azure.com/.default"
MISSING = (
    "an azurerm backend without sas_token_env uses Azure's default credentials, which need azure-identity: "
    'install it with: pip install "tflock[azure]"'
)


class SharedAccessSignature:
    """A signature that goes into the query of each request."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    async def headers(self) -> Mapping[str, str]:
        return {}

    def params(self) -> Mapping[str, str]:
        return dict(parse_qsl(self._token.get_secret_value().lstrip("?"), keep_blank_values=True))


def default_credentials(service: str) -> FetchedToken:
    """Raises ConfigInvalid if azure-identity is not installed. Looks for the credentials at the first request."""
    try:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - an extra, for those who use it
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ConfigInvalid((MISSING,)) from error
    credential = DefaultAzureCredential()

    def fetch() -> str:
        return str(credential.get_token(_SCOPE).token)

    return FetchedToken(service, fetch, (AzureError,))
