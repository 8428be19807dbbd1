"""The states of a bucket, by listing it.

Source: "ListObjectsV2" (1,000 keys a page, in order of their bytes, strongly consistent).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from bot.aws.clients import Access, AwsClients
from bot.aws.errors import AwsError, aws_error, system_of, timed_out, translated
from bot.core.evidence import Found, Observation, Trouble
from bot.ports.clock import Clock

_LISTS = "s3:ListBucket"
_MOST_PAGES = 200
_WITHIN = 30.0
_LOCK = ".tflock"


async def states_listed(
    access: Access, clients: AwsClients, clock: Clock, *, bucket: str, beginning: str
) -> Observation[tuple[str, ...]]:
    """The keys that begin so; of a lockfile that of its state. Never raises for what S3 says."""
    at, target = clock.now(), f"s3://{bucket}/{beginning}"
    found, after = dict[str, None](), ""
    try:
        async with asyncio.timeout(_WITHIN):
            for _ in range(_MOST_PAGES):
                keys, is_cut = await clients.run(partial(_page, clients, access, bucket, beginning, after))
                found.update(dict.fromkeys(key.removesuffix(_LOCK) for key in keys))
                if not is_cut:
                    return Found(tuple(found), at)
                after = keys[-1]
    except TimeoutError:
        return timed_out(_LISTS, target).as_observation(at)
    except AwsError as error:
        return error.as_observation(at)
    words = f"{target} has more than {_MOST_PAGES * 1000} objects: begin the pattern's key with more text"
    return aws_error(system_of(_LISTS), words, trouble=Trouble.TOO_MUCH).as_observation(at)


def _page(clients: AwsClients, access: Access, bucket: str, prefix: str, after: str) -> tuple[list[str], bool]:
    """Blocking. Raises AwsError, also for an answer that is no page of a list."""
    target = f"s3://{bucket}/{prefix}"
    with translated(_LISTS, target):
        answer = clients.client("s3", access).list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after)
        keys: list[Any] = [found.get("Key") for found in answer.get("Contents") or ()]
        is_cut = answer.get("IsTruncated")
    is_page = isinstance(is_cut, bool) and all(isinstance(key, str) and key > after for key in keys)
    if not is_page or (is_cut and not keys):
        detail = f"{_LISTS} of {target} brought a list that is not in order"
        raise aws_error(system_of(_LISTS), detail, trouble=Trouble.GARBLED)
    return keys, bool(is_cut)
