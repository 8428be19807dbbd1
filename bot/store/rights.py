"""What tflock's user must be allowed in Redis, and what of it is missing: each thing is tried on throw-away keys.

docs/security.md has the ACL that gives all of it. Redis checks the number of arguments before the right, so each
command here is complete; none of them changes anything but its own keys.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from docket import Docket
from redis.exceptions import ExecAbortError, NoPermissionError, ResponseError

from bot.errors import JournalRefused
from bot.store.connect import Client, answering
from bot.store.refusals import NOPERM, RIGHTS
from bot.store.replicas import on_one_connection

_ON_A_KEY = re.compile(r"access (a key|one of the keys|the '.*' key)", re.IGNORECASE)
_UNKNOWN = re.compile(r"unknown command|not supported|not allowed|disabled", re.IGNORECASE)
_HEARD_WITHIN = 1.0

_COMMANDS = """
PING
TIME
EXISTS @k
SET @k 1 PX 5000
GET @k
MGET @k
TTL @k
EXPIRE @k 5
PEXPIRE @k 5000
PERSIST @k
RENAME @k @k
DEL @k
HSET @h f 1
HGET @h f
HMGET @h f
HGETALL @h
HEXISTS @h f
HINCRBY @h f 1
HDEL @h g
ZADD @z 1 m
ZCARD @z
ZCOUNT @z 0 1
ZSCORE @z m
ZRANGE @z 0 1
ZRANGEBYSCORE @z 0 1
ZREMRANGEBYSCORE @z 2 3
ZREM @z n
SADD @s m
SMEMBERS @s
SREM @s n
XADD @x * f v
XLEN @x
XRANGE @x - + COUNT 1
XREVRANGE @x + - COUNT 1
XREAD COUNT 1 STREAMS @x 0
XDEL @x 0-1
XTRIM @x MAXLEN 10
XGROUP CREATE @x g 0
XREADGROUP GROUP g c COUNT 1 STREAMS @x >
XPENDING @x g
XACK @x g 0-1
XCLAIM @x g c 60000 0-1
XAUTOCLAIM @x g c 60000 0-0
PUBLISH @k 1
SCRIPT LOAD return
EVALSHA 0000000000000000000000000000000000000000 1 @k
EVAL return 1 @k
MULTI
EXEC
"""
"""Of the journal, the records and pydocket. `@` marks a key; there is one of each type."""


async def missing_rights(client: Client, docket: Docket, token: str) -> tuple[str, ...]:
    """What is missing, in words: `command XADD`, `keys tflock:*`, `channels *`. Without them no unlock works.

    Tries everything once, on keys with the token in their names, which are gone afterwards. Raises JournalAway if
    Redis does not answer, JournalRefused for what is no matter of rights: a full disk, lost slots.
    """
    own, queue = f"tflock:{{doctor-{token}}}", f"{docket.prefix}:doctor-{token}"
    missing = [*await _of(client, "tflock:*", own), *await _of(client, f"{docket.prefix}:*", queue)]
    if not await _may_listen(client, docket.key("cancel:*")):
        missing.append("channels *")
    return tuple(dict.fromkeys(missing))


def refusal_of(missing: Sequence[str]) -> JournalRefused:
    return JournalRefused(NOPERM, RIGHTS, f"no right to {', '.join(missing)}")


async def _of(client: Client, family: str, front: str) -> list[str]:
    """What is missing for keys that begin with `front`, which all lie in one slot of a cluster."""
    commands = list(_commands(front))
    keys = [f"{front}:{name}" for name in "khzsx"]
    async with answering():
        answers = await on_one_connection(client, f"{front}:k", *commands, ("DEL", *keys))
    found = [_lacks(command, answer, family) for command, answer in zip(commands, answers, strict=False)]
    return list(dict.fromkeys(words for words in found if words))


def _commands(front: str) -> Iterator[Sequence[str]]:
    for line in _COMMANDS.strip().splitlines():
        yield [f"{front}:{word[1:]}" if word.startswith("@") else word for word in line.split()]


def _lacks(command: Sequence[str], answer: object, family: str) -> str:
    """In words what an answer says is missing; empty for any other answer."""
    name = " ".join(command[:2]) if command[0] == "SCRIPT" else command[0]
    text = str(answer)
    if isinstance(answer, NoPermissionError) or (isinstance(answer, ExecAbortError) and "NOPERM" in text):
        if _ON_A_KEY.search(text):
            return f"keys {family}"
        return "channels *" if "channel" in text.lower() else f"command {name}"
    if isinstance(answer, ResponseError) and _UNKNOWN.search(text):
        return f"command {name}"
    return ""


async def _may_listen(client: Client, pattern: str) -> bool:
    """Whether a worker may wait for what is cancelled. An ACL allows a pattern only if it names that very pattern."""
    async with answering():
        listening = client.pubsub()
        try:
            await listening.psubscribe(pattern)
            await asyncio.wait_for(listening.get_message(timeout=_HEARD_WITHIN), _HEARD_WITHIN)
        except NoPermissionError:
            return False
        finally:
            await listening.aclose()  # type: ignore[no-untyped-call]  # redis-py has no types here
    return True
