"""Logging: an event name plus fields, as JSON lines or for a console. Never shows local variables or secrets."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict

from bot.core.record.redact import redact

_QUIET = ("botocore", "boto3", "urllib3", "httpx", "httpcore", "slack_sdk", "slack_bolt", "docket", "aiohttp.access")


def set_up(*, form: str, level: str) -> None:
    """`form` is `json` or `console`, `level` a name of `logging`. Libraries speak from warnings on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    plain = structlog.dev.RichTracebackFormatter(show_locals=False)
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    as_json = (structlog.processors.format_exc_info, _without_secrets, structlog.processors.JSONRenderer())
    logging.basicConfig(stream=sys.stderr, level=number, format="%(levelname)s %(name)s %(message)s", force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(as_json if form == "json" else (_without_secrets, console)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _without_secrets(_: object, __: str, fields: EventDict) -> EventDict:
    """What others wrote is in the fields: the words of an error, a pipeline's name."""
    return {name: redact(value) if isinstance(value, str) else value for name, value in fields.items()}
