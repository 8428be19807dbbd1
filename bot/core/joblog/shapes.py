"""The shapes of Terraform's lines, and of what CI systems put around them. Pure; every expression is linear.

Source: Terraform's `internal/command/views` (hook_ui.go, hook_json.go, apply.go, plan.go) and its
`internal/command/clistate`; OpenTofu prints the same. Lines come without a CI's time, colours and
box characters (`plain`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

_LONGEST_HUMAN = 4096

_KEY = r'(?:\[(?:"(?:[^"\\\n]|\\.){0,1000}"|[0-9*]{1,20})\])?'
_NAME = rf"[A-Za-z_*][\w*-]{{0,200}}{_KEY}"
ADDRESS = (
    rf"(?=[^:\n]{{0,1000}}?(?:_|module\.|data\.|\*)){_NAME}(?:\.{_NAME}){{1,20}}(?: \(deposed object [0-9a-f*]+\))?"
)
_ID = r"(?: \[[\w-]+=.*\])?"
SPAN = r"(?:[0-9]+h)?(?:[0-9]+m)?[0-9]+s"
BEFORE = r"(?:\[[^\]\n]{1,120}\] ?|[\w.-]{1,60} +\| ?|(?:STDOUT|STDERR|INFO) +|(?:terraform|tofu): ?){0,4}"
"""What runs several at once puts before each line: Jenkins' branches, terragrunt's units, compose's services."""

_PREFIX = re.compile(BEFORE)
_UNIT = re.compile(r"\[[^\]\n]{1,120}\]|[\w.-]{1,60} +\|")
_REFRESH = re.compile(rf"{BEFORE}{ADDRESS}: Refreshing state\.\.\.{_ID}\s*$")
_READ = re.compile(rf"{BEFORE}{ADDRESS}: (?:Reading\.\.\.{_ID}|Read complete after {SPAN}{_ID})\s*$")
_CHANGE = re.compile(
    rf"{BEFORE}{ADDRESS}"
    rf"(?:: (?:(?:Creating|Modifying|Destroying|Importing|Opening)\.\.\.{_ID}"
    rf"|Still (?:creating|modifying|destroying|reading|opening)\.\.\. \[(?:[\w-]+=.*, )?{SPAN} elapsed\]"
    rf"|(?:Creation|Modifications|Destruction|Opening) complete after {SPAN}{_ID}"
    rf"|Import complete{_ID}|Provisioning with '[\w-]{{1,60}}'\.\.\.)"
    r"| \((?:local-exec|remote-exec|file)\): .*)\s*$"
)
_PLANNED = re.compile(rf"{BEFORE}(?:Plan: [0-9]+ to |No changes\. |Changes to Outputs:)")
_SAVED = re.compile(rf"{BEFORE}Saved the plan to: |{BEFORE}Note: You didn't use the -out option")
_DONE = re.compile(rf"{BEFORE}(?:Apply|Destroy|Refresh|Import) (?:complete|successful)!")
_RELEASING = re.compile(rf"{BEFORE}Releasing state lock\. This may take a few moments\.\.\.")
_WANTED = re.compile(rf"{BEFORE}Acquiring state lock\. This may take a few moments\.\.\.")
_SETS_UP = re.compile(rf"{BEFORE}Initializing (?:the backend|provider plugins|modules)\b")
REFUSED, NOT_RELEASED = "Error acquiring the state lock", "Error releasing the state lock"
LOCK_ID = re.compile(r"\s*ID:\s+(?P<id>[^\s*]{1,256})\s*$")

_OWN_END = re.compile(
    r"Error: (?!execution halted|Error acquiring the state lock|operation cancell?ed|context cancell?ed)"
    r"|(?:##\[error\]\S+ .{0,60}|ERROR: Job failed: |(?:ERROR: )?script returned )"
    r"(?:exit|exited with) (?:code|status) '?(?:[0-9]|[1-9][0-9]|1[01][0-9]|12[0-7])'?(?![0-9])"
)
"""An error of Terraform's, or the exit code of what the job ran; from 128 on it was killed. An interrupted Terraform
says that it halted, and may leave its lock behind."""

_INTERRUPTED = (
    "Interrupt received.",
    "Stopping operation...",
    "execution halted",
    "operation cancel",
    "context cancel",
)

_NAMES = ("terraform", "tofu", "terragrunt", "terramate", "cdktf", "atlantis", "tf_cli_args")
_OTHER_HOSTS = ("docker", "podman", "nerdctl", "kubectl", "ssh", "tail", "unshare", "chroot", "vagrant", "nsenter")
WITHOUT_LOCK = re.compile(r"(?<![\w-])--?lock(?:=|\s+)[\"']?(?:false|f|0)\b", re.IGNORECASE)
ELSEWHERE = re.compile(
    r"(?<![\w-])(?:(?:docker|podman|nerdctl)(?: compose|-compose)? +(?:\S+ +){0,6}?(?:run|exec|create|start|up)\b"
    r"|(?:docker|podman|nerdctl)(?: compose|-compose)? +(?:\S+ +){0,6}?(?:logs|attach)\b|tail +(?:\S+ +){0,6}?-\w*f"
    r"|kubectl +(?:\S+ +){0,6}?(?:run|exec|apply|create|logs|attach)\b|ssh +\S|docker://"
    r"|(?:unshare|chroot|vagrant|nsenter) +\S)",
    re.IGNORECASE,
)
MACHINE = re.compile(
    r"(?:Machine name: '(?P<quoted>[A-Za-z0-9][\w.-]{0,254})'|Agent machine name: '(?P<agent>[A-Za-z0-9][\w.-]{0,254})'"
    r"|Running on (?P<runner>[A-Za-z0-9][\w.-]{0,254}?)(?: via .*|\.\.\.))\s*$"
)
"""GitHub's own runners, Azure's agents, GitLab's runners. Jenkins' `Running on AGENT in /path` names no machine."""
_SECTION = re.compile(r"section_start:(?P<at>[0-9]{1,11}):")

FIRST_OF_RUNNER = "Current runner version: "
"""GitHub's runner begins so. What is above was written by GitHub's server, before the job began, by its own clock."""

UNIT = re.compile(r"(?:-chdir|--?(?:terragrunt-)?working-dir)[= ]+[\"']?(?P<place>[^\s\"']{1,512})")
SEVERAL = re.compile(r"\b(?:(?:run|plan|apply|destroy|refresh)-all|terragrunt\b.{0,200} --all|stack run)\b")
WORKSPACE = re.compile(r"\bworkspace +(?:select|new)\b|\bTF_WORKSPACE\b")
BACKEND = re.compile(r"-backend-config[= ]+[\"']?(?:(?P<name>\w{1,100})=)?[\"']?(?P<value>[^\s\"']{1,1024})")
WITHOUT_BACKEND = re.compile(r"-backend[= ]+[\"']?(?:false|f|0)\b", re.IGNORECASE)

_ANSI = re.compile(r"\x1b\[8m[^\x1b]*\x1b\[0m|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_BOX = "│╷╵|\u2502 \t"
_STAMP = re.compile(
    r"\[?(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2}))\]?"
    r"(?: [0-9a-f]{2}[OE][ +]?| {1,2})?"
)
_CLOCK = re.compile(r"\[?(?P<h>[01][0-9]|2[0-3]):(?P<m>[0-5][0-9]):(?P<s>[0-5][0-9])(?:[.,][0-9]{1,9})?\]? {1,2}")


class Sign(Enum):
    """What a line says of the Terraform command that printed it."""

    WANTED = auto()  # it has tried to get its lock, and waits for it
    SETS_UP = auto()  # it is before that
    BEGUN = auto()  # its machine form begins
    REFRESH = auto()
    READ = auto()
    CHANGE = auto()
    PLANNED = auto()
    SAVED = auto()
    RELEASING = auto()
    DONE = auto()
    REFUSED = auto()
    NOT_RELEASED = auto()


AT_WORK = frozenset({Sign.REFRESH, Sign.READ, Sign.CHANGE})

_HUMAN = (
    (_REFRESH, Sign.REFRESH),
    (_READ, Sign.READ),
    (_CHANGE, Sign.CHANGE),
    (_PLANNED, Sign.PLANNED),
    (_SAVED, Sign.SAVED),
    (_DONE, Sign.DONE),
    (_RELEASING, Sign.RELEASING),
    (_WANTED, Sign.WANTED),
    (_SETS_UP, Sign.SETS_UP),
)
_HINTS = (
    "...",
    "complete",
    "Plan: ",
    "No changes. ",
    "Changes to Outputs:",
    "Saved the plan",
    "Note: You",
    "success",
    " (",
)
"""Cheaper to look for than the shapes: one of these is in every line that has one."""

_MACHINE_FORM: Mapping[str, Sign] = {
    "version": Sign.BEGUN,
    "state_lock_acquire": Sign.WANTED,
    "refresh_start": Sign.REFRESH,
    "refresh_complete": Sign.REFRESH,
    "apply_start": Sign.CHANGE,
    "apply_progress": Sign.CHANGE,
    "apply_complete": Sign.CHANGE,
    "apply_errored": Sign.CHANGE,
    "provision_start": Sign.CHANGE,
    "provision_progress": Sign.CHANGE,
    "provision_complete": Sign.CHANGE,
    "provision_errored": Sign.CHANGE,
    "ephemeral_op_start": Sign.CHANGE,
    "ephemeral_op_progress": Sign.CHANGE,
    "ephemeral_op_complete": Sign.CHANGE,
    "planned_change": Sign.PLANNED,
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of Terraform's. `at` and `lock_id` only where the line itself says so."""

    sign: Sign
    at: datetime | None = None
    lock_id: str | None = None


def plain(raw: str) -> str:
    """Without colours, hidden notes and the mark of the byte order."""
    return (_ANSI.sub("", raw) if "\x1b" in raw else raw).lstrip("\ufeff")


def stamped(line: str) -> tuple[str, str]:
    """The time that a CI system put at the head of a line, as `instant` reads it, and the rest."""
    found = _STAMP.match(line)
    return (found["at"], line[found.end() :]) if found is not None else ("", line)


_OF_SCRIPT = re.compile(rf"{BEFORE}{ADDRESS} \((?:local-exec|remote-exec)\): ")


def is_of_script(said: str) -> bool:
    """Whether a provisioner's program printed it: Terraform marks its lines, and not what follows a carriage return."""
    return "-exec): " in said and _OF_SCRIPT.match(unboxed(said)) is not None


def clocked(line: str, *, after: datetime | None) -> tuple[datetime | None, str]:
    """The time of day in UTC at the head of a line that was written `after`, give or take a minute, and the rest.

    Without knowing what it was written after, the line has no time.
    """
    found = _CLOCK.match(line)
    if found is None or after is None:
        return None, line if found is None else line[found.end() :]
    try:
        at = after.astimezone(UTC).replace(hour=int(found["h"]), minute=int(found["m"]), second=int(found["s"]))
        at = at if at >= after - timedelta(minutes=1) else at + timedelta(days=1)
    except OverflowError:
        return None, line
    return at, line[found.end() :]


def names_terraform(low: str) -> bool:
    """Whether a line in lower case names Terraform or what runs it."""
    return any(name in low for name in _NAMES)


def is_own_end(line: str) -> bool:
    """Whether a command of the job came to its own end, with an error or an exit code."""
    return ("rror" in line or "ERROR" in line or "returned" in line) and _OWN_END.match(unboxed(line)) is not None


def opened_at(line: str) -> datetime | None:
    """When a section of GitLab's runner began, by its mark: at the end of that second."""
    found = _SECTION.match(line)
    return datetime.fromtimestamp(int(found["at"]) + 1, UTC) if found is not None else None


def is_interrupted(line: str) -> bool:
    """Whether Terraform says that it was asked to stop. Whatever else prints that only makes a log say less."""
    return any(said in line for said in _INTERRUPTED)


def runs_elsewhere(low: str) -> bool:
    """Whether it shows a command whose own commands may have another host name."""
    return any(name in low for name in _OTHER_HOSTS) and ELSEWHERE.search(low) is not None


def is_quoted(line: str) -> bool:
    """Whether Terraform only shows this line: in the box of an error, or indented in a plan or an output.

    A failed provisioner's output is in such a box, and a `user_data` may hold any log. What Terraform itself does it
    prints from the first column on.
    """
    return line[:1] in _BOX


def unboxed(line: str) -> str:
    return line.lstrip(_BOX) if line[:1] in _BOX else line


def bare(line: str) -> str:
    """Without what runs several at once puts before each line, and without the box around an error."""
    found = _PREFIX.match(line)
    return unboxed(line[found.end() :] if found is not None else line)


def unit_of(line: str) -> str:
    """What several at once put before each line to tell whose it is; empty where nothing does."""
    found = _PREFIX.match(line)
    return "".join(_UNIT.findall(found[0])) if found is not None else ""


def terraform_line(line: str) -> Line | None:
    """What a line says, if it is Terraform's; None for every other text. `line` has no time of a CI's before it."""
    if line.startswith("{"):
        return _machine_line(line)
    if len(line) > _LONGEST_HUMAN:
        return None
    if "state lock" in line:
        if REFUSED in line:
            return Line(Sign.REFUSED)
        if NOT_RELEASED in line:
            return Line(Sign.NOT_RELEASED)
    if not any(hint in line for hint in _HINTS):
        return None
    return next((Line(sign) for shape, sign in _HUMAN if shape.match(line)), None)


def _machine_line(line: str) -> Line | None:
    """One object of `-json`. Its time is Terraform's own clock, the one that also wrote the lock's `Created`."""
    if '"@' not in line:
        return None
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        return None
    at, kind = instant(body.get("@timestamp")), body["type"]
    if kind == "diagnostic":
        return _diagnostic(body, at)
    if kind == "change_summary":
        changes = body.get("changes")
        operation = changes.get("operation") if isinstance(changes, dict) else None
        return Line(Sign.DONE if operation in {"apply", "destroy"} else Sign.PLANNED, at)
    sign = _MACHINE_FORM.get(kind)
    return None if sign is None else Line(sign, at)


def _diagnostic(body: Mapping[str, object], at: datetime | None) -> Line | None:
    diagnostic = body.get("diagnostic")
    if not isinstance(diagnostic, dict):
        return None
    said = "\n".join(part for part in (diagnostic.get("summary"), diagnostic.get("detail")) if isinstance(part, str))
    sign = Sign.REFUSED if REFUSED in said else Sign.NOT_RELEASED if NOT_RELEASED in said else None
    if sign is None:
        return None
    lines = said.splitlines() if sign is Sign.REFUSED else ()
    found = next((match["id"] for line in lines if (match := LOCK_ID.match(line))), None)
    return Line(sign, at, lock_id=found)


def instant(value: object) -> datetime | None:
    """An instant with its offset, in UTC; fractions beyond microseconds are cut off."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(re.sub(r"[.,]([0-9]{1,6})[0-9]*", r".\1", value, count=1))
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
