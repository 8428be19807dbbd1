"""From `REDIS_URL` to a client with short time-outs, and from a client's errors to ours.

The forms are those that pydocket, which shares the Redis, takes as well: `redis://`, `rediss://`, `unix://`,
`redis+sentinel://[user:password@]host[:port][,host…]/service[/db]` and
`redis+cluster://[user:password@]host[:port][,host…]`, the last two also with TLS as `rediss+…`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisClusterException, RedisError

from bot.errors import ConfigInvalid, JournalAway
from bot.store.refusals import away

Client: TypeAlias = Redis | RedisCluster

SOCKET_TIMEOUT = 2.0
"""Seconds that one connection or answer may take. Nothing here waits inside Redis."""

DEADLINE = 2.5
"""Seconds that one question to Redis may take, with all its retries."""

_PORT, _SENTINEL_PORT = 6379, 26379
_CLUSTER = ("redis+cluster", "rediss+cluster")
_KNOCK = 1.0
"""Seconds that one host of a cluster may take to be connected to, when another could do as well."""


def connect(url: str) -> Client:
    """A client for the URL; it connects at its first use. Its `repr` shows no password.

    Raises ConfigInvalid for a URL that cannot be one, in words that repeat no part of it that could be secret.
    """
    scheme = url.partition("://")[0]
    maker = _MAKERS.get(scheme)
    if maker is None:
        raise ConfigInvalid((f"REDIS_URL must begin with one of {', '.join(f'{name}://' for name in _MAKERS)}",))
    try:
        return maker(url)
    except _Unfit as problem:
        raise ConfigInvalid((f"REDIS_URL: {problem}",)) from None
    except (ValueError, TypeError, RedisError, RedisClusterException, OSError):
        hint = "check host, port and options; a password with / ? # @ or % in it must be percent-encoded"
        raise ConfigInvalid((f"REDIS_URL is not a {scheme}:// URL that can be read: {hint}",)) from None


def masked(url: str) -> str:
    """The URL for people and logs: without user, password and options; only its form where those hide."""
    scheme, _, rest = url.partition("://")
    front, _, options = rest.partition("?")
    return f"{scheme}://…" if "@" in options else f"{scheme}://{front.rpartition('@')[2]}"


class answering:  # noqa: N801 - used like a function; a generator would cost each append a tenth of its time
    """Turns what keeps Redis from doing what is asked in `limit` seconds, DEADLINE if None, into JournalAway."""

    __slots__ = ("_limit", "_timeout")

    def __init__(self, limit: float | None = None) -> None:
        self._limit = DEADLINE if limit is None else limit
        self._timeout = asyncio.timeout(self._limit)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise JournalAway(f"Redis did not answer within {self._limit:g} s") from late
        if isinstance(error, TimeoutError):
            raise JournalAway(f"Redis did not answer within {self._limit:g} s") from error
        if isinstance(error, RedisError | RedisClusterException | OSError):
            raise away(error) from error


class _Unfit(Exception):
    """What is wrong with the URL, without its secrets."""


def _limits() -> dict[str, Any]:
    return {
        "decode_responses": True,
        "encoding_errors": "replace",  # a broken byte in Redis is found by the chain's hash, not by the decoder
        "max_connections": 1_000,  # at the library's 100 a burst would be refused, not served
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.25), retries=2),
    }


def _single(url: str) -> Redis:
    parts = urlsplit(url)
    if parts.scheme == "unix" and not parts.path:
        raise _Unfit("unix:// needs the path of a socket, as in unix:///run/redis.sock")
    if parts.scheme != "unix" and not parts.hostname:
        raise _Unfit("the host is missing")
    if parts.scheme != "unix":
        _database(parts.path.strip("/"))
    client = Redis.from_url(url, **_limits())
    _try_options(client)
    return client


def _cluster(url: str) -> RedisCluster:
    """Any of the hosts names all nodes of the cluster."""
    scheme, _, rest = url.partition("://")
    place, _, options = rest.partition("?")
    address, _, path = place.partition("/")
    login, _, hosts = address.rpartition("@")
    if path.strip("/") not in {"", "0"}:
        raise _Unfit("a cluster has only database 0")
    given = parse_url(f"redis://?{options}") if options else {}
    tls = {"ssl": True} if scheme.startswith("rediss") else {}
    shared = {**_limits(), **tls, **given, **_login(login)}
    nodes = [ClusterNode(host, port) for host, port in _hosts(hosts, "the host is missing", _PORT)]
    return RedisCluster(startup_nodes=nodes, **shared)


async def entered(url: str) -> str:
    """The URL with one host of a cluster, the first that takes a connection: pydocket takes no more. Others as it is.

    If none does, the first, whose error then says why.
    """
    scheme, separator, rest = url.partition("://")
    place, question, options = rest.partition("?")
    address, slash, path = place.partition("/")
    login, at, hosts = address.rpartition("@")
    if scheme not in _CLUSTER or "," not in hosts:
        return url
    chosen, *_ = named = hosts.split(",")
    for one, (host, port) in zip(named, _hosts(hosts, "the host is missing", _PORT), strict=True):
        try:
            async with asyncio.timeout(_KNOCK):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            continue
        writer.close()
        chosen = one
        break
    return f"{scheme}{separator}{login}{at}{chosen}{slash}{path}{question}{options}"


def _behind_sentinel(url: str) -> Redis:
    scheme, _, rest = url.partition("://")
    tls = {"ssl": True} if scheme.startswith("rediss") else {}
    place, _, options = rest.partition("?")
    address, _, path = place.partition("/")
    login, _, hosts = address.rpartition("@")
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise _Unfit("the name of the service is missing, as in redis+sentinel://host:26379/mymaster")

    given = parse_qs(options)
    watch = {name: given.pop(f"sentinel_{name}")[0] for name in ("username", "password") if f"sentinel_{name}" in given}
    chosen = dict(parse_url(f"redis://?{options}")) if given else {}
    extra = {name: value for name, value in chosen.items() if name in given}
    secure = {name: value for name, value in extra.items() if name.startswith("ssl_")}
    watching = {**_limits(), **tls, **secure, **watch}
    watchers = _hosts(hosts, "the host of a Sentinel is missing", _SENTINEL_PORT)
    sentinel = Sentinel(watchers, sentinel_kwargs=watching)  # type: ignore[no-untyped-call]  # redis-py has no types here
    limits = {**_limits(), "db": _database(database), **tls, **extra, **_login(login)}
    client = Redis.from_pool(_OwningPool(unquote(service), sentinel, **limits))  # type: ignore[no-untyped-call]  # redis-py has no types here
    _try_options(client)
    return client


def _try_options(client: Redis) -> None:
    """Makes a connection object without connecting it: it raises TypeError for an option that no connection knows."""
    client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py has no types here


class _OwningPool(SentinelConnectionPool):
    """Closes the connections to the Sentinels along with its own, which redis-py leaves to nobody."""

    async def aclose(self) -> None:
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def _hosts(text: str, missing: str, port: int) -> list[tuple[str, int]]:
    """Of `host[:port][,host…]`. IPv6 addresses are in brackets."""
    found = [urlsplit(f"//{one}") for one in text.split(",")]
    if not all(parts.hostname for parts in found):
        raise _Unfit(missing)
    return [(parts.hostname or "", parts.port or port) for parts in found]


def _login(text: str) -> Mapping[str, str]:
    user, _, password = text.partition(":")
    both = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in both.items() if value}


def _database(text: str) -> int:
    if text and not text.isdecimal():
        raise _Unfit("the database, after the last /, is a number")
    return int(text or 0)


_MAKERS: dict[str, Callable[[str], Client]] = {
    "redis": _single,
    "rediss": _single,
    "unix": _single,
    "redis+sentinel": _behind_sentinel,
    "rediss+sentinel": _behind_sentinel,
    "redis+cluster": _cluster,
    "rediss+cluster": _cluster,
}
