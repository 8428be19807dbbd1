"""What logs and frames put before each line of a paste. Pure.

Sources: the logs of the CI systems (`bot.core.joblog.shapes`), Terragrunt, Docker Compose, kubernetes' CRI, syslog,
CloudWatch, and the frame of Terraform's `internal/command/format/diagnostic.go`.
"""

from __future__ import annotations

import re

_TIME = (
    r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_STAMPED = re.compile(rf"[^\n\"]{{0,160}}?{_TIME}\]? ?")
_BEFORE = re.compile(
    r"(?:\s+|[│╷╵┃╻╹]|[|>+-](?=\s|$)|\[[^\]\n]{1,120}\]|[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?|[0-9]{2}[OE][ +]"
    r"|##\[\w{1,12}\]|::\w{1,12}[^:\n]{0,200}::|(?:STDOUT|STDERR|INFO|ERROR|DEBUG|stderr|stdout)\b|(?:terraform|tofu): "
    r"|[\w.-]{1,60} +\|)+"
)
_NUMBER = re.compile(rb" *[0-9]+")


def bare(line: str) -> str:
    """A line without what logs and frames put before it, as far as that has a form that is known."""
    stamped = _STAMPED.match(line)
    if stamped is not None:
        line = line[stamped.end() :]
    found = _BEFORE.match(line)
    return line[found.end() :].strip() if found is not None else line.strip()


class Prefix:
    """What a log puts before a line, with the numbers in it left open: times and line numbers differ in each line.

    `is_telling` is False for a mere frame or blanks, which lines of anything may begin with.
    """

    def __init__(self, text: str) -> None:
        self.is_telling = any(char.isalnum() for char in text)
        self._form, self._length = _form(text), len(text)

    def length_in(self, line: str) -> int:
        """How much of the line is the prefix; -1 if the line begins with something else."""
        for more in (0, 1, -1, 2, -2, 3, -3):  # a number may have more digits than the first line's
            size = self._length + more
            if size >= 0 and _form(line[:size]) == self._form:
                return size
        return len(line) if self._form.startswith(_form(line).rstrip()) and len(line) + 2 >= self._length else -1


def _form(text: str) -> bytes:
    return _NUMBER.sub(b"0", text.encode("utf-8", "surrogatepass"))
