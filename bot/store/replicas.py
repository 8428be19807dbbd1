"""Makes a write as durable as the deployment can: on a replica too, where the Redis has any.

A fail-over loses what only the old primary knew. Sources: WAIT and INFO replication of Redis. WAIT is about the writes
of its own connection, so it follows a write there: replicas take all writes in their order. What was written may have
been lost before that: so it is read again where the WAIT was answered, and the caller looks whether it is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import ResponseError

from bot.errors import JournalAway, NotReplicated
from bot.store.connect import Client, answering
from bot.store.refusals import away

PATIENCE = 1000
"""Milliseconds that a replica may take; its answer comes at once where it lives."""

_REMEMBERED = 24 * 3600
"""Seconds for which a Redis that had a replica is taken for one that has: Redis forgets a silent one after a minute."""

_ASKED = "tflock:replica-asked"
_SEEN = "tflock:replica-seen"


async def reach_a_replica(client: Client, key: str, *question: str) -> Any:
    """Returns when all that was written beside `key` so far is on a replica, or if there never was one.

    The answer to the `question`, a command about that key, is from the very Redis that confirmed it, and from then.
    Raises NotReplicated if none confirms it in time, JournalAway if Redis does not answer. A Redis that forbids INFO
    is taken for one without replicas.
    """
    _, found = await _reached(client, key, (), question)
    return found


async def write_to_a_replica(client: Client, key: str, write: Sequence[str], question: Sequence[str]) -> Any:
    """As `reach_a_replica` right after the `write`, in the same trip: the answers to both. The write may come twice."""
    (answer,), found = await _reached(client, key, (write,), question)
    return answer, found


async def _reached(
    client: Client, key: str, writes: Sequence[Sequence[str]], question: Sequence[str]
) -> tuple[Sequence[Any], Any]:
    async with answering():
        seen_key, asked_key = beside(key)
        *answers, seen, info, found = await on_one_connection(
            client, key, *writes, ("GET", seen_key), ("INFO", "replication"), question
        )
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise away(answer)
        connected = 0 if isinstance(info, ResponseError) else _connected(info)
        if connected or (seen and not isinstance(info, ResponseError)):
            write = ("SET", seen_key, "1", "EX", str(_REMEMBERED))
            write = write if connected else ("SET", asked_key, "1", "PX", "1000")
            _, reached, found = await on_one_connection(client, key, write, ("WAIT", "1", str(PATIENCE)), question)
            if isinstance(reached, ResponseError):
                raise JournalAway(f"Redis: {reached}")
            if int(reached) < 1:
                raise NotReplicated("the write did not reach a replica of Redis")
    if isinstance(found, ResponseError):
        raise JournalAway(f"Redis: {found}")
    return answers, found


def _connected(info: Any) -> int:
    if isinstance(info, dict):
        return int(info.get("connected_slaves", 0))
    found = re.search(r"connected_slaves:(\d+)", info.decode() if isinstance(info, bytes) else str(info))
    return int(found[1]) if found else 0


async def on_one_connection(client: Client, key: str, *commands: Sequence[str]) -> list[Any]:
    """The answers to the commands, or their errors, all on one connection of the node that has the key."""
    if not isinstance(client, RedisCluster):
        async with client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return list(await pipe.execute(raise_on_error=False))
    await client.initialize()
    node = client.get_node_from_key(key)
    if node is None:
        raise JournalAway("Redis: no node of the cluster has this key")
    connection = node.acquire_connection()
    try:
        return [await _one(connection, command) for command in commands]
    except BaseException:
        await connection.disconnect()  # an answer may be on its way that is nobody's
        raise
    finally:
        node.release(connection)


async def _one(connection: Any, command: Sequence[str]) -> Any:
    await connection.send_command(*command)
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def beside(key: str) -> tuple[str, str]:
    """What `reach_a_replica` writes beside a key."""
    return _beside(key, _SEEN), _beside(key, _ASKED)


def _beside(key: str, name: str) -> str:
    """A key in the same slot of a cluster: Redis hashes what is in the first braces, or else all of it."""
    opening = key.find("{")
    closing = key.find("}", opening + 1)
    return f"{name}:{{{key[opening + 1 : closing] if 0 <= opening < closing - 1 else key}}}"
