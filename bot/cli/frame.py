"""What every command does: read the configuration, run, print, and end with an exit code."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from bot.core.record.redact import redact, redacted
from bot.errors import ChainBroken, ConfigInvalid, JournalAway, TflockError, UnknownState

if TYPE_CHECKING:
    from bot.config.settings import Config

OK, FAILED, WRONG, TIMED_OUT = 0, 1, 2, 3
"""The exit codes. `WRONG` is how the command was used (an unknown state too), or the configuration."""

DEFAULT_PATH = "tflock.yml"
"""The configuration that is read if `TFLOCK_CONFIG` names none."""

_MOST_SHOWN = 30
"""So many problems are listed at once."""

_MOST_NAMED = 20

T = TypeVar("T")


def configuration(*, need_slack: bool = True, need_tokens: bool = True) -> Config:
    """Ends the command with all problems if there are any."""
    from bot.app import logs  # noqa: PLC0415 - `explain` and `verify` need neither
    from bot.config.load import load  # noqa: PLC0415 - as above

    try:
        path = os.environ.get("TFLOCK_CONFIG") or DEFAULT_PATH
        config = load(path, os.environ, need_slack=need_slack, need_tokens=need_tokens)
    except ConfigInvalid as invalid:
        count, shown = len(invalid.problems), invalid.problems[:_MOST_SHOWN]
        listed = "".join(f"\n  {problem}" for problem in shown)
        listed += f"\n  … and {count - len(shown)} more, once these are fixed" if count > len(shown) else ""
        fail(f"The configuration has {count} problem{'s' if count != 1 else ''}:{listed}", WRONG)
    # the answers of the commands that only read say themselves what went wrong
    is_quiet = not need_slack and not os.environ.get("LOG_LEVEL", "").strip()
    logs.set_up(form=config.log_format, level="error" if is_quiet else config.log_level)
    return config


def run(work: Coroutine[Any, Any, T]) -> T:
    """Ends the command with the words of the error if there is one."""
    try:
        return asyncio.run(work)
    except UnknownState as error:
        meant = f" Did you mean {error.nearest}?" if error.nearest else ""
        more = f" and {len(error.known) - _MOST_NAMED} more" if len(error.known) > _MOST_NAMED else ""
        known = ", ".join(error.known[:_MOST_NAMED]) or "none"
        left_out = "".join(f"\n  {problem}" for problem in error.left_out)
        fail(f"There is no state called {error.name}.{meant} Configured: {known}{more}{left_out}", WRONG)
    except ConfigInvalid as invalid:
        fail("\n".join(invalid.problems), WRONG)
    except JournalAway as error:
        fail(error.with_fix, FAILED)
    except TflockError as error:
        fail(str(error), FAILED)


def checked(work: Callable[[], T], file: str) -> T:
    """Reads a file that must be an unaltered export."""
    try:
        return work()
    except ChainBroken as broken:
        fail(f"{file}: the chain is broken at {broken}", FAILED)
    except TflockError as error:
        fail(str(error), FAILED)


def fail(words: str, code: int) -> NoReturn:
    raise typer.Exit(complain(words, code))


def complain(words: str, code: int = FAILED) -> int:
    typer.echo(redact(words), err=True)
    return code


def output(said: Mapping[str, object] | Iterable[str]) -> None:
    """A mapping as one JSON document, anything else as lines; in neither is a secret."""
    is_document = isinstance(said, Mapping)
    typer.echo(json.dumps(redacted(said), indent=2, ensure_ascii=False) if is_document else redact("\n".join(said)))
