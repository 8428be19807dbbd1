"""The way to AWS: botocore clients (boto3's core), made once, shared by all backends, and run in threads."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, CredentialResolver, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session

from bot.aws.errors import translated
from bot.aws.sending import watch
from bot.aws.shape import demand

T = TypeVar("T")

_SERVICES = ("dynamodb", "s3", "cloudwatch")


@dataclass(frozen=True, slots=True)
class Access:
    """One way into AWS; all who use the same share their clients. None is botocore's own default."""

    region: str | None = None
    endpoint_url: str | None = None
    assume_role: str | None = None


class AwsClients:
    """Makes and keeps one client for each service and access. Construction does no I/O and reads no credentials.

    Time-outs are in seconds and hold for each connect and each wait for bytes. botocore makes one attempt: retries
    are the caller's, who must know of each one.
    """

    def __init__(self, *, connect_timeout: float = 2.0, read_timeout: float = 5.0, threads: int = 32) -> None:
        self._config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            max_pool_connections=threads,
            retries={"total_max_attempts": 1, "mode": "standard"},
            user_agent="tflock",  # botocore's own is put together for each request, a sixth of all its work
            # stores that only resemble S3 know nothing of the newer checksums
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._limiter = anyio.CapacityLimiter(threads)
        self._making = threading.Lock()
        self._sessions: dict[tuple[str | None, str | None, str | None], Session] = {}
        self._clients: dict[tuple[str, Access], Any] = {}

    async def run(self, work: Callable[[], T]) -> T:
        """Runs blocking work in a thread. Cancelling the caller does not wait for the thread."""
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)

    async def warm(self, accesses: Iterable[Access]) -> None:
        """Makes the clients now, in a thread, since the first one of a service takes some 100 ms.

        Raises UpstreamError if one cannot be made (no region, say).
        """
        for access in dict.fromkeys(accesses):
            for service in _SERVICES:
                await self.run(partial(self._warm, service, access))

    def client(self, service: str, access: Access) -> Any:
        """The client; made at the first call. Blocking: for threads only. Raises botocore's errors."""
        found = self._clients.get((service, access))
        if found is not None:
            return found
        with self._making:  # sessions are not thread-safe, clients are
            return self._clients.setdefault((service, access), self._make(service, access))

    async def aclose(self) -> None:
        """Closes the connections of all clients."""
        clients, self._clients = list(self._clients.values()), {}
        await self.run(lambda: [client.close() for client in clients])

    def _warm(self, service: str, access: Access) -> None:
        with translated(f"{service}:*", "anything"):
            self.client(service, access)

    def _make(self, service: str, access: Access) -> Any:
        create = partial(
            self._session(access).create_client, service, region_name=access.region, endpoint_url=access.endpoint_url
        )
        made = create(config=self._config)
        if service != "s3" or is_amazons(made.meta.endpoint_url):
            return demand(watch(made))
        made.close()
        return demand(watch(create(config=self._config.merge(Config(s3={"addressing_style": "path"})))))

    def _session(self, access: Access) -> Session:
        key = (access.region, access.assume_role, access.endpoint_url if access.assume_role else None)
        if key not in self._sessions:
            session = _new_session()
            if access.assume_role:
                provider = _AssumedRole(access, self._config)
                session.register_component("credential_provider", CredentialResolver([provider]))
            self._sessions[key] = session
        return self._sessions[key]


class _AssumedRole:
    """A botocore credential provider: asks STS at the first use, and again before the credentials expire."""

    METHOD = "assume-role"
    CANONICAL_NAME = None

    def __init__(self, access: Access, config: Config) -> None:
        self._access = access
        self._config = config

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(refresh_using=self._fetch, method=self.METHOD)

    def _fetch(self) -> Any:
        session = _new_session()
        source = session.get_credentials()
        if source is None:
            raise NoCredentialsError
        sts = partial(
            session.create_client,
            region_name=self._access.region,
            endpoint_url=self._access.endpoint_url,
        )
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda service, **keys: sts(service, **{**keys, "config": self._config}),
            source_credentials=source,
            role_arn=self._access.assume_role,
            extra_args={"RoleSessionName": "tflock"},
        )
        return fetcher.fetch_credentials()


def _new_session() -> Session:
    session = Session()
    session.register_component("data_loader", _models())
    return session


@cache
def _models() -> Loader:
    """Botocore's descriptions of the services: they are large and never change, so one process reads them once."""
    return _Models(file_loader=_Files())


class _Models(Loader):  # type: ignore[misc]  # botocore has no types
    """Takes each folder for a service. Botocore looks into all 400 of them, once for every kind of file, which is a
    fifth of what making the clients costs. A folder without the file is still an error when the file is read.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's signature
        return [name for place in self.search_paths if os.path.isdir(place) for name in os.listdir(place)]  # noqa: PTH112, PTH208 - botocore's paths are texts


class _Files(JSONFileLoader):  # type: ignore[misc]  # as above
    """Reads into dictionaries, which keep their order too: botocore's `OrderedDict` takes twice the time and room."""

    def load_file(self, file_path: str) -> Any:
        """None if there is no such file. Its name is given without its ending."""
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            try:
                with opened(f"{file_path}{ending}", "rb") as file:
                    return json.load(file)
            except FileNotFoundError:
                continue
        return None


def is_amazons(endpoint: str) -> bool:
    """Whether AWS itself answers there, not a store that resembles it."""
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
