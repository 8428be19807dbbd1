"""A paste cut into Terraform's errors, and what its log says around them. Pure.

An error is what Terraform draws a frame around, or the text from `Error:` to the next. Each is classified only by
its own text: "Acquiring state lock" of a healthy run says nothing of a provider's error below it.

Source: Terraform's `internal/command/format/diagnostic.go` (frame, wrapping), `internal/command/views/operation.go`
(interrupts), `internal/logging/panic.go`; the last lines of the CI systems' runners, as in `bot.core.joblog.ends`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.explain.block import instant
from bot.core.explain.kinds import GRAVE, SIGNS, is_away, is_broken_off, says_unsaved
from bot.core.explain.prefix import Prefix, bare

_MOST = 100
_LINES = 80
_LONGEST = 12_288
_OPEN = 4
_LONG = 4_000
_FRAME = "│╷╵┃╻╹"

_HEAD = re.compile(
    r"Error: (?!Error: )|(?:Error (?:acquiring|releasing) the state lock|Error (?:locking|loading|refreshing|saving|"
    r"inspecting|uploading|unlocking|writing) (?:(?:the|source|destination|remote|cos|inmem|Postgres) )?"
    r"(?:state|workspace)"
    r"|[Ff]ailed to (?:unlock|save|persist|write|lock|load|refresh|read) (?:\w{1,20} )?state)\b"
)
_WORD_BEFORE = re.compile(r"(?:^|[^\w/-])[A-Za-z]{2,60} ?$")
_PROGRAM = re.compile(
    r"\b(?:terraform|tofu|terragrunt|stderr|stdout|error|warn|info|debug|fatal|err|out|std) ?$", re.IGNORECASE
)
_CODE = re.compile(r"\s*(?:[0-9]+: |on \S+ line [0-9]+)")
_PLANNED = re.compile(r"\s*(?:[+~-]|-/\+|<=)? ?(?:\"?[\w.-]+\"? +=|#) ")
_OVER_AT_ONCE = (
    *("Acquiring state lock. This", "Releasing state lock. This", "[terragrunt] ", "##[section]", "##[group]"),
    *("[Pipeline] ", "section_end:", "section_start:", "Terraform used the selected providers", "Apply complete! "),
    # the last lines of Terraform's two lock errors
    *("flag, but this is not recommended", "no one else is holding a lock."),
)
_OVER = (
    "Retrying...",
    "Warning: ",
    "make: ",
    "make[",
    "Finished: ",
    "Run terraform",
    "Run tofu",
    "Plan: ",
    "Cleaning up project ",
)
"""What ends an error: anywhere in a line, or at its beginning."""

_COMMANDS = ("$ ", "+ ", "\u276f ", "\u279c ")

_STARTS = (
    *("Acquiring state lock", "Initializing the backend", "[DEBUG] LOCK "),
    *("Run terraform ", "Run tofu ", "Run terragrunt ", "+ terraform ", "+ tofu ", "+ terragrunt "),
    *("$ terraform ", "$ tofu ", "$ terragrunt "),
)
_WISHES = ("Acquiring state lock", "[DEBUG] LOCK ")
_RETRIES = (" request failed: ", ": retrying in ", "etrying request ")
_MACHINE = re.compile(
    r"(?:^|[^\w])(?:Machine name: '([^'\s]{1,255})'|Agent machine name: '([^'\s]{1,255})'"
    r"|Running on ([\w.-]{1,255}?)(?: in [/A-Z]|(?: via \S{1,200})?\.\.\.)|Building remotely on ([\w.-]{1,255}))"
)
_UNIT = re.compile(r"\[([\w./-]{1,200})\]|-(?:chdir|working-dir)[= ][\"']?([\w./-]{1,200})")
_WORKSPACE = re.compile(
    r"(?:workspace select (?:-[\w-]{1,30}(?:=\w{1,9})? ){0,3}|TF_WORKSPACE[=:] ?|witched to workspace )"
    r"[\"']?([\w-]{1,90})"
)
_PLACES = ("cd ", "orking", "unning in /", " in /", '" in "/', "ntering directory", "$ ", "> ", "\u276f ", "\u279c ")
_PLACE = re.compile(
    r"(?:(?:^|[\s;&|])(?:cd|pushd) |(?:invocation failed|unning command: .{1,200}?) in (?=/)"
    r"|[Ww]orking[-_ ]?[Dd]irectory[\"']?[:=] ?|[Rr]unning in (?=/)|\" in (?=\"/)"
    r"|[Ee]ntering directory |^[\w.@-]{1,80}:(?=[~/])|^PS (?=[A-Z]:))[\"'`]?([\w./~:\\-]{1,300})"
)
"""Where a shell, make, a CI system or Atlantis says that it is."""


@dataclass(frozen=True, slots=True)
class Error:
    """One error of Terraform's. `text` is its words on one line, in lower case; `lines` are as they were pasted.

    `number` is the line where it begins, `at` when its log was written, if it says so, `unit` the directory that the
    log names for it. `has_head` is False where no error was found and all of the paste is taken for one.
    """

    lines: tuple[str, ...]
    text: str
    number: int
    at: datetime | None = None
    unit: str = ""
    has_head: bool = True


@dataclass(frozen=True, slots=True)
class Cut:
    """A paste's errors in their order, and what its other lines say.

    `broken_off` are the lines that say that a run was broken off; `starts` those in which a run begins, `wishes` those
    in which it wants the lock, with their times; `retries` those of a request for the lock that was sent again.
    `machines` are the names that the log has for where it ran, in lower case; `unit` is the directory of the last
    command that names one, or in which it ran; `workspace` is the one that was chosen last. `unsaved` are the lines
    that say that there is an `errored.tfstate`.
    """

    errors: tuple[Error, ...]
    broken_off: tuple[tuple[int, str], ...]
    starts: tuple[int, ...]
    wishes: tuple[tuple[int, datetime | None], ...]
    retries: tuple[int, ...]
    machines: frozenset[str]
    unit: str = ""
    workspace: str = ""
    unsaved: tuple[tuple[int, str], ...] = ()


def cut(lines: Sequence[str]) -> Cut:
    """Never raises, and takes time in proportion to the lines."""
    whole = "\n".join(lines)
    low = whole.lower()
    graves = [number for number, _ in _having(lines, [sign for sign in GRAVE if sign in low], lower=True)]
    errors = [_with_output(error, lines) for error in _errors(lines, graves)] or [_headless(lines)]
    signs = [sign for sign in SIGNS if sign in low]
    suspects = ((number, bare(_ends_of(line))) for number, line in _having(lines, signs, lower=True)[-10 * _MOST :])
    exits = _having(lines, [sign for sign in ("returned exit code ",) if sign in whole])
    came_back = max((number for number, line in exits if "exit code -" not in line), default=-1)
    starts = _having(lines, [start for start in _STARTS if start in whole])
    return Cut(
        errors=tuple(errors),
        broken_off=tuple(
            (number, line)
            for number, line in suspects
            if is_broken_off(line) and not (number < came_back and is_away(line))
        ),
        starts=tuple(number for number, _ in starts),
        wishes=tuple((n, instant(line)) for n, line in starts[:_MOST] if any(wish in line for wish in _WISHES)),
        retries=tuple(number for number, _ in _having(lines, [retry for retry in _RETRIES if retry in whole])),
        machines=_machines(lines, whole),
        unit=_directory(lines, starts, whole),
        workspace=_workspace(lines, whole),
        unsaved=tuple(
            (number, line)
            for number, line in _having(lines, ["errored.tfstate"] if "errored.tfstate" in whole else [])[-_MOST:]
            if says_unsaved(bare(line[:_LONG]))
        ),
    )


def _workspace(lines: Sequence[str], whole: str) -> str:
    chosen = _having(lines, [sign for sign in ("orkspace", "TF_WORKSPACE") if sign in whole])[-_MOST:]
    found = (match for _, line in reversed(chosen) if (match := _WORKSPACE.search(line[:1000])))
    return next((match[1].lower() for match in found), "")


def _directory(lines: Sequence[str], starts: Sequence[tuple[int, str]], whole: str) -> str:
    """The directory of the last command that names one, or where its shell or its job was."""
    named = next(((n, unit) for n, line in reversed(starts[-_MOST:]) if (unit := _unit(line))), (-1, ""))
    places = _having(lines, [sign for sign in _PLACES if sign in whole])[-_MOST:]
    last = next(((n, found[1]) for n, line in reversed(places) if (found := _PLACE.search(line[:1000]))), (-1, ""))
    return max(named, last)[1]


def _having(lines: Sequence[str], signs: Sequence[str], *, lower: bool = False) -> list[tuple[int, str]]:
    if not signs:
        return []
    if lower:
        return [(n, line) for n, line in enumerate(lines) if any(sign in line.lower() for sign in signs)]
    return [(n, line) for n, line in enumerate(lines) if any(sign in line for sign in signs)]


def _ends_of(line: str) -> str:
    return line if len(line) <= _LONG else f"{line[: _LONG // 2]} {line[-_LONG // 2 :]}"


def _machines(lines: Sequence[str], whole: str) -> frozenset[str]:
    signs = [sign for sign in ("achine name: '", "unning on ", "uilding remotely on ") if sign in whole]
    found = (_MACHINE.search(line[:1000]) for _, line in _having(lines, signs)[:_MOST])
    return frozenset(name.lower() for each in found if each for name in each.groups() if name)


class _Open:
    """An error whose lines are being read. `before` is the text before its head, the prefix of all its lines."""

    def __init__(self, number: int, line: str, head: int) -> None:
        self.number, self.before = number, line[:head]
        self.is_framed = any(char in self.before for char in "│┃")
        self.prefix = Prefix(self.before)
        self.lines, self.words = [line], [_without_fields(line[head:])]
        self.size, self.has_prefixed, self.is_over = len(line), False, False

    def has(self, line: str) -> bool:
        """Whether a line is of the same log as this error, as far as prefixes tell."""
        return not self.prefix.is_telling or self.prefix.length_in(line) >= 0

    def takes(self, line: str) -> bool:
        """Whether a line belongs to this error; a line of another unit's log does not, and does not end it."""
        length = self.prefix.length_in(line) if self.prefix.is_telling else 0
        if length < 0 and self.has_prefixed:
            return False
        if self.is_framed and length >= 0 and line.strip() and not any(char in line for char in _FRAME):
            if any(each.strip() for each in self.lines[1:]):
                self.is_over = True
                return False
            self.is_framed = False  # the frame was lost behind the first line
        self.has_prefixed = self.has_prefixed or (self.prefix.is_telling and length >= 0)
        if length < 0 or (not self.prefix.is_telling and not line.startswith(self.before)):
            words = bare(line)
        else:
            words = line[length if self.prefix.is_telling else len(self.before) :]
        if "╵" in line or "╹" in line or _is_over(line, words):
            self.is_over = True
        else:
            self.words.append(_without_fields(words))
        self.lines.append(line)
        self.size += len(line) + 1
        self.is_over = self.is_over or len(self.lines) > _LINES or self.size > _LONGEST
        return True

    def close(self) -> Error:
        words = (line for line in self.words if not _CODE.match(line[:200].lstrip(_FRAME)))
        return Error(
            tuple(self.lines),
            one_line(" ".join(words)),
            self.number,
            instant(self.before),
            _unit(self.before),
        )


def _is_over(line: str, words: str) -> bool:
    if any(over in line for over in _OVER_AT_ONCE):
        return True
    return words.startswith(_COMMANDS) or (any(over in words for over in _OVER) and bare(words).startswith(_OVER))


def _unit(text: str) -> str:
    found = _UNIT.search(text[:_LONG])
    return (found[1] or found[2]).removeprefix("./") if found else ""


def _without_fields(line: str) -> str:
    """Without the fields that a logger put behind it (`app=deploy std=err`), two blanks away."""
    place = line.rfind("  ")
    fields = line[place:].split() if place > 0 else []
    return line[:place].rstrip() if fields and all("=" in field for field in fields) else line


def _errors(lines: Sequence[str], graves: Sequence[int]) -> list[Error]:
    """All errors, or of too many the last ones, and before them those near a line that is grave."""
    heads = {
        n: head
        for n, line in enumerate(lines)
        if ("Error" in line or "ailed to " in line) and (head := _head(line)) >= 0
    }
    wanted = set(list(heads)[-_MOST:])
    if len(heads) > _MOST:
        near = {n - back for n in graves[:_MOST] for back in range(_LINES)}
        wanted |= set([n for n in heads if n in near][:_MOST])
    opened: list[_Open] = []
    done: list[_Open] = []
    for number, line in enumerate(lines):
        head = heads.get(number, -1)
        if head >= 0 and (not opened or line.startswith("Error: ", head)):
            opened = [each for each in opened if each.prefix.is_telling and not each.has(line)][-_OPEN:]
            if number in wanted:
                opened.append(_Open(number, line, head))
                done.append(opened[-1])
            continue
        for each in reversed(opened):
            if each.takes(line):
                break
        if opened and any(each.is_over for each in opened):
            opened = [each for each in opened if not each.is_over]
    return [each.close() for each in done]


def _head(line: str) -> int:
    """Where an error of Terraform's begins in a line; -1 where `Error:` is in the middle of a sentence."""
    if line.startswith("Error: ") and not line.startswith("Error: Error: "):
        return 0
    for found in _HEAD.finditer(line[:_LONG]):
        before = line[: found.start()][-80:]
        if not found[0].startswith("Error: ") or not _WORD_BEFORE.search(before) or _PROGRAM.search(before):
            return found.start()
    return -1


def _with_output(error: Error, lines: Sequence[str]) -> Error:
    """A provisioner's error says only that it failed: its command's output is in the lines before it."""
    if "-exec provisioner error" not in error.text:
        return error
    said = [line for line in lines[max(0, error.number - _LINES) : error.number] if "-exec): " in line]
    return replace(error, text=f"{error.text} {one_line(' '.join(said))}")


def _headless(lines: Sequence[str]) -> Error:
    """All of a paste as one error, without what a plan lists: any word may be there."""
    words = [line for line in lines if not _PLANNED.match(line[:200])]
    text = " ".join(words[-4 * _LINES :] if len(words) > 4 * _LINES else words)
    return Error(tuple(lines), one_line(text), 0, has_head=False)


def one_line(text: str) -> str:
    """A text on one line and in lower case, without a frame. Of a long one the middle is left out."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} {text[-_LONGEST // 2 :]}"
    for char in _FRAME:
        text = text.replace(char, " ") if char in text else text
    return " ".join(text.lower().split())
