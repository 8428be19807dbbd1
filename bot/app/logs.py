"""Logging: an event name plus fields, as JSON lines or for a console.

A log holds neither secrets nor local variables, no whole objects, and nothing that a person typed. So every field is
short and plain, and a trace names its errors by type: what an error says may be a request that someone wrote. Only
errors that another system's answer is mapped to say it, and those of the network.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from redis.exceptions import RedisClusterException, RedisError
from stamina.instrumentation import RetryDetails, set_on_retry_hooks
from structlog.typing import EventDict

from bot.core.record.redact import redact
from bot.errors import ChainBroken, JournalAway, UpstreamError

QUIET = (
    "botocore", "boto3", "urllib3", "httpx", "httpcore", "slack_sdk", "slack_bolt", "docket", "aiohttp.access", "azure",
    "msal",
)  # fmt: skip
SILENT = ("azure.identity", "google.auth")
"""Their warnings are what an identity service answered; tflock says itself what kept it from a token."""

_LONGEST = 300
"""Characters of one field."""

_MOST = 20
"""Members of a list, and steps of a trace."""

_TELLING = (UpstreamError, JournalAway, ChainBroken, OSError, RedisError)
_JOB_FAILED = "↩"
"""How pydocket begins a line about a job that failed: `bot.worker` logs that itself, without its arguments."""

_OF_NO_USE = ("`token` will be unused", "`token` (or SLACK_BOT_TOKEN env variable) will be ignored")
"""What Bolt warns of at every start: that it is given the token by way of the client."""

_REDIS_AWAY = ("Redis is unavailable", "Redis error in")

log = structlog.get_logger()


def set_up(*, form: str, level: str) -> None:
    """`form` is `json` or `console`, `level` a name of `logging`. Libraries speak from warnings on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Short("%(levelname)s %(name)s %(message)s"))
    handler.addFilter(_is_of_use)
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    set_on_retry_hooks([_log_retry])
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _traced,
            _short_fields,
            structlog.processors.JSONRenderer() if form == "json" else console,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _is_of_use(record: logging.LogRecord) -> bool:
    text = str(record.msg)
    if text.startswith(_JOB_FAILED) or any(words in text for words in _OF_NO_USE):
        return False
    return not (record.name.startswith("docket") and _is_about_redis(text, record.exc_info))


def _is_about_redis(text: str, exc_info: object) -> bool:
    """What pydocket says of an absent Redis, several times a second: `bot.app.health` says it once a minute."""
    error = exc_info[1] if isinstance(exc_info, tuple) else None
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return text.startswith(_REDIS_AWAY) or isinstance(error, RedisError | RedisClusterException | OSError)


def trace(error: BaseException) -> str:
    """Where an error came from, the cause first, a line each: its type, and the places in the code, innermost last."""
    return "\n".join(_described(one) for one in reversed(list(_with_causes(error))))


class _Short(logging.Formatter):
    """For the lines of libraries: one line each, and traces as ours."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return _text(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        error = ei[1] if isinstance(ei, tuple) else None
        return trace(error) if isinstance(error, BaseException) else ""


def _log_retry(details: RetryDetails) -> None:
    """One try of stamina's, without the arguments of what is tried."""
    log.warning(
        "retry.scheduled",
        call=details.name,
        number=details.retry_num,
        error=_name(details.caused_by),
        wait_seconds=round(details.wait_for, 2),
        waited_seconds=round(details.waited_so_far, 2),
    )


def _traced(_: object, __: str, fields: EventDict) -> EventDict:
    given = fields.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        fields["exception"] = trace(error)
    return fields


def _short_fields(_: object, __: str, fields: EventDict) -> EventDict:
    """What others wrote is in the fields: the words of an error, a pipeline's name."""
    return {name: value if name == "exception" else _plain(value) for name, value in fields.items()}


def _plain(value: object) -> object:
    match value:
        case str() | datetime() | timedelta() | Path():
            return _text(str(value))
        case Mapping():
            return {_text(str(key)): _plain(part) for key, part in list(value.items())[:_MOST]}
        case list() | tuple() | set() | frozenset():
            return [_plain(part) for part in list(value)[:_MOST]]
        case BaseException():
            return _name(value)
        case _:
            return value if value is None or isinstance(value, bool | int | float) else type(value).__name__


def _text(text: str) -> str:
    bare = redact(text)
    return bare if len(bare) <= _LONGEST else f"{bare[:_LONGEST]}…"


def _name(error: BaseException) -> str:
    name = type(error).__qualname__
    return f"{name}: {_text(str(error))}" if isinstance(error, _TELLING) else name


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen, now = set[int](), error
    while id(now) not in seen and len(seen) < _MOST:
        yield now
        seen.add(id(now))
        found = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
        if found is None:
            return
        now = found


def _described(error: BaseException) -> str:
    steps = traceback.extract_tb(error.__traceback__)[-_MOST:]
    places = [f"{'/'.join(Path(step.filename).parts[-3:])}:{step.lineno} in {step.name}" for step in steps]
    inner = [_described(one) for one in error.exceptions[:_MOST]] if isinstance(error, BaseExceptionGroup) else []
    return "\n".join([f"{_name(error)} at {' > '.join(places) or 'no place'}", *inner])
