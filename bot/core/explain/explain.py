"""What a pasted Terraform error is, what to do about it, and what not to do. Pure; never raises.

A paste is decoded, cut into Terraform's errors, and each of them classified by its own text. The most dangerous of them
counts: what endangers the state first, then what Terraform said last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import TypeAlias

from bot.core.explain import kinds, words
from bot.core.explain.block import PastedLock, lock_in
from bot.core.explain.cut import Cut, Error, cut
from bot.core.explain.decode import lines_of
from bot.core.explain.kinds import About, ErrorKind
from bot.core.explain.prefix import bare
from bot.core.explain.words import Classified
from bot.core.phrase import Part, Phrase, Quoted, plain
from bot.core.record.redact import redact

_GRAVE = (ErrorKind.NOT_SAVED, ErrorKind.DIGEST, ErrorKind.RELEASE_FAILED, ErrorKind.INTERRUPTED)
_WITH_LOCK = frozenset({ErrorKind.HELD, ErrorKind.OWN_ORPHAN, ErrorKind.WRONG_LOCK_ID, ErrorKind.RELEASE_FAILED})
_UNSURE = frozenset({ErrorKind.OWN_ORPHAN, ErrorKind.UNKNOWN})
_BROKE = (
    *("connection reset", "broken pipe", "unexpected eof", ": eof", "request send failed", "i/o timeout"),
    *("deadline exceeded", "timeout exceeded", "tls handshake timeout"),
)
_LONGEST_SIGN = 100
_TICK = timedelta(seconds=1)
_WORD = re.compile(r"[^\s'\"`,;()\[\]{}<>]+")


Meant: TypeAlias = tuple[str, Phrase]
NOT_MEANT: Meant = ("", ())


@dataclass(frozen=True, slots=True)
class Explanation:
    """`what` it is, what to `do`, what to `avoid`. `lock` is the lock that the message is about, `state` the configured
    state that it belongs to. `is_certain` is False where the text only makes it likely.
    """

    kind: ErrorKind
    title: str
    what: Phrase
    do: tuple[Phrase, ...]
    avoid: tuple[Phrase, ...]
    lock: PastedLock | None = None
    state: str | None = None
    is_certain: bool = True


def explain(
    text: str, states: Mapping[str, str], *, meant: Callable[[str], Meant] = lambda _: NOT_MEANT
) -> Explanation:
    """Reads the text. `states` are the names of the configured states by the `Path` that their locks carry. `meant`
    says what the configuration's patterns have to do with another path: its state's name, and the words.
    """
    lines, is_whole = lines_of(text)
    paste = cut(lines)
    found: list[Classified] = []
    for error in paste.errors:
        found.append(_classified(error, paste, found))
    chosen = _most_dangerous(found, paste)
    lock = _shown(chosen)
    state = _state(chosen, lock, states, paste)
    meant_as, said = meant(lock.path) if state is None and lock is not None and lock.path else NOT_MEANT
    others = _others(chosen, found, paste)
    chosen = replace(chosen, lock=lock, state=state, others=others, is_whole=is_whole, meant=said, meant_as=meant_as)
    told = words.advice_on(chosen)
    return Explanation(
        chosen.kind, told.title, told.what, told.do, told.avoid, lock, state, chosen.kind not in _UNSURE and is_whole
    )


def would_be(pattern: str, name: str, *more: Part) -> Meant:
    """Of a path that this pattern would mean, by this name of its state."""
    return name, (" The pattern ", Quoted(pattern), " would mean it, as ", Quoted(name), ". ", *more)


def document_of(told: Explanation) -> Mapping[str, object]:
    """The explanation as `explain --json` prints it."""
    lock = told.lock
    return {
        "kind": str(told.kind),
        "lock": None
        if lock is None
        else {
            "id": lock.id,
            "who": lock.who,
            "operation": lock.operation,
            "created": None
            if lock.created is None
            else f"{lock.created.astimezone(UTC).replace(tzinfo=None).isoformat()}Z",
            "version": lock.version,
            "path": lock.path,
        },
        "state": told.state,
        "summary": f"{told.title}. {plain(told.what)}",
        "do": [plain(step) for step in told.do],
        "dont": [plain(step) for step in told.avoid],
        "certain": told.is_certain,
    }


def answer_of(told: Explanation) -> tuple[Phrase, ...]:
    """What is below the title, for Slack and the terminal alike."""
    steps = (("What to do: " if number == 0 else "Also: ", *step) for number, step in enumerate(told.do))
    return (told.what, *steps, *told.avoid)


def _classified(error: Error, paste: Cut, before: Sequence[Classified]) -> Classified:
    """`before` are the errors that the paste has before this one."""
    lock = lock_in(error.lines)
    kind = kinds.classify(error.text, has_lock=lock is not None, has_head=error.has_head)
    found = Classified(kind, error, kinds.about(error.text, has_lock=lock is not None), lock, kinds.reason(error.text))
    is_own = kind is ErrorKind.HELD and _may_be_own(found, paste, before)
    return replace(found, kind=ErrorKind.OWN_ORPHAN) if is_own else found


def _most_dangerous(found: Sequence[Classified], paste: Cut) -> Classified:
    """What endangers the state outranks all; then the last error decides that is more than "Terraform failed"."""
    asked = (each.number for each in found if each.kind in {ErrorKind.HELD, ErrorKind.OWN_ORPHAN})
    past = max([*paste.starts, *asked], default=-1)  # what was broken off before a run asked for the lock was another
    broken_off = [(number, line) for number, line in paste.broken_off if number >= past]
    is_lost = any(kinds.is_lost(line) for _, line in broken_off)
    present = [each for each in found if each.kind is not ErrorKind.INTERRUPTED or each.number >= past]
    for kind in _GRAVE:
        grave = [each for each in present if each.kind is kind]
        if grave:
            sign = _sign(grave[-1].error.lines[0]) if kind is ErrorKind.INTERRUPTED else ""
            return replace(grave[-1], is_lost=is_lost, sign=sign)
        if kind is ErrorKind.NOT_SAVED and paste.unsaved:
            number, line = paste.unsaved[-1]
            return Classified(kind, Error((line,), line.lower(), number), About.SAVE)
    if broken_off:
        number, line = broken_off[-1]
        error = Error((line,), line.lower(), number)
        return Classified(ErrorKind.INTERRUPTED, error, About.PROVIDER, is_lost=is_lost, sign=_sign(line))
    telling = [each for each in found if each.kind is not ErrorKind.UNKNOWN or not kinds.is_wrapper(each.error.text)]
    last = (telling or found)[-1]
    return replace(last, has_earlier=any(number < last.number for number, _ in paste.broken_off))


def _sign(line: str) -> str:
    return redact(bare(line))[:_LONGEST_SIGN].rstrip(". ")


def _may_be_own(found: Classified, paste: Cut, before: Sequence[Classified]) -> bool:
    """Whether the lock may be of the run that was refused: the store took it, its answer was lost, and the next try met
    it. Then it was made between the run's first try and its error, and on the run's own machine.
    """
    lock, error = found.lock, found.error
    if lock is None or lock.hold is not None or kinds.shows_the_asker(error.text):
        return False
    host = lock.who.rpartition("@")[2].lower()
    if any(machine.split(".")[0] != host.split(".")[0] for machine in paste.machines):
        return False
    first = min((at for number, at in paste.wishes if at is not None and number < error.number), default=None)
    broke = (
        _broke_before_it_was_taken(error.text)
        or any(number < error.number for number in paste.retries)
        or any(each.kind is ErrorKind.DEADLINE and each.about is About.LOCK for each in before)
    )
    if first is None or lock.created is None:
        return broke
    if error.at is None:
        return broke and lock.created >= first - _TICK
    return first - _TICK <= lock.created <= error.at + _TICK


def _broke_before_it_was_taken(text: str) -> bool:
    broke = min((place for place in map(text.find, _BROKE) if place >= 0), default=-1)
    return 0 <= broke < max(text.find("conditional"), text.find("precondition"), text.find("already locked"))


def _shown(found: Classified) -> PastedLock | None:
    """The lock of the error, without what may be a secret; none where it is the asker's own, or no state's."""
    lock = found.lock
    if lock is None or found.kind not in _WITH_LOCK:
        return None
    if found.about is not About.RELEASE and kinds.shows_the_asker(found.error.text):
        return None
    return replace(
        lock,
        id=redact(lock.id),
        path=redact(lock.path),
        operation=redact(lock.operation),
        who=_who(lock.who),
        version=redact(lock.version),
        hold=lock.hold and replace(lock.hold, user=redact(lock.hold.user), reason=redact(lock.hold.reason)),
    )


def _who(who: str) -> str:
    """Without a password in it: no user has a colon in their name."""
    user, at, host = redact(who).rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{name}:[password removed]@{host}" if at and colon else f"{user}{at}{host}"


def _state(found: Classified, lock: PastedLock | None, states: Mapping[str, str], paste: Cut) -> str | None:
    """The configured state of a lock's path, of a bucket and key that the error names, or of its working directory."""
    if found.about is About.PROVIDER:
        return None
    if lock is not None and lock.path:
        if lock.path.startswith("***/"):  # a CI masks a bucket's name that is a secret as well
            return _only(name for path, name in states.items() if path.endswith(lock.path.lstrip("*")))
        return states.get(lock.path)
    words = {word for said in _WORD.findall(found.error.text) for word in (said, *_in_address(said))}
    named = {word.rstrip(".:").removesuffix(".tflock").removesuffix("-md5") for word in words}
    split = {path: path.lower().partition("/") for path in states}
    by_name = (path for path, (bucket, _, key) in split.items() if path.lower() in named or {bucket, key} <= named)
    return _only(map(states.__getitem__, by_name)) or _at(found.error.unit or paste.unit, paste.workspace, states)


def _at(directory: str, workspace: str, states: Mapping[str, str]) -> str | None:
    """The one state whose key has the directory, the longest part of it, or the one of the workspace."""
    prefix = "" if workspace in {"", "default"} else f"env:/{workspace}/"
    keys = {path: path.lower().partition("/")[2] for path in states}
    keys = {path: key.removeprefix(prefix) for path, key in keys.items() if key.startswith(prefix)}
    directory = directory.lower().replace(_BACKSLASH, "/").partition("/.terragrunt-cache")[0]
    place = f"/{directory.strip('/')}"
    there = {path: key.rpartition("/")[0] for path, key in keys.items() if "/" in key}
    there = {path: part for path, part in there.items() if place.endswith(f"/{part}")}
    longest = max(map(len, there.values()), default=0)
    return _only(states[path] for path, part in there.items() if len(part) == longest) or (
        _only(states[path] for path in keys) if prefix else None
    )


def _in_address(word: str) -> tuple[str, ...]:
    """Bucket and key as an address has them: `https://BUCKET.s3.REGION.amazonaws.com/KEY`, `https://s3…/BUCKET/KEY`.

    An ARN has them behind three colons.
    """
    if word.startswith("arn:"):
        return (word.partition(":::")[2],)
    _, is_address, rest = word.partition("://")
    host, _, path = rest.partition("?")[0].partition("/")
    return (path, f"{host.partition('.s3.')[0]}/{path}", rest) if is_address else ()


_BACKSLASH = "\\"


def _only(names: Iterable[str]) -> str | None:
    """The one name; None if there is none, or more than one."""
    found = set(names)
    return found.pop() if len(found) == 1 else None


def _others(chosen: Classified, found: Sequence[Classified], paste: Cut) -> tuple[ErrorKind, ...]:
    """The other kinds of error in the paste, the most dangerous first."""
    seen = {each.kind for each in found} | ({ErrorKind.INTERRUPTED} if paste.broken_off else set())
    seen -= {chosen.kind, ErrorKind.UNKNOWN}
    return tuple(kind for kind in ErrorKind if kind in seen)
