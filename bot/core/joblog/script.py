"""What a job has to run, as its log echoes it: commands are not output, and what `cat` prints is not Terraform's.

GitHub prints a step's script in a group, Azure between two headings, GitLab after `$`, Jenkins and `set -x` after `+`.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter

from bot.core.joblog.shapes import BACKEND, SEVERAL, UNIT, WITHOUT_BACKEND, WORKSPACE
from bot.core.joblog.values import UNKNOWN_STATE

_GROUP = re.compile(r"##\[group\](?P<run>Run )?(?P<command>.*)")
_GROUP_ENDS = re.compile(r"##\[endgroup\]")
_CONTENTS = re.compile(r"Script contents:\s*$")
_OUTPUT = re.compile(r"=+ Starting Command Output =+\s*$")
_ECHO = re.compile(r"(?P<branch>\[[^\]\n]{1,120}\] )?(?:\+{1,4} |\$ |(?:##)?\[command\])(?P<command>\S.*)")
_STEP = re.compile(r"section_(?:start|end):[0-9]+:|\[Pipeline\] \w|##\[section\]Starting: ")
_END_OF_SCRIPT = re.compile(r"shell: |env:\s*$|with:\s*$")
_HEREDOC = re.compile(r"<<-?\s*[\"']?(?P<word>\w+)")
_QUOTED_WORD = re.compile(r"[\"']([\w./$={}:@%+,~-]*)[\"']")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_PARTS = re.compile(r"&&|\|\||[;|()`]|\$\(")
_BACKGROUND = re.compile(r"(?<![&>|<])&(?=\s|$|\))|\b(?:nohup|setsid|xargs|parallel)\b")
_LOOP = re.compile(r"(?:for|while|until) ")
_TO_FILE = re.compile(r">{1,2}\s*(?![>&\s]|/dev/(?:null|stdout|stderr|tty)\b)|\btee\b")
_BEFORE = re.compile(
    r"(?:[{!]\s+|(?:if|then|else|elif|do|while|until|time|command|exec|env|nice|sudo(?: +-\S+)*|stdbuf(?: +-\S+)*"
    r"|timeout(?: +-\S+)*(?: +[0-9]\S*)+)\s+|\w+=\S*\s+)*"
)
_WRAPPERS = frozenset({"tflock", "aws-vault", "doppler", "op", "chamber", "infisical", "sops", "dotenv"})
_PRINTS = frozenset(
    [
        *("cat", "zcat", "bat", "head", "tail", "less", "more", "strings", "xxd", "base64", "grep", "egrep", "fgrep"),
        *("awk", "sed", "jq", "yq", "sort", "uniq", "cut", "tr", "diff", "find"),
    ]
)
"""They print what is in a file, perhaps what a Terraform wrote into it."""
_NEUTRAL = frozenset(
    [
        *("echo", "printf", "ls", "cd", "pushd", "popd", "pwd", "set", "export", "unset", "true", "false", "read"),
        *("test", "[", "[[", "fi", "done", "esac", "}", "exit", "return", "trap", "sleep", "wait", "mkdir", "rm", "cp"),
        *(
            "mv",
            "ln",
            "chmod",
            "touch",
            "which",
            "date",
            "id",
            "whoami",
            "env",
            "yes",
            "tee",
            "for",
            "git",
            "aws",
            "az",
        ),
        *("gcloud", "curl", "wget", "gh", "glab", "unzip", "tar", "apk", "pip", "tfenv", "tfswitch", "hostname"),
    ]
)
"""They print nothing of Terraform's. Any other program may run one without a lock, or print what an old one wrote."""
_TERRAFORM = frozenset({"terraform", "tofu", "terraform-bin", "tofu-bin", "terragrunt"})
_LOCKS = frozenset({"plan", "apply", "destroy", "refresh", "import", "state", "taint", "untaint", "run"})
_MAY_NOT_LOCK = re.compile(r"\s--?lock[= ]+(?!true\b|t\b|1\b)|(?<!-var)\s\$(?!\w*/)")
"""What a variable among the arguments stands for is not known: it may be `-lock=false`."""
_UNSETTLED = re.compile(r"[$*{]")
_OPTIONS = frozenset(
    [
        *("bucket", "key", "region", "encrypt", "dynamodb_table", "use_lockfile", "kms_key_id", "profile", "role_arn"),
        *("access_key", "secret_key", "token", "acl", "endpoint", "session_name", "external_id", "max_retries"),
        *("skip_credentials_validation", "skip_metadata_api_check", "skip_region_validation", "force_path_style"),
        *("use_path_style", "skip_requesting_account_id", "skip_s3_checksum", "shared_credentials_file"),
    ]
)
"""Options of a backend that name its state, or have nothing to do with it. Whatever else there is may name another."""


class Script:
    """Follows what is echoed. `line` says whether a line is an echo; `is_quiet` whether Terraform cannot have printed
    what comes now, as far as the echo tells; `may_show` whether it was surely a Terraform that had to lock.

    Where a log echoes no command, nothing says what printed a line, and nothing is held against it.
    """

    def __init__(self) -> None:
        self.is_quiet = self.has_run = False
        self.told = 0
        self.has_several = self.is_parallel = False
        self.may_show = True
        self._state: str | None = None
        self._state_place = self._place = self._at = ""
        self._is_inside = self._is_over = False
        self._group = self._heredoc = self._begun = ""
        self._prints_only = True
        self._has_command = self._is_direct = self._is_doubtful = self._has_init = self._is_looped = False
        self._is_in_file = self._is_again = self._prints_file = False
        self._places: set[str] = set()
        self._branches: set[str] = set()
        self._inits: Counter[str] = Counter()
        self._options: list[tuple[str, str]] = []

    @property
    def state(self) -> str | None:
        """What the log calls the state that is worked on; None where it does not, `UNKNOWN_STATE` where it may be
        another one.
        """
        is_it = self._state == UNKNOWN_STATE or (self._at == self._state_place and not self.is_parallel)
        return self._state if is_it else None

    def line(self, line: str) -> bool:
        if self._is_inside:
            return self._within(line)
        group = _GROUP.match(line)
        if group is not None:
            if group["run"]:
                self._opens(group["command"])
                self._place = ""
            return True
        if _CONTENTS.match(line):
            self._opens()
            self._place = ""
            return True
        echo = _ECHO.match(line)
        if echo is None:
            return False
        self._branches.add(echo["branch"] or "")
        self.is_parallel |= len(self._branches) > 1
        was_quiet, may_show = self.is_quiet, self.may_show
        self._is_again = "[command]" in line and bool(self._group)  # what a wrapper of the step's own command echoes
        self._opens(self._group)
        self._command(echo["command"])
        self._closes("echo")
        self._is_again = False
        if echo["command"].split()[0] == "tee":  # it is in a pipe, and its echo may come after that of its own command
            self.is_quiet, self.may_show = was_quiet, may_show
        return True

    def begins_step(self, line: str) -> bool:
        """Whether another command of the job may begin here."""
        echo = _ECHO.match(line)
        if echo is not None:
            return not echo["branch"]
        if _STEP.match(line):
            self.is_parallel |= line.startswith("[Pipeline] parallel")
            if self.is_parallel:
                return False
            self.is_quiet, self.may_show = False, not self.has_run
            self._place = "" if line.startswith("[Pipeline] sh") else self._place
            return True
        return bool(_GROUP.match(line) or _CONTENTS.match(line))

    def initializes(self) -> None:
        """Terraform says that it sets up its backend."""
        self._counts("printed")

    def _within(self, line: str) -> bool:
        if _GROUP_ENDS.match(line) or _OUTPUT.match(line):
            if not self._has_command and self._group:
                self._command(self._group)
            self._closes("group")
        elif _END_OF_SCRIPT.match(line):
            self._is_over = True
        elif self._heredoc:
            self._heredoc = "" if line.strip() == self._heredoc else self._heredoc
        elif not self._is_over:
            self._command(line)
        else:
            self._learn(line)
        return True

    def _opens(self, group: str = "") -> None:
        self.has_run = True
        self._is_inside, self._is_over, self._prints_only = True, False, True
        self._group, self._heredoc, self._begun = group, "", ""
        self._has_command = self._is_direct = self._is_doubtful = self._has_init = self._is_looped = False
        self._prints_file, self._options = False, []

    def _closes(self, how: str) -> None:
        self._is_inside, self.is_quiet = False, self._prints_only and self._has_command
        self._place = "" if how == "group" else self._place  # `set -x` echoes once more that it changes there
        self.may_show = self._is_direct and not self._is_doubtful
        if self._has_init:
            self._counts(how)
            self._names()

    def _counts(self, how: str) -> None:
        """A script and `set -x` echo one command each in their way, so each way is counted for itself."""
        self._inits[how] += 1
        if self._inits[how] > 1:
            self.has_several, self._state = True, UNKNOWN_STATE

    def _names(self) -> None:
        named: dict[str, set[str]] = {}
        for name, value in self._options:
            named.setdefault(name, set()).add(value)
        values = [value for name in named.keys() & {"bucket", "key"} for value in named[name]]
        is_clear = _OPTIONS.issuperset(named) and all(len(some) == 1 for some in named.values())
        if not is_clear or any(_UNSETTLED.search(value) for value in values):
            self._state = UNKNOWN_STATE
        elif "key" in named and self._state != UNKNOWN_STATE:
            self._state = "/".join(next(iter(named[name])) for name in ("bucket", "key") if name in named)
            self._state_place = self._at

    def _command(self, line: str) -> None:
        command = self._begun + line.strip()
        if not command or command.startswith("#"):
            return
        if command.endswith("\\"):
            self._begun = command.removesuffix("\\")
            return
        self._begun, self._has_command = "", True
        self.told += 1
        heredoc = _HEREDOC.search(command)
        if heredoc is not None:
            self._heredoc = heredoc["word"]
        self._learn(command)
        simple = _QUOTED.sub(lambda found: "$_" if "$" in found[0] else "_", _QUOTED_WORD.sub(r"\1", command))
        self._is_looped |= _LOOP.match(simple) is not None
        parts = [part for one in _PARTS.split(simple) if (part := one.strip())]
        place, runs = self._place, [self._part(part) for part in parts]
        self._place = place if simple.startswith("(") else self._place
        is_terraform = any(runs)
        self._prints_only &= not is_terraform
        self.is_parallel |= _BACKGROUND.search(simple) is not None
        if is_terraform:
            self._is_in_file |= _TO_FILE.search(simple) is not None
            self.has_several |= self._is_looped
        self._is_doubtful |= self._is_in_file and (self._prints_file or "$(" in command)

    def _part(self, part: str) -> bool:
        """Learns what one plain command does. Whether it is Terraform that works on a state."""
        words = _BEFORE.sub("", part, count=1).split()
        if not words:
            return False
        program = posixpath.basename(words[0])
        if program in _WRAPPERS and "--" in words:
            words = words[words.index("--") + 1 :] or words
            program = posixpath.basename(words[0])
        arguments = [word for word in words[1:] if not word.startswith("-")]
        if program in {
            "cd",
            "pushd",
            "popd",
        }:  # `cd -` and `popd` lead to a place of their own, since nothing says which
            self._place = posixpath.normpath(posixpath.join(self._place, arguments[0] if arguments else f"~{program}"))
        if program not in _TERRAFORM:
            is_known = program in _PRINTS or program in _NEUTRAL
            self._prints_file |= program in _PRINTS
            self._prints_only &= is_known
            self._is_doubtful |= not is_known and not words[0].startswith("-")
            return False
        return self._terraform(part, arguments[0] if arguments else "")

    def _terraform(self, part: str, verb: str) -> bool:
        if verb != "init" and verb not in _LOCKS:
            return False
        if verb == "init" and WITHOUT_BACKEND.search(part):
            return False
        if not self._is_again:
            unit = UNIT.search(part)
            self._at = posixpath.normpath(posixpath.join(self._place, unit["place"] if unit else ""))
            self._places.add(self._at)
            self.has_several |= len(self._places) > 1 or not {"_", "$_"}.isdisjoint(self._at.split("/"))
        self._is_doubtful |= _MAY_NOT_LOCK.search(part) is not None
        if verb == "init":
            if self._has_init:
                self.has_several, self._state = True, UNKNOWN_STATE
            self._has_init = True
        elif not re.search(r">{1,2}\s*(?![>&\s]|/dev/(?:stdout|stderr|tty)\b)", part):
            self._is_direct = True
        return True

    def _learn(self, line: str) -> None:
        self._options += [(found["name"] or "", found["value"]) for found in BACKEND.finditer(line)]
        self.has_several |= SEVERAL.search(line) is not None
        if WORKSPACE.search(line):
            self._state = UNKNOWN_STATE
