"""What a job is told to run, as its log echoes it: commands are not output, and what `cat` prints is not Terraform's.

GitHub prints a step's script in a group, Azure between two headings, GitLab after `$`, Jenkins and `set -x` after `+`.
"""

from __future__ import annotations

import re

from bot.core.joblog.shapes import BACKEND, SEVERAL, UNIT, WORKSPACE

_GROUP = re.compile(r"##\[group\](?P<run>Run )?(?P<command>.*)")
_GROUP_ENDS = re.compile(r"##\[endgroup\]")
_CONTENTS = re.compile(r"Script contents:\s*$")
_OUTPUT = re.compile(r"=+ Starting Command Output =+\s*$")
_ECHO = re.compile(r"(?P<branch>\[[^\]\n]{1,120}\] )?(?:\+{1,4} |\$ )(?P<command>\S.*)")
_STEP = re.compile(r"section_(?:start|end):[0-9]+:|\[Pipeline\] \w|##\[section\]Starting: ")
_END_OF_SCRIPT = re.compile(r"shell: |env:\s*$")
_HEREDOC = re.compile(r"<<-?\s*[\"']?(?P<word>\w+)")
_PROGRAM = re.compile(r"(?:sudo +|time +|command +|\w+=\S* +)*(?P<program>[\w./-]+)(?P<first> +\S+)?")
_PRINTS = frozenset(
    [
        *("cat", "zcat", "echo", "printf", "head", "tail", "less", "more", "strings", "xxd", "base64"),
        *("grep", "egrep", "fgrep", "awk", "sed", "jq", "yq", "sort", "uniq", "cut", "tr", "diff", "ls", "find"),
        *("curl", "wget", "gh", "glab", "aws", "az", "gcloud", "git", "true", "set", "cd", "export", "read"),
    ]
)
_TERRAFORM = frozenset({"terraform", "tofu"})
_ONLY_PRINTS = frozenset({"show", "output", "version", "fmt", "validate", "providers", "graph", "get"})


class Script:
    """Follows what is echoed. `line` tells whether a line is an echo; `is_quiet` whether Terraform cannot have printed
    what comes now, as far as the echo tells.
    """

    def __init__(self) -> None:
        self.is_quiet = self.has_run = False
        self.state: str | None = None
        self.has_several = False
        self._is_inside = self._is_over = self._is_parallel = False
        self._places: set[str] = set()
        self._heredoc = ""
        self._prints_only = True
        self._has_command = False
        self._named: dict[str, set[str]] = {}
        self._has_workspace = False

    def line(self, line: str) -> bool:
        if self._is_inside:
            return self._within(line)
        group = _GROUP.match(line)
        if group is not None:
            if group["run"]:
                self._opens()
            return True
        if _CONTENTS.match(line):
            self._opens()
            return True
        echo = _ECHO.match(line)
        if echo is not None:
            self._opens()
            self._command(echo["command"])
            self._closes()
            return True
        return False

    def begins_step(self, line: str) -> bool:
        """Whether another command of the job may begin here."""
        echo = _ECHO.match(line)
        if echo is not None:
            return not echo["branch"]
        if _STEP.match(line):
            self._is_parallel |= line.startswith("[Pipeline] parallel")
            self.is_quiet &= self._is_parallel
            return not self._is_parallel
        return bool(_GROUP.match(line) or _CONTENTS.match(line))

    def _within(self, line: str) -> bool:
        if _GROUP_ENDS.match(line) or _OUTPUT.match(line):
            self._is_inside = False
            self._closes()
        elif _END_OF_SCRIPT.match(line):
            self._is_over = True
        elif self._heredoc:
            self._heredoc = "" if line.strip() == self._heredoc else self._heredoc
        elif not self._is_over:
            self._command(line)
        else:
            self._learn(line)
        return True

    def _opens(self) -> None:
        self.has_run = True
        self._is_inside, self._is_over, self._heredoc, self._prints_only = True, False, "", True
        self._named, self._has_command = {}, False

    def _closes(self) -> None:
        self._is_inside, self.is_quiet = False, self._prints_only and self._has_command
        if self._has_workspace or any(len(values) > 1 for values in self._named.values()):
            self.state = None
        elif "key" in self._named:
            self.state = "/".join(value for name in ("bucket", "key") for value in self._named.get(name, ()))

    def _command(self, line: str) -> None:
        command = line.strip()
        if not command or command.startswith("#"):
            return
        self._has_command = True
        heredoc = _HEREDOC.search(command)
        if heredoc is not None:
            self._heredoc = heredoc["word"]
        found = _PROGRAM.match(command)
        program = found["program"].rpartition("/")[2] if found else ""
        first = ((found["first"] or "") if found else "").strip()
        prints = program in _PRINTS or (program in _TERRAFORM and first in _ONLY_PRINTS)
        # `cat x && terraform apply`, `VAR=$(…)`: whatever is more than one plain command may print anything
        is_plain = not re.search(r"[;&`(]|\|\s*(?:sh|bash|xargs)\b", command)
        self._prints_only &= prints and is_plain
        self._learn(command)

    def _learn(self, line: str) -> None:
        for found in BACKEND.finditer(line):
            self._named.setdefault(found["name"], set()).add(found["value"])
        self._places.update(found["place"] for found in UNIT.finditer(line))
        self.has_several |= len(self._places) > 1 or SEVERAL.search(line) is not None
        if WORKSPACE.search(line) or "***" in "".join(value for values in self._named.values() for value in values):
            self._has_workspace = True
