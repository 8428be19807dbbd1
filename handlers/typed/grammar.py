"""What people type after `/tflock` or `@tflock`, as values. Pure; never raises.

Text comes as Slack sends it: `&amp;`, `&lt;` and `&gt;` escaped, users as `<@U123|name>`, addresses as `<https://…>`,
and with the dashes, quotes and spaces that phones put in. An unknown word and a wrong argument become
`Misunderstood`, which changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.core.hold import LONGEST, SHORTEST
from bot.core.nearest import did_you_mean
from bot.core.record.revision import Marking, Milestone
from handlers.typed.moments import Moment, NotATime, moment, span
from handlers.typed.text import Remainder, argument, is_mark, readable, typed
from handlers.typed.values import (
    Capture,
    Close,
    Command,
    Edit,
    Explain,
    Export,
    FollowUps,
    Help,
    Hold,
    KillJob,
    MarkEntry,
    Mistake,
    Misunderstood,
    Note,
    Open,
    Recover,
    Reopen,
    Status,
    Timeline,
    Title,
    Unlock,
    Watch,
    Who,
)

_HIGHEST_COUNT = 1000
_FLAGS = ("--dry-run", "--when-safe")
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def parse(text: str, files: tuple[str, ...] = ()) -> Command:
    """The command that the text gives. Empty text asks for help. `files` are the ids of those that came with it."""
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
    try:
        if files and form.name == "explain":
            return Explain(tail.text, files)
        return form.read(tail)
    except _Wrong as wrong:
        usage = f"/tflock {form.usage}"
        return Misunderstood(Mistake.WRONG_ARGUMENT, wrong.word, wrong.nearest, form.name, usage, wrong.detail)


class _Wrong(Exception):
    """Why an argument is wrong; `word` is the culprit, where there is one. `parse` makes a value of it."""

    def __init__(self, detail: str, word: str | None = None, nearest: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.word = word
        self.nearest = nearest


def _one_name(words: Sequence[str], *, kind: str, flags: Sequence[str] = ()) -> str:
    """The only argument that is there."""
    names = [argument(word) for word in words]
    if not names or not names[0]:
        raise _Wrong(f"it needs {kind}")
    for name in names:
        if name.startswith("--"):
            raise _Wrong("it doesn't have this flag", name, did_you_mean(name, flags))
        if is_mark(name):
            raise _Wrong(f"that is not {kind}", readable(name))
    if len(names) > 1:
        raise _Wrong("it takes only one argument, and this is another", names[1])
    return names[0]


def _only_name(tail: Remainder, kind: str) -> str | None:
    return _one_name(tail.words, kind=kind) if tail.words else None


def _reason(tail: Remainder | None) -> str | None:
    if tail is not None and not tail.text:
        raise _Wrong("the reason after `because` is missing", "because")
    return None if tail is None else tail.text


def _text(tail: Remainder, missing: str) -> str:
    if not tail.text:
        raise _Wrong(missing)
    return tail.text


def _alone(command: Command) -> Callable[[Remainder], Command]:
    """Reads a command that takes no argument."""

    def read(tail: Remainder) -> Command:
        if tail.words:
            raise _Wrong("it takes no argument", argument(tail.words[0]))
        return command

    return read


def _moment(text: str) -> tuple[str, Moment | None]:
    rest, at = moment(text)
    if isinstance(at, NotATime):
        raise _Wrong("that is not a time", at.word)
    return rest, at


def _entry(tail: Remainder) -> tuple[int, str, str | None]:
    """The number of an entry, what follows it, and the reason behind `because`."""
    word, rest = tail.split()
    number = word.removeprefix("#")
    if not re.fullmatch(r"[0-9]{1,7}", number) or not int(number):
        raise _Wrong("it needs the number of an entry, as /tflock timeline shows it", word or None)
    before, after = rest.split_because()
    return int(number), before, _reason(after)


def _read_help(tail: Remainder) -> Command:
    word, rest = tail.split()
    if rest.words:
        raise _Wrong("it takes only one argument, and this is another", argument(rest.words[0]))
    form = form_of(word)
    return Help(form.name if form else None) if form or not word else _unknown(word)


def _read_who(tail: Remainder) -> Command:
    words = tail.words
    if not words:
        return Who()
    user = _USER.fullmatch(words[0])
    if user and len(words) == 1:
        return Who(user_id=user[1])
    return Who(state=_one_name(words, kind="a state or a member of this workspace"))


def _read_unlock(tail: Remainder) -> Command:
    before, after = tail.until_because()
    flags = {word.lower() for word in map(argument, before) if word.lower() in _FLAGS}
    while after is not None and after.words and argument(after.words[-1]).lower() in _FLAGS:
        *_, last = after.words  # a flag behind the reason is a flag
        after = Remainder(after.raw.rstrip().removesuffix(last))
        flags.add(argument(last).lower())
    names = [word for word in before if argument(word).lower() not in _FLAGS]
    return Unlock(
        _one_name(names, kind="a state", flags=_FLAGS),
        dry_run="--dry-run" in flags,
        when_safe="--when-safe" in flags,
        reason=_reason(after),
    )


def _read_kill(tail: Remainder) -> Command:
    before, after = tail.until_because()
    return KillJob(_one_name(before, kind="a state, a run's address or a run's id"), _reason(after))


def _read_timeline(tail: Remainder) -> Command:
    if not tail.words:
        return Timeline()
    number = tail.text
    if not re.fullmatch(r"[0-9]{1,6}", number) or not 0 < int(number) <= _HIGHEST_COUNT:
        raise _Wrong(f"it takes a number from 1 to {_HIGHEST_COUNT}", number)
    return Timeline(int(number))


def _read_note(tail: Remainder) -> Command:
    text, at = _moment(tail.text)
    if not text:
        raise _Wrong("the text of the note is missing")
    return Note(text, at)


def _read_edit(tail: Remainder) -> Command:
    number, rest, reason = _entry(tail)
    text, at = _moment(rest)
    if not text and at is None:
        raise _Wrong("it needs the new text, the new time (at 14:05), or both")
    return Edit(number, text or None, at, reason)


def _milestone(rest: str) -> Milestone | None:
    """`as detected` and the like."""
    first, _, word = rest.lower().partition(" ")
    if first != "as":
        return None
    if word.strip() not in set(Milestone):
        near = did_you_mean(word, list(Milestone))
        raise _Wrong("it takes detected, diagnosed or fixed", word or first, f"as {near}" if near else None)
    return Milestone(word.strip())


def _read_mark(how: Marking) -> Callable[[Remainder], Command]:
    def read(tail: Remainder) -> Command:
        number, rest, reason = _entry(tail)
        milestone = _milestone(rest) if how is Marking.KEY else None
        if rest and milestone is None:
            raise _Wrong("it takes only one number", rest)
        return MarkEntry(number, how, reason, milestone)

    return read


def _read_capture(tail: Remainder) -> Command:
    words = [argument(word) for word in tail.words]
    marked = [word.lower() for word in words if word.lower() == "marked"]
    since = " ".join(word for word in words if word.lower() not in {"marked", "since"})
    if not since:
        return Capture(marked_only=bool(marked))
    found = span(since) or moment(f"at {since}")[1]
    if found is None or isinstance(found, NotATime):
        raise _Wrong("it takes a time (11:00, yesterday 23:50) or how far back (2h)", since)
    return Capture(found, marked_only=bool(marked))


def _read_watch(tail: Remainder) -> Command:
    words = tail.words
    off = len(words) > 1 and argument(words[-1]).lower() == "off"
    return Watch(_one_name(words[:-1] if off else words, kind="the name of a state"), off=off)


def _read_hold(tail: Remainder) -> Command:
    before, after = tail.until_because()
    words = [argument(word).lower() for word in before]
    if words[1:] and words[-1] == "off" and after is None:
        return Hold(_one_name(before[:-1], kind="the name of a state"), off=True)
    names, length = before, None
    if "for" in words[1:]:
        place = words.index("for", 1)
        said = " ".join(words[place + 1 :])
        found = span(said)
        if found is None or not SHORTEST <= found.span <= LONGEST:
            raise _Wrong("it takes how long after `for`: from 1 minute to 24 hours, such as 30m or 2h", said or "for")
        names, length = before[:place], found.span
    return Hold(_one_name(names, kind="the name of a state"), length, _reason(after))


def _read_recover(tail: Remainder) -> Command:
    words = tail.words
    if len(words) == 2 and "://" in words[1]:  # noqa: PLR2004 - a state, and a run's address
        return Recover(_one_name(words[:1], kind="the name of a state"), argument(words[1]))
    return Recover(_one_name(words, kind="the name of a state"))


@dataclass(frozen=True, slots=True)
class CommandForm:
    """One command: its word, how it is written, and one line on what it does."""

    name: str
    usage: str
    summary: str
    read: Callable[[Remainder], Command]


FORMS = (
    CommandForm("help", "help [COMMAND]", "show the commands, or one of them", _read_help),
    CommandForm("status", "status [STATE]", "show whether it is locked, by which run, and whether it can be unlocked",
                lambda tail: Status(_only_name(tail, "the name of a state"))),
    CommandForm("who", "who [STATE | @user]", "show who holds the lock, and how to reach them", _read_who),
    CommandForm("unlock", "unlock STATE [--dry-run] [--when-safe] [because REASON]",
                "check everything, then release the lock after you confirm", _read_unlock),
    CommandForm("kill-job", "kill-job STATE | RUN_URL | RUN_ID [because REASON]",
                "cancel the run that holds or floods the lock, and stop what restarts it", _read_kill),
    CommandForm("hold", "hold STATE [for 30m] [because REASON] | hold STATE off",
                "keep everyone from applying for a while, also in place of a dead lock", _read_hold),
    CommandForm("timeline", "timeline [N]", "show the last entries of this channel's incident", _read_timeline),
    CommandForm("note", "note TEXT [at HH:MM | at yesterday HH:MM | -12m]",
                "add a note to the timeline, at the time it happened", _read_note),
    CommandForm("edit", "edit N [TEXT] [at HH:MM] [because REASON]",
                "correct the text or time of entry N", _read_edit),
    CommandForm("hide", "hide N [because REASON]", "leave entry N out of the exports", _read_mark(Marking.HIDE)),
    CommandForm("restore", "restore N [because REASON]", "show entry N again", _read_mark(Marking.RESTORE)),
    CommandForm("mark", "mark N [as detected | diagnosed | fixed] [because REASON]",
                "make entry N a key moment, and say what it was", _read_mark(Marking.KEY)),
    CommandForm("unmark", "unmark N [because REASON]", "remove entry N from the key moments",
                _read_mark(Marking.NOT_KEY)),
    CommandForm("capture", "capture [2h | since HH:MM] [marked]",
                "put what was written in this channel on the timeline", _read_capture),
    CommandForm("watch", "watch STATE [off]", "notify you when the state is free (first come, first served)",
                _read_watch),
    CommandForm("recover", "recover STATE [RUN_URL]", "show what a dead run left behind, and how to put it right",
                _read_recover),
    CommandForm("explain", "explain ERROR", "explain a Terraform error, and say what to do",
                lambda tail: Explain(_text(tail, "it needs the text of a Terraform error"))),
    CommandForm("open", "open [TITLE]", "open an incident in this channel", lambda tail: Open(tail.text or None)),
    CommandForm("title", "title TEXT", "give the incident another title",
                lambda tail: Title(_text(tail, "the title is missing"))),
    CommandForm("close", "close", "close the incident, and export its timeline", _alone(Close())),
    CommandForm("reopen", "reopen [INCIDENT]", "reopen a closed incident",
                lambda tail: Reopen(_only_name(tail, "the id of an incident"))),
    CommandForm("follow-ups", "follow-ups", "show what to do after the incident, and file tickets",
                _alone(FollowUps())),
    CommandForm("export", "export", "export the timeline now", _alone(Export())),
)  # fmt: skip
"""Every command, once: help, usage errors, the manifest's hint and the docs are made of this or checked against it."""

_BY_NAME = {form.name: form for form in FORMS}


def form_of(word: str) -> CommandForm | None:
    """The command of this word, in whatever case."""
    return _BY_NAME.get(word.lower())


def _unknown(word: str) -> Misunderstood:
    return Misunderstood(Mistake.UNKNOWN_WORD, readable(word), nearest=did_you_mean(word, _BY_NAME))
