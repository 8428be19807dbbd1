"""Scripts into the Terraform commands that they run. The script is read, not run: what only a shell knows is a hole.

Followed: `cd`, `-chdir`, assignments, `for`, subshells, scripts of the repository and targets of its Makefile.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bot.cli.init.holes import filled, hole, holes_in, is_known, replaced
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
    "list", "info",
})  # fmt: skip
"""Commands that take no lock on a state."""

_WITH_VALUE = frozenset({
    "chdir", "terragrunt-working-dir", "working-dir", "terragrunt-config", "config", "backend-config", "var-file",
    "var",
})  # fmt: skip
_SHELLS = frozenset({"bash", "sh", "zsh", "source", ".", "dash", "ash", "pwsh", "powershell"})
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*|\d)(?:(:?[-=?+])([^}]*))?[^}]*\}|([A-Za-z_]\w*)|([0-9@*#]))")
_COMMAND = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)|`([^`]*)`")
_KEPT = re.compile(r"TF_\w+|TG_\w+|TERRAGRUNT_\w+|AWS_(?:DEFAULT_)?REGION|ARM_\w+|GITLAB_TOFU_\w+|GOOGLE_\w+|CI_\w+")
_DEEPEST = 4
_MOST_LINES = 5_000


@dataclass
class Session:
    """The Terraform of one script after another, as a job has them. One initialisation in one folder is one `Call`."""

    checkout: Checkout
    at: Place
    env: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    calls: list[Call] = field(default_factory=list)

    def run(self, script: str, *, at: Place | None = None, depth: int = 0) -> None:
        """Follows a script from the session's folder; at the end it is there again."""
        self.at = at or self.at
        start, outside = self.folder, list[str]()
        for words in _commands(script):
            if words == ["("]:
                outside.append(self.folder)
            elif words == [")"]:
                self.folder = outside.pop() if outside else self.folder
            else:
                self._command(words, depth)
        self.folder = start

    def _command(self, words: list[str], depth: int) -> None:
        words = [self._expanded(word) for word in words]
        while words and (found := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0], re.DOTALL)):
            # set for one command or for all that follow: taken for all, as a script says it once
            self.env[found[1]] = found[2]
            words = words[1:]
        if not words:
            return
        name, arguments = posixpath.basename(words[0]), words[1:]
        if name in {"export", "declare", "local", "readonly", "set", "setx"}:
            self._assign(arguments)
        elif name in {"cd", "pushd", "Set-Location", "chdir"}:
            target = next((word for word in arguments if not word.startswith("-")), "")
            self.folder = joined(self.folder, target) if target else self.folder
        elif name == "popd":
            self.folder = ""
        elif name in _SHELLS or (words[0].startswith(("./", "../")) or words[0].endswith(".sh")):
            self._script(words, depth)
        elif name in {"make", "gmake"}:
            self._make(arguments, depth)
        elif name == "aws" and "ecs" in arguments and "run-task" in arguments:
            self._task(arguments)
        else:
            self._program(words, depth)

    def _program(self, words: list[str], depth: int) -> None:
        for position, word in enumerate(words):
            name = re.sub(r"[:@].*|\.exe$", "", posixpath.basename(word))
            if name in _PROGRAMS:
                self._terraform(_PROGRAMS[name], words[position + 1 :])
                return
            if position and name in {"bash", "sh"}:
                self._script(words[position:], depth)
                return
            if not position and name not in _WRAPPERS:
                return

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
        if not rest or depth >= _DEEPEST or not is_known(rest[0]):
            return
        path = next(
            (p for p in (joined(self.folder, rest[0]), posixpath.normpath(rest[0])) if self.checkout.has(p)), ""
        )
        text = self.checkout.text(path) if path else None
        if text is None:
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
        is_local = "init" in read.command[:1] and "-backend=false" in arguments
        if is_local:
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
    """The simple commands of a script, in order, as words. What cannot be split into words is left out."""
    script = re.sub(r"\\\r?\n", " ", script)
    script = re.sub(r"`\r?\n", " ", script)  # PowerShell's
    script = _without_heredocs(script)
    script = replaced(script, _COMMAND, lambda found: hole(found[1] or found[2] or ""))
    for line in script.splitlines()[:_MOST_LINES]:
        yield from _line(line)


def _line(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = list[str]()
    try:
        for token in lexer:
            if token and set(token) <= set(";&|()"):
                yield from _simple(words)
                yield from ([each] for each in token if each in "()")
                words = []
            else:
                words.append(token)
    except ValueError:  # a quote that ends in another line
        words += [word.strip("\"'") for word in line.split()] if not words else []
    yield from _simple(words)


def _simple(words: list[str]) -> Iterator[list[str]]:
    if words[:1] == ["for"] and "in" in words:
        # the values are found where the variable is used
        yield [f"{words[1]}={hole(words[1])}"]
        return
    while words[:1] and words[0] in {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "@"}:
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
