"""A task's lines in CloudWatch Logs: where they are, and how they are read.

Source: "Using the awslogs driver" of the ECS developer guide (a stream is `PREFIX/CONTAINER/TASK`), and `GetLogEvents`
of the CloudWatch Logs API: a page has 10,000 events or 1 MiB; the end is where the forward token stays the same.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from bot.ci.ecs.api import EcsApi, LogStream
from bot.core.joblog.reader import LogReader
from bot.http.client import Portion
from bot.http.pages import MOST_PAGES
from bot.http.values import Json, inner, objects, text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_A_TIME = 500


def stream_of(container: Json, task: str) -> LogStream | None:
    """Where a container of a task definition logs to; None where that is not known, or is not CloudWatch Logs."""
    configuration = inner(container, "logConfiguration")
    options = inner(configuration, "options")
    group, prefix = text(options.get("awslogs-group")), text(options.get("awslogs-stream-prefix"))
    name = text(container.get("name"))
    if configuration.get("logDriver") != "awslogs" or not (group and prefix and name):
        return None
    return LogStream(group, f"{prefix}/{name}/{task}", text(options.get("awslogs-region")) or None)


async def pour(api: EcsApi, stream: LogStream, about: str, into: LogReader, portion: Portion) -> bool:
    """Sends a stream through the reader; True if it was read to its end. Raises Failed, or Absent."""
    token, left = None, portion.head
    for _ in range(MOST_PAGES):
        page = await api.events(stream, about, token, from_head=True)
        left -= await _read(page, into)
        following = text(page.get("nextForwardToken"))
        if not following or following == token:
            return True
        if left <= 0:
            break
        token = following
    into.gap()
    await _read(await api.events(stream, about, None, from_head=False), into)
    return False


async def _read(page: Json, into: LogReader) -> int:
    """How long the page's lines are."""
    size = 0
    for number, event in enumerate(objects(page.get("events"))):
        message, millis = text(event.get("message")), event.get("timestamp")
        for line in message.split("\n"):
            into.line(line, _instant(millis))
        size += len(message)
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)
    return size


def _instant(millis: object) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=millis) if isinstance(millis, int) else None
    except OverflowError:
        return None
