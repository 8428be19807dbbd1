"""One secret from a file. Imports nothing that is slow: `claim` must not keep a job waiting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SUFFIX = "_FILE"
_LARGEST = 64 * 1024


class SecretUnreadable(Exception):
    """A secret's file gives no value; the words say why, without anything that is in it."""


def secret_in(path: Path) -> str:
    """What the file has, without white space around it. Raises SecretUnreadable."""
    try:
        with path.open("rb") as file:
            found = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no path"
        raise SecretUnreadable(f"{path} cannot be read: {why}") from None
    if len(found) > _LARGEST:
        raise SecretUnreadable(f"{path} has more than {_LARGEST} bytes: that is no secret")
    try:
        text = found.decode().strip()
    except UnicodeDecodeError:
        raise SecretUnreadable(f"{path} is not UTF-8 text") from None
    if not text:
        raise SecretUnreadable(f"{path} is empty")
    if "\0" in text:  # what a crash leaves of a file; as a key of HMAC it is as good as an empty one
        raise SecretUnreadable(f"{path} has NUL bytes: that is no secret")
    return text


def given_in(environ: Mapping[str, str], name: str) -> Path | None:
    """The file that has the variable's value; None where none is named. Raises SecretUnreadable where both are set."""
    file = environ.get(name + SUFFIX)
    if file is None:
        return None
    if name in environ:
        raise SecretUnreadable(f"is set, and {name} is set, too: leave only one of them")
    return Path(file.strip())
