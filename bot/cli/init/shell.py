"""Scripts into the Terraform commands that they run. The script is read, not run: what only a shell knows is a hole.

Followed: `cd`, `-chdir`, assignments, `for`, subshells, scripts of the repository and targets of its Makefile. Of `if`
and `case` every branch is read whose condition is not known; a variable then has one of the values of all branches.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from bot.cli.init.holes import EDGE as _EDGE
from bot.cli.init.holes import filled, hole, holes_in, is_known, name_of, replaced, shown
from bot.cli.init.tree import Checkout, Place
from bot.cli.init.uses import Seen, Use

_PROGRAMS = {
    "terraform": "terraform", "tofu": "terraform", "tf": "terraform", "terragrunt": "terragrunt",
    "gitlab-terraform": "gitlab", "gitlab-tofu": "gitlab",
}  # fmt: skip
_WRAPPERS = frozenset({
    "sudo", "env", "time", "exec", "command", "docker", "podman", "nohup", "timeout", "aws-vault", "tflock", "op",
    "doppler", "chamber", "dotenv", "infisical", "saml2aws", "vault", "tee", "yes", "echo", "then", "do", "else",
    "if", "!", "while", "until", "{",
})  # fmt: skip
_CHECKS = frozenset({
    "init", "fmt", "validate", "version", "providers", "get", "graph", "login", "logout", "workspace", "hclfmt",
    "hcl", "render-json", "-version", "--version", "-help", "--help", "metadata", "modules", "terragrunt-info", "find",
    "list", "info", "test", "output", "show",
})  # fmt: skip
"""Commands that take no lock on a state."""

_WITH_VALUE = frozenset({
    "chdir", "terragrunt-working-dir", "working-dir", "terragrunt-config", "config", "backend-config", "var-file",
    "var",
})  # fmt: skip
_KEYWORDS = frozenset({"if", "then", "elif", "else", "fi", "case", "esac", ";;"})
ENV_FILE, OUTPUT_FILE = "GITHUB_ENV", "GITHUB_OUTPUT"
"""What a script writes there is in the session's `env` as `GITHUB_ENV.NAME`."""

FOLDER = "cd"
"""The name of a folder that is one of several."""

_BUILTINS = frozenset({
    "export", "declare", "local", "readonly", "set", "setx", "popd", "for", "cd", "pushd", "Set-Location", "chdir",
})  # fmt: skip
_ON_FILES = frozenset({
    "mv", "cp", "install", "chmod", "chown", "ln", "rm", "ls", "cat", "which", "type", "hash", "curl", "wget", "unzip",
    "tar", "find", "test", "mkdir", "stat", "sha256sum", "apt-get", "apt", "apk", "yum", "brew", "pip", "git", "grep",
})  # fmt: skip
"""Programs whose words are files and packages: one of Terraform's name is not run."""

_LOCKING = frozenset({"plan", "apply", "destroy", "import", "refresh", "taint", "untaint", "force-unlock"})
_SHELLS = frozenset({"bash", "sh", "zsh", "source", ".", "dash", "ash", "pwsh", "powershell"})
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*|\d)(?:(:?[-=?+])([^}]*))?[^}]*\}|([A-Za-z_]\w*)|([0-9@*#]))")
_COMMAND = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)|`([^`]*)`")
_KEPT = re.compile(r"TF_\w+|TG_\w+|TERRAGRUNT_\w+|AWS_(?:DEFAULT_)?REGION|ARM_\w+|GITLAB_TOFU_\w+|GOOGLE_\w+|CI_\w+")
_DEEPEST = 4
_REDIRECTION = re.compile(r"[&\d]*[<>]+&?")
_MOST_LINES = 5_000
_MOST_HELD = 60


@dataclass
class _Branches:
    """An `if` or a `case` that is being read. `before` is what was known where it began, `ends` what was known at the
    end of each branch that may be taken. `subject` is that of a `case`.
    """

    before: tuple[dict[str, str], str]
    subject: str | None = None
    is_skipped: bool = False
    was_taken: bool = False
    has_else: bool = False
    in_condition: bool = True
    tests: list[bool | None] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    ends: list[tuple[dict[str, str], str]] = field(default_factory=list)
    is_left: bool = False
    """The branch ends the script: what it assigned is of no use to what comes after."""


@dataclass
class Session:
    """The Terraform of one script after another, as a job has them. One initialisation in one folder is one `Call`.

    `options` are the values that a hole can have, where branches of a script say so.
    """

    checkout: Checkout
    at: Place
    env: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    calls: list[Call] = field(default_factory=list)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    local: set[str] = field(default_factory=set)
    """Folders that were initialised without their backend."""

    def run(self, script: str, *, at: Place | None = None, depth: int = 0) -> None:
        """Follows a script from the session's folder; at the end it is there again."""
        self.at = at or self.at
        start, outside, branches = self.folder, list[str](), list[_Branches]()
        for words in _commands(script):
            in_patterns = bool(branches) and branches[-1].in_condition and branches[-1].subject is not None
            if words[0] in _KEYWORDS or in_patterns:
                self._branch(words, branches)
            elif any(each.is_skipped for each in branches):
                continue
            elif words == ["("]:
                outside.append(self.folder)
            elif words == [")"]:
                self.folder = outside.pop() if outside else self.folder
            else:
                if branches and branches[-1].in_condition:
                    branches[-1].tests.append(_tested([self._expanded(word) for word in words]))
                if branches and words[0] in {"exit", "return"}:
                    branches[-1].is_left = True
                self._command(words, depth)
        self.folder = start

    def _branch(self, words: list[str], branches: list[_Branches]) -> None:
        word, top = words[0], branches[-1] if branches else None
        if word in {"if", "case"}:
            subject = self._expanded(words[1]) if len(words) > 1 else hole("case")
            branches.append(_Branches((dict(self.env), self.folder), subject if word == "case" else None))
        elif top is None:
            return
        elif word in {"fi", "esac"}:
            self._close(top)
            if not top.has_else and not top.was_taken:
                top.ends.append(top.before)
            branches.pop()
            self._merge(top)
        elif word in {"elif", "else", ";;"}:
            self._close(top)
            top.tests = []
            if word == "else":
                top.has_else = True
                self._open(top)
        elif word == "then":
            self._open(top, verdict=top.tests[0] if len(top.tests) == 1 else None)
        elif word != ")":
            top.patterns += words
        elif top.subject is not None:
            patterns, top.patterns = top.patterns, []
            top.has_else = top.has_else or "*" in patterns
            known = is_known(top.subject)
            self._open(top, verdict=any(fnmatchcase(top.subject, each) for each in patterns) if known else None)

    def _open(self, branch: _Branches, *, verdict: bool | None = None) -> None:
        """Goes into a branch; `verdict` is what its condition comes to, None if that is not known."""
        self.env, self.folder = dict(branch.before[0]), branch.before[1]
        branch.in_condition, branch.is_left = False, False
        branch.is_skipped = branch.was_taken or verdict is False
        branch.was_taken = branch.was_taken or verdict is True

    def _close(self, branch: _Branches) -> None:
        if not branch.is_skipped and not branch.in_condition and not branch.is_left:
            branch.ends.append((self.env, self.folder))
        self.env, self.folder = dict(branch.before[0]), branch.before[1]
        branch.is_skipped, branch.in_condition = False, True

    def _merge(self, branch: _Branches) -> None:
        """What is known after all branches: a variable that they leave with several values can have each of them."""
        if not branch.ends:
            return
        envs = [env for env, _ in branch.ends]
        self.env = {}
        for name in dict.fromkeys(name for env in envs for name in env):
            values = tuple(dict.fromkeys(env.get(name) for env in envs))
            self.env[name] = values[0] if len(values) == 1 and values[0] is not None else self._one_of(name, values)
        folders = tuple(dict.fromkeys(folder for _, folder in branch.ends))
        self.folder = folders[0] if len(folders) == 1 else self._one_of(FOLDER, [each or "." for each in folders])

    def _one_of(self, name: str, values: Iterable[str | None]) -> str:
        known = [value for value in values if value is not None]
        more = [one for value in known for one in self.options.get(value.strip(_EDGE), ()) if not is_known(value)]
        found = [*(value for value in known if is_known(value) and value), *more]
        self.options[name_of(name)] = tuple(dict.fromkeys([*self.options.get(name_of(name), ()), *found]))
        return hole(name)

    def _command(self, words: list[str], depth: int) -> None:
        words = [self._expanded(word) for word in words]
        while words and (found := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0], re.DOTALL)):
            # set for one command or for all that follow: taken for all, as a script says it once
            self.env[found[1]] = found[2]
            words = words[1:]
        if not words:
            return
        name, arguments = posixpath.basename(words[0]), words[1:]
        if name in _BUILTINS:
            self._builtin(name, arguments)
        elif name in _SHELLS or (words[0].startswith(("./", "../")) or words[0].endswith(".sh")):
            self._script(words, depth)
        elif name in {"make", "gmake"}:
            self._make(arguments, depth)
        elif name == "aws" and "ecs" in arguments and "run-task" in arguments:
            self._task(arguments)
        elif not self._handed_on(name, arguments):
            self._program(words, depth)

    def _builtin(self, name: str, arguments: list[str]) -> None:
        if name in {"export", "declare", "local", "readonly", "set", "setx"}:
            self._assign(arguments)
        elif name == "popd":
            self.folder = ""
        elif name == "for":
            if arguments:
                listed = [word for word in arguments[1:] if is_known(word) and "*" not in word]
                if listed and len(listed) == len(arguments) - 1:
                    self.options[name_of(arguments[0])] = tuple(listed)
                self.env[arguments[0]] = hole(arguments[0])
        else:
            target = next((word for word in arguments if not word.startswith("-")), "")
            self.folder = joined(self.folder, target) if target else self.folder

    def _handed_on(self, name: str, arguments: list[str]) -> bool:
        """`echo NAME=value >> $GITHUB_ENV` is for the steps that follow, `$GITHUB_OUTPUT` for expressions."""
        if name not in {"echo", "printf"} or ">>" not in arguments:
            return False
        target = holes_in(arguments[-1])
        if len(target) == 1 and target[0] in {ENV_FILE, OUTPUT_FILE}:
            text = " ".join(arguments[: arguments.index(">>")])
            for line in text.replace("\\n", "\n").splitlines():
                key, equals, value = line.partition("=")
                if equals and key.strip().replace("-", "_").isidentifier():
                    self.env[f"{target[0]}.{key.strip()}"] = value
        return True

    def _program(self, words: list[str], depth: int) -> None:
        if words[:2] in (["command", "-v"], ["command", "-V"]):
            return
        for position, word in enumerate(words):
            name = re.sub(r"[:@].*|\.exe$", "", posixpath.basename(word))
            if name in _PROGRAMS:
                self._terraform(_PROGRAMS[name], words[position + 1 :])
                return
            if name in _ON_FILES:
                return
            if position and name in {"bash", "sh"}:
                self._script(words[position:], depth)
                return
            if not position and name not in _WRAPPERS:
                self._unknown(words)
                return

    def _unknown(self, words: list[str]) -> None:
        """A program or script that cannot be read, and has one of Terraform's words that take a lock: where this job
        has initialised a folder, it is taken for Terraform there.
        """
        is_read = is_known(words[0]) and not words[0].endswith(".sh")
        if is_read or not _LOCKING & set(words[1:]):
            return
        for index, call in enumerate(self.calls):
            if call.folder == self.folder and not call.applies:
                self.calls[index] = replace(call, command="apply", guess=f"{shown(words[0])} may run Terraform there")

    def _assign(self, arguments: Iterable[str]) -> None:
        for word in arguments:
            name, equals, value = word.partition("=")
            if equals and name.isidentifier():
                self.env[name] = value

    def _script(self, words: list[str], depth: int) -> None:
        rest = words[1:] if posixpath.basename(words[0]) in _SHELLS else words
        if "-c" in rest[:-1]:
            self.run(rest[rest.index("-c") + 1], depth=depth + 1) if depth < _DEEPEST else None
            return
        rest = [word for word in rest if word not in {"-e", "-x", "-ex", "-eu", "-eux", "-euo", "pipefail", "--"}]
        if not rest or depth >= _DEEPEST:
            return
        if not is_known(rest[0]):
            self._unknown(rest)
            return
        path = next(
            (p for p in (joined(self.folder, rest[0]), posixpath.normpath(rest[0])) if self.checkout.has(p)), ""
        )
        text = self.checkout.text(path) if path else None
        if text is None:
            self._unknown(rest)
            return
        before = dict(self.env)
        self.env |= {str(number): value for number, value in enumerate(rest[1:], 1)}
        self.run(text, at=self.at, depth=depth + 1)
        for number in range(1, 10):
            self.env.pop(str(number), None)
            if str(number) in before:
                self.env[str(number)] = before[str(number)]

    def _make(self, arguments: list[str], depth: int) -> None:
        folder, targets = self.folder, list[str]()
        words = iter(arguments)
        for word in words:
            if word.startswith(("-C", "--directory")):
                folder = joined(
                    folder,
                    word.partition("=")[2] or word.removeprefix("-C").removeprefix("--directory") or next(words, ""),
                )
            elif "=" in word:
                self._assign([word])
            elif not word.startswith("-"):
                targets.append(word)
        text = self.checkout.text(posixpath.join(folder, "Makefile")) if is_known(folder) else None
        if text is None or depth >= _DEEPEST:
            return
        rules, variables, first = _makefile(text)
        self.env = {**variables, **self.env}
        before, self.folder = self.folder, folder
        for target, line in _recipe(rules, targets or [first]):
            evaluated = re.match(r"\$\(eval\s+(?:export\s+)?(\w+)\s*[:?]?=\s*(.*)\)\s*$", line)
            if evaluated:
                self.env[evaluated[1]] = self._expanded(evaluated[2])
            else:  # each line has a shell of its own
                self.run(re.sub(r"\$@", target, line), at=self.at, depth=depth + 1)
        self.folder = before

    def _task(self, arguments: list[str]) -> None:
        given = _options(arguments)
        family = given.get("task-definition", "")
        if family and is_known(given.get("cluster", "\x00")):
            self.checkout.clusters[re.sub(r".*/|:\d+$", "", family)] = given["cluster"]

    def _terraform(self, program: str, arguments: list[str]) -> None:
        read = _Arguments([part for word in arguments for part in _split(word)])
        folder = joined(self.folder, read.folder) if read.folder else self.folder
        if program == "gitlab":
            folder = joined("", self.env.get("TF_ROOT") or self.env.get("GITLAB_TOFU_ROOT_DIR") or folder)
        if "init" in read.command[:1]:
            (self.local.add if "-backend=false" in arguments else self.local.discard)(folder)
        if folder in self.local or not read.command:
            return
        self._note(
            Call(
                folder=folder,
                at=self.at,
                program=program,
                command=" ".join(read.command[:1]),
                config=(*read.config, *_config_in(self.env.get("TF_CLI_ARGS_init", ""))),
                workspace=_selected(read.command),
                var_files=tuple(read.var_files),
                below=read.below,
                env={name: value for name, value in self.env.items() if _KEPT.fullmatch(name)},
            )
        )

    def _note(self, call: Call) -> None:
        """Adds to what is known of the folder's initialisation, or begins another one."""
        if call.applies:  # of several workspaces that branches select, any may be the one that is selected now
            for index, known in enumerate(self.calls):
                if known.folder == call.folder and not known.applies:
                    self.calls[index] = replace(known, command=call.command)
        for index in range(len(self.calls) - 1, -1, -1):
            known = self.calls[index]
            if known.folder != call.folder:
                continue
            is_another = call.command == "init" and known.command == "init" and call.config != known.config
            is_another = is_another or (
                call.workspace is not None and known.workspace is not None and call.workspace != known.workspace
            )
            if is_another:
                config = call.config or known.config
                self.calls.append(replace(call, config=config))
            else:
                self.calls[index] = replace(
                    known,
                    command=call.command if known.command in _CHECKS or not known.command else known.command,
                    config=known.config or call.config,
                    workspace=call.workspace if call.workspace is not None else known.workspace,
                    var_files=known.var_files or call.var_files,
                    below=known.below or call.below,
                    env=known.env | call.env,
                )
            return
        self.calls.append(call)

    def _expanded(self, word: str) -> str:
        return expanded(word, self.env)


class _Arguments:
    """The words after `terraform`: the command, and the options that say where and on what."""

    def __init__(self, words: list[str]) -> None:
        self.folder = ""
        self.config: list[str] = []
        self.var_files: list[str] = []
        self.below = False
        self.command: list[str] = []
        left = iter(words)
        for word in left:
            if _REDIRECTION.fullmatch(word):
                next(left, None)
                continue
            if not word.startswith("-"):
                self.command.append(word)
                continue
            name, equals, value = word.lstrip("-").partition("=")
            if name in _WITH_VALUE:
                self._option(name, value if equals else next(left, ""))
            elif name == "all":
                self.below = True
            elif name in {"version", "help"} and not self.command:
                self.command.append(f"-{name}")
        self.below = self.below or self.command[:1] == ["run-all"]
        if self.command[:1] in (["run-all"], ["run"]):
            self.command = self.command[1:]

    def _option(self, name: str, value: str) -> None:
        if name == "backend-config":
            self.config.append(value.strip("\"'"))
        elif name == "var-file":
            self.var_files.append(value)
        elif name in {"terragrunt-config", "config"}:
            self.folder = posixpath.dirname(value)
        elif name != "var":
            self.folder = value


@dataclass(frozen=True, slots=True)
class Call:
    """One initialised folder. `command` is the first that takes a lock, or a check if none does."""

    folder: str
    at: Place
    program: str
    command: str
    config: tuple[str, ...]
    workspace: str | None
    var_files: tuple[str, ...]
    below: bool
    env: dict[str, str]
    guess: str = ""

    @property
    def applies(self) -> bool:
        return self.command not in _CHECKS


def use_of(call: Call, seen: Seen | None, options: Mapping[str, tuple[str, ...]], system: str = "") -> Use:
    """What one initialised folder of a pipeline is."""
    return Use(
        folder=call.folder,
        at=call.at,
        pipeline=seen,
        config=call.config,
        workspace=call.workspace or call.env.get("TF_WORKSPACE"),
        env=call.env,
        options=options,
        var_files=call.var_files,
        applies=call.applies,
        below=call.below,
        system=system,
        guess=call.guess,
    )


def expanded(text: str, env: Mapping[str, str]) -> str:
    """Variables replaced by their values, or by holes."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[4] or found[5]
        known = env.get(name, "")
        if found[2] in {":-", "-", ":=", "="} and not known:
            return expanded(found[3] or "", env)
        return known if name in env else hole(name)

    return replaced(text, _VARIABLE, value)


def joined(folder: str, path: str) -> str:
    """`path` seen from a folder of the checkout. An absolute path is taken for one of the checkout if it begins with
    a hole for its folder.
    """
    path = path.replace("\\", "/")
    for name in holes_in(path):
        if re.search(
            r"WORKSPACE|workspace|PROJECT_DIR|SourcesDirectory|DefaultWorkingDirectory|PWD|pwd|toplevel", name
        ):
            is_first = path.startswith(hole(name))
            path = filled(path, {name: ""})
            folder = "" if is_first and "pwd" not in name.lower() else folder
            path = path.lstrip("/") if is_first else path
    for prefix in ("/github/workspace/", "/workspace/", "/builds/"):
        if path.startswith(prefix):
            folder, path = "", path.removeprefix(prefix)
    made = posixpath.normpath(posixpath.join(folder, path))
    return "" if made == "." else made


def _commands(script: str) -> Iterator[list[str]]:
    """The simple commands of a script, in order, as words, with the words of `if` and `case` as commands of their own.
    What cannot be split into words is left out.
    """
    script = re.sub(r"\\\r?\n", " ", script)
    script = re.sub(r"`\r?\n", " ", script)  # PowerShell's
    script = _without_heredocs(script)
    script = replaced(script, _COMMAND, lambda found: hole(found[1] or found[2] or ""))
    for line in _lines(script):
        yield from _line(line)


def _lines(script: str) -> Iterator[str]:
    """The lines of a script; one that ends within quotes has the next one in it."""
    held = ""
    for line in script.splitlines()[:_MOST_LINES]:
        held = f"{held}\n{line}" if held else line
        if not _is_open(held) or held.count("\n") > _MOST_HELD:
            yield from [held] if not _is_open(held) else held.split("\n")
            held = ""
    yield from held.split("\n")


def _is_open(text: str) -> bool:
    """Whether a quote that begins in the text does not end in it."""
    quote, before, position = "", " ", 0
    while position < len(text):
        sign = text[position]
        if quote:
            if sign == "\\" and quote == '"':
                position += 1
            elif sign == quote:
                quote = ""
        elif sign == "\\":
            position += 1
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and before.isspace():
            position = text.find("\n", position)
            if position < 0:
                return False
        before = sign
        position += 1
    return bool(quote)


def _line(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    commands, words = list[tuple[str, list[str]]](), list[str]()
    try:
        for token in lexer:
            if token and set(token) <= set(";&|()"):
                commands += [(token, each) for each in _simple(words)]
                if token.strip(";&|"):
                    commands += [("", [each]) for each in token if each in "()"]
                if token.endswith(";;"):
                    commands.append(("", [";;"]))
                words = []
            else:
                words.append(token)
    except ValueError:  # a quote that ends nowhere
        words += [word.strip("\"'") for word in line.split()] if not words else []
    commands += [("", each) for each in _simple(words)]
    yield from _tested_first(commands)


def _tested_first(commands: list[tuple[str, list[str]]]) -> Iterator[list[str]]:
    """`[ … ] && this || that` as the `if` that it is. Each command has the operator behind it."""
    position = 0
    while position < len(commands):
        operator, words = commands[position]
        position += 1
        if words[0] not in {"[", "[[", "test"} or operator not in {"&&", "||"}:
            yield words
            continue
        yield from (["if"], words, ["then"])
        if operator == "||":
            yield ["else"]
        while position < len(commands):
            following, words = commands[position]
            yield words
            position += 1
            if following == "||" and operator == "&&":
                yield ["else"]
            elif following not in {"&&", "|", "||"}:
                break
            operator = following if following != "|" else operator
        yield ["fi"]


def _tested(words: list[str]) -> bool | None:
    """What a test comes to, or None where it is not known."""
    if words[0] not in {"[", "[[", "test"}:
        return None
    inner = [word for word in words[1:] if word not in {"]", "]]"}]
    is_not = inner[:1] == ["!"]
    inner = inner[1:] if is_not else inner
    if not all(map(is_known, inner)) or len(inner) not in {2, 3}:
        return None
    if len(inner) == 2:  # noqa: PLR2004 - an operator and its operand
        found = {"-z": not inner[1], "-n": bool(inner[1])}.get(inner[0])
    else:
        left, operator, right = inner
        same = fnmatchcase(left, right) if words[0] == "[[" else left == right
        found = {"=": same, "==": same, "!=": not same}.get(operator)
    return found if found is None else found != is_not


def _simple(words: list[str]) -> Iterator[list[str]]:
    if words[:1] == ["for"] and "in" in words:
        # the values are found where the variable is used
        yield ["for", words[1], *words[3:]]
        return
    while words[:1] and words[0] in {*_KEYWORDS, "do", "while", "until", "!", "{", "time", "@"}:
        if words[0] == "case":
            yield words[: words.index("in")] if "in" in words else words
            words = words[words.index("in") + 1 :] if "in" in words else []
            break
        if words[0] in _KEYWORDS:
            yield words[:1]
        words = words[1:]
    if words:
        yield [words[0].lstrip("@-") or words[0], *words[1:]]


def _without_heredocs(script: str) -> str:
    return re.sub(r"(?s)<<-?\s*['\"]?(\w+)['\"]?(.*?)\n\s*\1\b", r" \2\n", script)


def _options(words: list[str]) -> dict[str, str]:
    found, last = dict[str, str](), ""
    for word in words:
        if word.startswith("--"):
            last, equals, value = word[2:].partition("=")
            if equals:
                found[last] = value
        elif last:
            found.setdefault(last, word)
    return found


def _config_in(text: str) -> list[str]:
    return [found[1].strip("\"'") for found in re.finditer(r"-backend-config[= ](\"[^\"]*\"|'[^']*'|\S+)", text)]


def _split(word: str) -> list[str]:
    """A variable's value that has several options in it is several words."""
    if not re.search(r"\s--?[a-z]", word):
        return [word]
    try:
        return shlex.split(word)
    except ValueError:
        return word.split()


def _selected(command: list[str]) -> str | None:
    if command[:1] != ["workspace"] or command[1:2] not in (["select"], ["new"]):
        return None
    return next((word for word in command[2:] if not word.startswith("-")), None)


@dataclass(frozen=True, slots=True)
class _Rule:
    needs: tuple[str, ...]
    recipe: tuple[str, ...]


def _makefile(text: str) -> tuple[dict[str, _Rule], dict[str, str], str]:
    """Rules, variables, and the first target. `$(X)` becomes `${X}`, as a shell has it."""
    text = re.sub(r"\\\r?\n[ \t]*", " ", text).replace("$$", "$")
    text = re.sub(r"\$\(([A-Za-z_]\w*)\)", r"${\1}", text)
    text = re.sub(r"(?m)[ \t]+#.*$", "", text)
    rules, variables, first, recipes = dict[str, _Rule](), dict[str, str](), "", dict[str, list[str]]()
    targets = list[str]()
    for line in text.splitlines():
        if line.startswith("\t"):
            for target in targets:
                recipes[target].append(line.strip().lstrip("@-"))
            continue
        assigned = re.match(r"(?:export\s+)?([A-Za-z_]\w*)\s*[:?+]?=\s*(.*)", line)
        rule = re.match(r"([^:=#\s][^:=#]*?)\s*::?(?!=)\s*([^=]*)$", line)
        if assigned:
            variables[assigned[1]] = expanded(assigned[2].strip(), variables)
        elif rule:
            targets = rule[1].split()
            needs = tuple(rule[2].partition(";")[0].partition("|")[0].split())
            for target in targets:
                recipes.setdefault(target, [])
                rules[target] = _Rule((*rules.get(target, _Rule((), ())).needs, *needs), ())
            first = first or next((target for target in targets if not target.startswith(".")), "")
    return {name: _Rule(rule.needs, tuple(recipes[name])) for name, rule in rules.items()}, variables, first


def _recipe(rules: Mapping[str, _Rule], targets: list[str]) -> Iterator[tuple[str, str]]:
    """The lines that make these targets, what they need first, with the target that each line makes."""
    done = set[str]()

    def made(target: str) -> Iterator[tuple[str, str]]:
        rule = rules.get(target) or next((rules[name] for name in rules if _is_pattern_of(name, target)), None)
        if rule is None or target in done:
            return
        done.add(target)
        for need in rule.needs:
            yield from made(need)
        yield from ((target, line) for line in rule.recipe)

    for target in targets:
        yield from made(target)


def _is_pattern_of(name: str, target: str) -> bool:
    before, percent, after = name.partition("%")
    return bool(percent) and target.startswith(before) and target.endswith(after)
