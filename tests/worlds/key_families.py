"""What lies in a real Redis, by families of keys, and which of them neither run out nor have a bound."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.store.connect import Client
from bot.store.jobs import DOCKET


@dataclass(frozen=True, slots=True)
class Family:
    """Keys that differ only in an id. `lasting` are those without a time to live; `size` is how much is in all."""

    keys: int
    lasting: tuple[str, ...]
    size: int


_INCIDENT = re.compile(r"tflock:\{inc-[^}]*\}:(\w+)")
_OURS = re.compile(r"(tflock:(?:record|once|lease|list):[^:]+):.*", re.DOTALL)
_CHANNEL = re.compile(r"(tflock:channel):.*")
_DELIVERY = re.compile(r"(tflock:\{deliveries\}):.*")
_QUEUE = re.compile(r"(\{?[\w-]+\}?:[a-z-]+):.*", re.DOTALL)

_SIZES = {"hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN", "string": "STRLEN"}
_PAGE = 500


def family_of(key: str) -> str:
    """The key without what tells it from others of its kind."""
    if found := _INCIDENT.fullmatch(key):
        return f"tflock:{{incident}}:{found[1]}"
    for pattern in (_OURS, _CHANNEL, _DELIVERY):
        if found := pattern.fullmatch(key):
            return f"{found[1]}:*"
    found = None if key.startswith("tflock:") else _QUEUE.fullmatch(key)
    return f"{found[1]}:*" if found else key


async def families(client: Client) -> Mapping[str, Family]:
    """Every key that there is, by its family."""
    keys, lasting, sizes = Counter[str](), dict[str, list[str]](), Counter[str]()
    there = sorted({str(key) async for key in client.scan_iter(count=1_000)})
    for some in (there[start : start + _PAGE] for start in range(0, len(there), _PAGE)):
        async with client.pipeline(transaction=False) as pipe:
            for key in some:
                pipe.pttl(key)
                pipe.type(key)
            said = await pipe.execute()
        kinds = {key: kind for key, kind in zip(some, said[1::2], strict=True) if kind in _SIZES}
        forever = {key for key, left in zip(some, said[::2], strict=True) if left == -1}
        async with client.pipeline(transaction=False) as pipe:
            for key, kind in kinds.items():
                pipe.execute_command(_SIZES[kind], key)
            much = await pipe.execute()
        for key, size in zip(kinds, much, strict=True):  # the others are gone meanwhile
            name = family_of(key)
            keys[name] += 1
            sizes[name] += int(size)
            lasting.setdefault(name, []).extend([key] if key in forever else [])
    return {name: Family(keys[name], tuple(lasting[name]), sizes[name]) for name in sorted(keys)}


_ONE_EACH = frozenset({"tflock:replica-asked", "tflock:replica-seen"})
_OF_QUEUE = frozenset({f"{DOCKET}:{part}" for part in ("queue", "stream", "workers")})
_OF_JOB = re.compile(rf"{DOCKET}:(?:runs:|progress:)?")
_MOST_WAITING = 1_000


async def without_bound(client: Client) -> list[str]:
    """What neither runs out nor has a bound, in words; nothing in a Redis that cannot grow for ever.

    An incident's keys may last while it is open, the indexes as far as there are incidents, the queue's keys as far as
    jobs wait in it or run.
    """
    found = await families(client)
    heads = [key async for key in client.scan_iter("tflock:{*}:head", count=1_000)]
    open_now = {_of(str(head)) for head in heads if not await client.hexists(head, "closed_at")}
    jobs = {str(key) for key in await client.zrange(f"{DOCKET}:queue", 0, -1)}
    under_way: Any = await client.xrange(f"{DOCKET}:stream")
    jobs |= {str(job.get("key")) for _, job in under_way}
    most = {"tflock:incidents": len(heads), "tflock:incidents:open": len(open_now), "tflock:channel:*": len(open_now)}
    most |= dict.fromkeys(_OF_QUEUE, _MOST_WAITING)
    wrong = list[str]()
    for name, family in found.items():
        count = len(family.lasting) if name.endswith("*") else family.size
        if name in most:
            wrong += [f"{name}: {count}, at most {most[name]}"] if family.lasting and count > most[name] else []
        elif name.startswith("tflock:{incident}:"):
            wrong += [key for key in family.lasting if _of(key) not in open_now]
        elif name.startswith(f"{DOCKET}:task-workers"):
            wrong += [f"{name}: {family.keys}"] if family.keys > _MOST_WAITING else []
        elif name.startswith(f"{DOCKET}:"):
            wrong += [key for key in family.lasting if _OF_JOB.sub("", key) not in jobs]
        else:
            wrong += [] if name in _ONE_EACH else family.lasting
    return wrong


def _of(key: str) -> str:
    return key.rpartition(":")[0]
