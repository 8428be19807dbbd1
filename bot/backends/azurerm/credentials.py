"""Azure's credentials: a shared access signature, or what azure-identity finds (Entra ID, managed identity, workload
identity).

Source: `DefaultAzureCredential` of azure-identity, which keeps its tokens and renews them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from httpx import codes
from pydantic import SecretStr

from bot.backends.credentials import (
    FetchedToken,
    LibraryMissing,
    causes_of,
    code_in,
    no_file,
    none_found,
    refused,
    unanswered,
)
from bot.http.client import Failed

_SCOPE = "https://storage.azure.com/.default"
_WHY = "an azurerm backend without sas_token_env uses Azure's default credentials"
_BY = "Microsoft Entra ID, or the machine's identity service,"
_CODE = re.compile(r"AADSTS\d{4,8}")
_DOWN = re.compile(r"HTTP Error: 5\d\d")
"""As MSAL says it."""

_PATIENCE = {"connection_timeout": 2, "read_timeout": 4, "retry_total": 1}
"""Seconds, and tries: the library's own would take minutes."""

_LOOKED_FOR = (
    "an application in AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, a workload identity "
    "(AZURE_FEDERATED_TOKEN_FILE), the managed identity of this machine or pod, and a sign-in of the Azure CLI"
)
_FILES = "the one that AZURE_FEDERATED_TOKEN_FILE or AZURE_CLIENT_CERTIFICATE_PATH names"
_FIX = "give tflock one of them, or a signature with sas_token_env"
_CHECK = (
    "check AZURE_CLIENT_ID, AZURE_TENANT_ID and the secret, or the issuer, the subject and the audience of the "
    "federated credential"
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
    """Raises LibraryMissing if azure-identity is not installed. Looks for the credentials at the first request."""
    try:
        from azure import identity  # noqa: PLC0415 - an extra, for those who use it
        from azure.core import exceptions  # noqa: PLC0415 - as above
    except ImportError as error:
        raise LibraryMissing(_WHY, "azure-identity", "azure") from error
    return FetchedToken(service, _Chain(service, identity, exceptions).fetch)


class _Chain:
    """Azure's default chain. Of what the library says of a failure only the code is repeated: it may say more."""

    def __init__(self, service: str, identity: Any, exceptions: Any) -> None:
        self._service = service
        self._identity = identity
        self._exceptions = exceptions
        self._made: Any = None
        self._no: Exception | None = None

    def fetch(self) -> str:
        self._no = None
        try:
            if self._made is None:
                made = self._identity.DefaultAzureCredential(**_PATIENCE)
                made.credentials = tuple(map(self._watched, made.credentials))
                self._made = made
            return str(self._made.get_token(_SCOPE).token)
        except (self._exceptions.AzureError, ValueError) as error:
            if self._made is not None and self._no is None:
                raise none_found(self._service, _LOOKED_FOR, _FIX) from error
            raise self._why(self._no or error) from error

    def _watched(self, source: Any) -> Any:
        """A source of the chain. Of a failure other than that it is not there the chain would keep only the text."""

        def get_token(*scopes: str, **more: Any) -> Any:
            try:
                return source.get_token(*scopes, **more)
            except self._identity.CredentialUnavailableError:
                raise
            except Exception as error:
                self._no = error
                raise

        return SimpleNamespace(get_token=get_token)

    def _why(self, error: Exception) -> Failed:
        causes, known = [*causes_of(error)], self._exceptions
        if any(isinstance(one, FileNotFoundError | PermissionError) for one in causes):
            return no_file(self._service, _FILES)
        if any(isinstance(one, known.ServiceRequestError | known.ServiceResponseError) for one in causes):
            return unanswered(self._service, _BY, is_up=False)
        statuses = [one.status_code or 0 for one in causes if isinstance(one, known.HttpResponseError)]
        if _DOWN.search(str(error)) or any(status >= codes.INTERNAL_SERVER_ERROR for status in statuses):
            return unanswered(self._service, _BY, is_up=True)
        return refused(self._service, _BY, code_in(str(error), _CODE) or type(error).__name__, _CHECK)
