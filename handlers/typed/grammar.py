"""What people type after `/tflock` or `@tflock`, as values. Pure; never raises.

Text comes as Slack sends it: `&amp;`, `&lt;` and `&gt;` escaped, users as `<@U123|name>`, addresses as `<https://…>`,
and with the dashes, quotes and spaces that phones put in. An unknown word and a wrong argument become
`Misunderstood`, which changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.core.nearest import did_you_mean
from bot.core.record.revision import Marking
from handlers.typed.command import (
    Capture,
    Close,
    Command,
    Edit,
    Explain,
    Export,
    Help,
    KillJob,
    Mark,
    Mistake,
    Misunderstood,
    Note,
    Open,
    Reopen,
    Status,
    Timeline,
    Title,
    Unlock,
    Watch,
    Who,
    name_of,
)
from handlers.typed.moments import Ago, ClockTime, Moment, NotATime, moment, span
from handlers.typed.text import Tail, argument, is_mark, readable, typed

__all__ = [
    "FORMS",
    "Ago",
    "Capture",
    "ClockTime",
    "Close",
    "Command",
    "Edit",
    "Explain",
    "Export",
    "Form",
    "Help",
    "KillJob",
    "Mark",
    "Marking",
    "Mistake",
    "Misunderstood",
    "Moment",
    "Note",
    "Open",
    "Reopen",
    "Status",
    "Timeline",
    "Title",
    "Unlock",
    "Watch",
    "Who",
    "form_of",
    "name_of",
    "parse",
    "usage_hint",
]

_HIGHEST_COUNT = 1000
_FLAGS = ("--dry-run", "--when-safe")
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


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
    text, at = moment(tail.text)
    if isinstance(at, NotATime):
        return _Wrong("that is not a time", at.word)
    return Note(text, at) if text else _Wrong("the text of the note is missing")


def _read_edit(tail: Tail) -> Command | _Wrong:
    number, rest, reason = _entry(tail)
    if isinstance(number, _Wrong):
        return number
    if isinstance(reason, _Wrong):
        return reason
    text, at = moment(rest)
    if isinstance(at, NotATime):
        return _Wrong("that is not a time", at.word)
    if not text and at is None:
        return _Wrong("it needs the new text, the new time (at 14:05), or both")
    return Edit(number, text or None, at, reason)


def _read_mark(how: Marking) -> Callable[[Tail], Command | _Wrong]:
    def read(tail: Tail) -> Command | _Wrong:
        number, rest, reason = _entry(tail)
        if isinstance(number, _Wrong):
            return number
        if isinstance(reason, _Wrong):
            return reason
        return _Wrong("it takes one number, and this is more", rest) if rest else Mark(number, how, reason)

    return read


def _entry(tail: Tail) -> tuple[int | _Wrong, str, str | _Wrong | None]:
    """The number of an entry, what follows it, and the reason behind `because`."""
    word, rest = tail.split()
    number = word.removeprefix("#")
    if not re.fullmatch(r"[0-9]{1,7}", number) or not int(number):
        return _Wrong("it needs the number of an entry, as /tflock timeline shows it", word or None), "", None
    before, because, after = rest.split_because()
    return int(number), before, _reason(after) if because else None


def _read_capture(tail: Tail) -> Command | _Wrong:
    words = [argument(word) for word in tail.words]
    marked = [word.lower() for word in words if word.lower() == "marked"]
    since = " ".join(word for word in words if word.lower() not in {"marked", "since"})
    if not since:
        return Capture(marked_only=bool(marked))
    found = span(since) or moment(f"at {since}")[1]
    if found is None or isinstance(found, NotATime):
        return _Wrong("it takes a time (11:00, yesterday 23:50) or how far back (2h)", since)
    return Capture(found, marked_only=bool(marked))


def _read_watch(tail: Tail) -> Command | _Wrong:
    words = tail.words
    off = len(words) > 1 and argument(words[-1]).lower() == "off"
    name = _one_name(words[:-1] if off else words, kind="the name of a state")
    return name if isinstance(name, _Wrong) else Watch(name, off=off)


def _read_explain(tail: Tail) -> Command | _Wrong:
    return Explain(tail.text) if tail.text else _Wrong("it needs the text of a Terraform error")


def _read_open(tail: Tail) -> Command | _Wrong:
    return Open(tail.text or None)


def _read_close(tail: Tail) -> Command | _Wrong:
    return _nothing_more(tail) or Close()


def _read_reopen(tail: Tail) -> Command | _Wrong:
    if not tail.words:
        return Reopen()
    name = _one_name(tail.words, kind="the id of an incident")
    return name if isinstance(name, _Wrong) else Reopen(name)


def _read_title(tail: Tail) -> Command | _Wrong:
    return Title(tail.text) if tail.text else _Wrong("the title is missing")


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
    Form(
        "note",
        "note TEXT [at HH:MM | at yesterday HH:MM | -12m]",
        "write a line into the timeline, at the time that it tells of",
        _read_note,
    ),
    Form(
        "edit",
        "edit N [TEXT] [at HH:MM] [because REASON]",
        "put the text or the time of entry N right",
        _read_edit,
    ),
    Form(
        "hide",
        "hide N [because REASON]",
        "leave entry N out of the exports",
        _read_mark(Marking.HIDE),
    ),
    Form("restore", "restore N [because REASON]", "show entry N again", _read_mark(Marking.RESTORE)),
    Form("mark", "mark N [because REASON]", "make entry N a key moment", _read_mark(Marking.KEY)),
    Form(
        "unmark",
        "unmark N [because REASON]",
        "make entry N none of the key moments",
        _read_mark(Marking.NOT_KEY),
    ),
    Form(
        "capture",
        "capture [2h | since HH:MM] [marked]",
        "put what was written in this channel on the timeline",
        _read_capture,
    ),
    Form("watch", "watch STATE [off]", "tell you when it is free, in turn", _read_watch),
    Form("explain", "explain ERROR", "what a Terraform error means, and what to do", _read_explain),
    Form("open", "open [TITLE]", "open an incident in this channel", _read_open),
    Form("title", "title TEXT", "give the incident another title", _read_title),
    Form("close", "close", "close the incident, and export its timeline", _read_close),
    Form("reopen", "reopen [INCIDENT]", "go on with an incident that was closed", _read_reopen),
    Form("export", "export", "export the timeline now", _read_export),
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
