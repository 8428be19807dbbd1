"""What people type after `/tflock` or `@tflock`, as values. Pure; never raises.

Text comes as Slack sends it: `&amp;`, `&lt;` and `&gt;` escaped, users as `<@U123|name>`, addresses as `<https://…>`,
and with the dashes, quotes and spaces that phones put in. An unknown word and a wrong argument become
`Misunderstood`, which changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

from bot.core.nearest import did_you_mean
from handlers._typed_text import Tail, argument, is_mark, readable, typed

_DEFAULT_COUNT = 20
_HIGHEST_COUNT = 1000
_FLAGS = ("--dry-run", "--when-safe")
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_AT_CLOCK = re.compile(r"(?:^|\s)at\s+(\d{1,2}):(\d{2})\s*$", re.IGNORECASE | re.ASCII)
_AGO = re.compile(r"(?:^|\s)(?:at\s+)?[-\u2010-\u2015\u2212](\d{1,4})(m|h)\s*$", re.IGNORECASE | re.ASCII)
_HOURS, _MINUTES = range(24), range(60)


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day by the asker's clock: the last such time that is not in the future."""

    hour: int
    minute: int


@dataclass(frozen=True, slots=True)
class Ago:
    """So long before now."""

    span: timedelta


@dataclass(frozen=True, slots=True)
class Help:
    """`command` is a known word, or None for all of them."""

    command: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """None: all states."""

    state: str | None = None


@dataclass(frozen=True, slots=True)
class Who:
    """At most one of the two is given."""

    state: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unlock:
    """With `dry_run` nothing is armed or released, whatever else is given. `reason` is None where none was given."""

    state: str
    dry_run: bool = False
    when_safe: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class KillJob:
    """`target` is a state, a run's address or a run's id, as it was typed."""

    target: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The last `count` entries."""

    count: int = _DEFAULT_COUNT


@dataclass(frozen=True, slots=True)
class Note:
    """`at` None: now."""

    text: str
    at: ClockTime | Ago | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    state: str


@dataclass(frozen=True, slots=True)
class Explain:
    error: str


@dataclass(frozen=True, slots=True)
class Open:
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    pass


@dataclass(frozen=True, slots=True)
class Export:
    pass


class Mistake(StrEnum):
    UNKNOWN_WORD = "unknown word"
    WRONG_ARGUMENT = "wrong argument"


@dataclass(frozen=True, slots=True)
class Misunderstood:
    """What could not be read. `word` is the asker's own and must be escaped; `detail` is ours.

    `nearest` is the known word or flag that was probably meant. `command` and `usage` are those of the command whose
    argument is wrong; None for an unknown word.
    """

    kind: Mistake
    word: str | None
    nearest: str | None = None
    command: str | None = None
    usage: str | None = None
    detail: str = ""


Command: TypeAlias = (
    Help | Status | Who | Unlock | KillJob | Timeline | Note | Watch | Explain | Open | Close | Export | Misunderstood
)


def parse(text: str) -> Command:
    """The command that the text gives. Empty text asks for help."""
    tail = typed(text)
    first, tail = tail.split()
    if first.lower() in {"/tflock", "tflock", "@tflock"}:
        first, tail = tail.split()
    word = first.rstrip(":,.!")
    if not word or word.lower() in {"?", "--h", "--help"}:
        return Help()
    form = form_of(word)
    if form is None:
        return _unknown(word)
    if [argument(part).lower() for part in tail.words] in (["--help"], ["--h"]):
        return Help(form.name)
    result = form.read(tail)
    if isinstance(result, _Wrong):
        return Misunderstood(
            Mistake.WRONG_ARGUMENT, result.word, result.nearest, form.name, f"/tflock {form.usage}", result.detail
        )
    return result


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Why an argument is wrong; `word` is the culprit, where there is one."""

    detail: str
    word: str | None = None
    nearest: str | None = None


def _one_name(words: Sequence[str], *, kind: str, flags: Sequence[str] = ()) -> str | _Wrong:
    """The only argument that is there."""
    names = [argument(word) for word in words]
    if not names or not names[0]:
        return _Wrong(f"it needs {kind}")
    for name in names:
        if name.startswith("--"):
            return _Wrong("it has no such flag", name, did_you_mean(name, flags))
        if is_mark(name):
            return _Wrong(f"that is not {kind}", readable(name))
    if len(names) > 1:
        return _Wrong("it takes one argument, and this is one more", names[1])
    return names[0]


def _reason(tail: Tail | None) -> str | _Wrong | None:
    if tail is None:
        return None
    return tail.text or _Wrong("the reason after `because` is missing", "because")


def _read_help(tail: Tail) -> Command | _Wrong:
    word, rest = tail.split()
    if rest.words:
        return _Wrong("it takes one argument, and this is one more", argument(rest.words[0]))
    form = form_of(word)
    return Help(form.name if form else None) if form or not word else _unknown(word)


def _read_status(tail: Tail) -> Command | _Wrong:
    if not tail.words:
        return Status()
    name = _one_name(tail.words, kind="the name of a state")
    return name if isinstance(name, _Wrong) else Status(name)


def _read_who(tail: Tail) -> Command | _Wrong:
    words = tail.words
    if not words:
        return Who()
    user = _USER.fullmatch(words[0])
    if user and len(words) == 1:
        return Who(user_id=user[1])
    name = _one_name(words, kind="a state or a member of this workspace")
    return name if isinstance(name, _Wrong) else Who(state=name)


def _read_unlock(tail: Tail) -> Command | _Wrong:
    before, after = tail.until_because()
    flags = {word.lower() for word in map(argument, before) if word.lower() in _FLAGS}
    names = [word for word in before if argument(word).lower() not in _FLAGS]
    name, reason = _one_name(names, kind="a state", flags=_FLAGS), _reason(after)
    if isinstance(name, _Wrong):
        return name
    if isinstance(reason, _Wrong):
        return reason
    return Unlock(name, dry_run="--dry-run" in flags, when_safe="--when-safe" in flags, reason=reason)


def _read_kill(tail: Tail) -> Command | _Wrong:
    before, after = tail.until_because()
    name, reason = _one_name(before, kind="a state, a run's address or a run's id"), _reason(after)
    if isinstance(name, _Wrong):
        return name
    return reason if isinstance(reason, _Wrong) else KillJob(name, reason)


def _read_timeline(tail: Tail) -> Command | _Wrong:
    if not tail.words:
        return Timeline()
    number = tail.text
    if not re.fullmatch(r"[0-9]{1,6}", number) or not 0 < int(number) <= _HIGHEST_COUNT:
        return _Wrong(f"it takes a number from 1 to {_HIGHEST_COUNT}", number)
    return Timeline(int(number))


def _read_note(tail: Tail) -> Command | _Wrong:
    text = tail.text
    clock, ago = _AT_CLOCK.search(text), _AGO.search(text)
    found = clock or ago
    body = text[: found.start()].strip() if found else text
    if not body:
        return _Wrong("the text of the note is missing")
    if clock:
        hour, minute = int(clock[1]), int(clock[2])
        if hour not in _HOURS or minute not in _MINUTES:
            return _Wrong("that is not a time of day", f"{clock[1]}:{clock[2]}")
        return Note(body, ClockTime(hour, minute))
    if ago:
        unit = "minutes" if ago[2].lower() == "m" else "hours"
        return Note(body, Ago(timedelta(**{unit: int(ago[1])})))
    return Note(body)


def _read_watch(tail: Tail) -> Command | _Wrong:
    name = _one_name(tail.words, kind="the name of a state")
    return name if isinstance(name, _Wrong) else Watch(name)


def _read_explain(tail: Tail) -> Command | _Wrong:
    return Explain(tail.text) if tail.text else _Wrong("it needs the text of a Terraform error")


def _read_open(tail: Tail) -> Command | _Wrong:
    return Open(tail.text or None)


def _read_close(tail: Tail) -> Command | _Wrong:
    return _nothing_more(tail) or Close()


def _read_export(tail: Tail) -> Command | _Wrong:
    return _nothing_more(tail) or Export()


def _nothing_more(tail: Tail) -> _Wrong | None:
    return _Wrong("it takes no argument", argument(tail.words[0])) if tail.words else None


@dataclass(frozen=True, slots=True)
class Form:
    """One command: its word, how it is written, and one line on what it does."""

    name: str
    usage: str
    summary: str
    read: Callable[[Tail], Command | _Wrong]
    available: bool = True


FORMS = (
    Form("help", "help [COMMAND]", "show the commands, or one of them", _read_help),
    Form("status", "status [STATE]", "is it locked, by which run, and may it be unlocked", _read_status),
    Form("who", "who [STATE | @user]", "who is behind the lock, and can he be reached", _read_who),
    Form(
        "unlock",
        "unlock STATE [--dry-run] [--when-safe] [because REASON]",
        "check everything, then release the lock after your click",
        _read_unlock,
    ),
    Form(
        "kill-job",
        "kill-job STATE | RUN_URL | RUN_ID [because REASON]",
        "end the run that holds or hammers the lock, and stop its loop",
        _read_kill,
    ),
    Form("timeline", "timeline [N]", "the last entries of this channel's incident", _read_timeline),
    Form("note", "note TEXT [at HH:MM | -12m]", "write a line into the timeline", _read_note),
    Form("watch", "watch STATE", "say when the lock is free", _read_watch, available=False),
    Form("explain", "explain ERROR", "what a Terraform error means, and what to do", _read_explain),
    Form("open", "open [TITLE]", "open an incident in this channel", _read_open),
    Form("close", "close", "close the incident, and export its timeline", _read_close),
    Form("export", "export", "export the timeline now", _read_export, available=False),
)
"""Every command, once: help, usage errors, the manifest's hint and the docs are made of this or checked against it.

`available` is False for what the grammar knows and this version does not do.
"""

_BY_NAME = {form.name: form for form in FORMS}


def form_of(word: str) -> Form | None:
    """The command of this word, in whatever case."""
    return _BY_NAME.get(word.lower())


def usage_hint() -> str:
    """The hint that Slack shows behind `/tflock` while somebody types; 1,000 characters at most."""
    return " | ".join(form.name for form in FORMS)


def _unknown(word: str) -> Misunderstood:
    return Misunderstood(Mistake.UNKNOWN_WORD, readable(word), nearest=did_you_mean(word, _BY_NAME))
