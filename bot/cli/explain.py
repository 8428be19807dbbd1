"""`explain` on the command line: needs neither Slack nor Redis, no token, and no configuration either.

With a configuration it also says to which state the lock in the message belongs. States that a pattern means are
known from what a bot wrote down in Redis; no store is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bot.cli.frame import DEFAULT_PATH, OK, WRONG, complain, output
from bot.core.explain.decode import text_of
from bot.core.explain.explain import NOT_MEANT, Explanation, Meant, answer_of, document_of, explain, would_be
from bot.core.phrase import Quoted, plain
from bot.errors import ConfigInvalid, TflockError

if TYPE_CHECKING:
    from bot.config.settings import Config, StateSettings

_PART = 4 * 1024 * 1024
_REDIS_WITHIN = 3.0


def explain_stream(stream: BinaryIO, environ: Mapping[str, str], *, as_json: bool = False) -> int:
    """Prints what the text is. Returns the exit code: 2 if there is no text."""
    text = text_of(_ends_of(stream))
    if not text.strip():
        return complain("Paste the text of a Terraform error: tflock explain < error.txt", WRONG)
    told = _told(text, environ)
    if as_json:
        output(document_of(told))
    else:
        output([told.title, "", *(plain(line) for line in answer_of(told))])
    return OK


def _ends_of(stream: BinaryIO) -> bytes:
    """All of it, or of a very long one its beginning and its end: what is between them is not kept in memory."""
    head, tail = stream.read(_PART), b""
    while chunk := stream.read(_PART):
        tail += chunk
        spare = max(0, len(tail) - 2 * _PART)
        tail = tail[spare - spare % 2 :]  # a character of UTF-16 has two bytes
    return head + tail


def _told(text: str, environ: Mapping[str, str]) -> Explanation:
    config = _config(environ)
    if config is None:
        return explain(text, {})
    states = {settings.backend.lock_path: name for name, settings in config.states.items()}
    told = explain(text, states)
    if told.state is not None or not config.patterns:
        return told
    found, unknown = _found_before(config)
    states |= {settings.backend.lock_path: name for name, settings in found.items()}
    return explain(text, states, meant=lambda path: _meant(config, path, unknown))


def _config(environ: Mapping[str, str]) -> Config | None:
    """None without a configuration that can be read."""
    path = environ.get("TFLOCK_CONFIG") or DEFAULT_PATH
    if not Path(path).exists():
        return None
    from bot.config.load import load  # noqa: PLC0415 - most who paste an error have no configuration there

    try:
        return load(path, environ, need_slack=False, need_tokens=False)
    except ConfigInvalid:
        return None


def _found_before(config: Config) -> tuple[Mapping[str, StateSettings], bool]:
    """The states that a bot found for the patterns, and whether they could not be read."""
    from bot.app import logs  # noqa: PLC0415 - only a configuration with patterns needs it
    from bot.app.remembered import found_before  # noqa: PLC0415 - as above

    logs.set_up(form=config.log_format, level="error")

    async def read() -> Mapping[str, StateSettings]:
        async with asyncio.timeout(_REDIS_WITHIN):
            return await found_before(config)

    try:
        return asyncio.run(read()), False
    except (TflockError, TimeoutError):
        return {}, True


def _meant(config: Config, path: str, unknown: bool) -> Meant:  # noqa: FBT001 - of one caller
    """Which pattern would mean the state of this path."""
    meant = config.meant(path)
    if meant is None:
        return NOT_MEANT
    why = "What tflock has found could not be read from Redis." if unknown else "tflock has not found it yet."
    return would_be(*meant, f"{why} ", Quoted(f"tflock status {meant[1]}"), " asks the store.")
