"""`explain` on the command line: needs neither Slack nor Redis, no token, and no configuration either.

With a configuration it also says to which state the lock in the message belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from bot.cli.frame import DEFAULT_PATH, OK, WRONG, complain, output
from bot.core.explain.decode import text_of
from bot.core.explain.explain import answer_of, document_of, explain
from bot.core.phrase import plain
from bot.errors import ConfigInvalid

_PART = 4 * 1024 * 1024


def explain_stream(stream: BinaryIO, environ: Mapping[str, str], *, as_json: bool = False) -> int:
    """Prints what the text is. Returns the exit code: 2 if there is no text."""
    text = text_of(_ends_of(stream))
    if not text.strip():
        return complain("Paste the text of a Terraform error: tflock explain < error.txt", WRONG)
    told = explain(text, _paths(environ))
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


def _paths(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The configured states by the path of their locks; none without a configuration that can be read."""
    path = environ.get("TFLOCK_CONFIG") or DEFAULT_PATH
    if not Path(path).exists():
        return {}
    from bot.config.load import load  # noqa: PLC0415 - most who paste an error have no configuration there

    try:
        config = load(path, environ, need_slack=False, need_tokens=False)
    except ConfigInvalid:
        return {}
    return {settings.backend.lock_path: name for name, settings in config.states.items()}
