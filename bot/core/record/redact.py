"""Takes secrets out of text before it is recorded, exported, filed or shown.

A secret is replaced by a mark that names its kind, so that a reader knows what was there. What a secret looks like is
in the tables of `bot.core.record.secrets`; docs/adr/0010 says why these are ours and not a library's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bot.core.record.secrets import names, wire
from bot.core.record.secrets.blocks import without_columns, without_keys, without_kubernetes
from bot.core.record.secrets.forms import without_marked, without_tokens
from bot.core.record.secrets.marking import put
from bot.core.record.secrets.rows import ROWS
from bot.core.record.secrets.typed import without_typed

_REMOVED = "[secret removed]"
_SHORTEST = len("pw=123")
_TABLES = (ROWS, wire.WIRE, names.NAMED, names.ABROAD, names.SAID, names.SPOKEN, names.LIKELY)


def redact(text: str) -> str:
    """The text without the secrets that can be recognised. Redacting twice changes nothing more."""
    if len(text) < _SHORTEST:
        return text
    text = without_marked(without_tokens(without_columns(without_kubernetes(without_keys(text)))))
    if _SIGN.search(text) is None:
        return text
    return without_typed(put(_TABLES, text))


_SIGN = re.compile("[ :=<%\t|,;\uff1a\uff1d]")
"""Without any of these there is neither a name with a value, nor an address, nor a command line, nor a list."""


def redacted(value: object) -> object:
    """JSON without secrets: neither in its texts and names, nor under a telling name."""
    return _redacted(value, secret=False)


def texts_redacted(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without the secrets in its texts. Its names are the program's own and hold none."""
    return {name: _text_redacted(value) for name, value in record.items()}


def _text_redacted(value: object) -> object:
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {name: _text_redacted(part) for name, part in value.items()}
        case list() | tuple():
            return [_text_redacted(part) for part in value]
        case _:
            return value


@lru_cache(4096)
def is_telling(name: str) -> bool:
    """Whether a value under this name is a secret: `password`, `clientSecret`, `GITHUB_TOKEN`."""
    return names.is_named_secret(name)


def hidden(value: object) -> object:
    """What is shown in place of a value under a telling name. Nothing at all stays nothing."""
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str) and value.startswith("[") and value.endswith(" removed]"):
        return value
    return _REMOVED


def _redacted(value: object, *, secret: bool) -> object:
    match value:
        case Mapping():
            return {
                redact(str(name)): _redacted(part, secret=secret or is_telling(str(name)))
                for name, part in value.items()
            }
        case list() | tuple():
            return [_redacted(part, secret=secret) for part in value]
        case _ if secret:
            return hidden(value)
        case str():
            return redact(value)
        case _:
            return value
