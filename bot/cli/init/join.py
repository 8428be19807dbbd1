"""Folders and what pipelines do in them, into states.

A pipeline that may run on a state belongs to it, also where a part of its folder is only known when it runs: one that
is forgotten weakens the gate, one too many only costs a question to the CI system. It is then marked as guessed. Where
nothing of its folder is known it could be any, so that is asked, once for all such pipelines.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.cli.init.blocks import Root
from bot.cli.init.holes import bound, filled, holes_in, is_known, shown
from bot.cli.init.keys import Keys, keys_of
from bot.cli.init.shell import FOLDER, joined
from bot.cli.init.syntax import hcl_of
from bot.cli.init.tree import Checkout, Place
from bot.cli.init.uses import Seen, Use
from bot.config.models import BACKEND_SECTIONS

_MOST_VARIANTS = 200
_MOST_NAMED = 8
_MOST_ELSEWHERE = 12
_EXAMPLES = re.compile(r"(^|/)(examples?|tests?|fixtures?|testdata|samples?|\.examples?)(/|$)")
_TEST = re.compile(r"(?<![^/])test(?![^/])")
_OTHER_ENVIRONMENTS = r"(?:non-?|pre-?)?(?:dev|develop|development|qa|uat|stage|staging|stg|prod|production|prd|live)"
_CONFIG_FILES = re.compile(r"\.tfbackend$|backend[^/]*\.(hcl|conf|config|tfvars|tf)$|\.backend(\.\w+)?$", re.IGNORECASE)
_KINDS = {kind for section in BACKEND_SECTIONS.values() for kind in section.blocks}
_ENDS = re.compile(rf"\.(tfbackend|hcl|conf|config|tfvars|backend|{'|'.join(sorted(_KINDS))}|tf)\b")
_VALUES_FILES = re.compile(r"(?:^|/)([\w.-]+?)\.tfvars$")
_PRODUCTION = re.compile(r"(?<!non-)(?<!non)(?<!pre-)(?<!pre)\b(?:prod|production|prd)(?![a-z])", re.IGNORECASE)
_SAME_OBJECT = frozenset({"region", "use_lockfile", "dynamodb_table"})
"""Keys that do not say which object it is."""

_PLAIN_WORDS = frozenset({
    "terraform", "infra", "infrastructure", "environments", "environment", "envs", "env", "live", "stacks", "stack",
    "deployments", "deployment", "deploy", "src", "iac", "tf", "accounts", "projects", "workspaces", "backend",
    "backends", "config", "configs", "terragrunt", "modules", "roots",
})  # fmt: skip
"""Folders whose names say nothing of a state."""


@dataclass
class Mapped:
    """A pipeline of a state, and why that is a guess if it is one. `at` is its place, or in words who named it."""

    seen: Seen
    at: Place | str
    guess: str = ""


@dataclass
class State:
    """`missing` are sentences: a state with any is not complete. `notes` are for the person who reads the file.

    `at` is its place in the checkout, or in words where else it was found. With `discover` it is an entry for many, and
    `protected` has the values of its variables that say production. `checks` are what is wrong by the store's answer.
    """

    folder: str
    at: Place | str
    keys: Keys
    variant: str = ""
    guesses: list[str] = field(default_factory=list)
    pipelines: list[Mapped] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """Systems that run Terraform on it and that tflock cannot ask."""
    name: str = ""
    asks_for_workspace: bool = False
    is_chosen: bool = False
    """A pipeline selects its workspace by name, also if that is the default one."""
    discover: bool = False
    protected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        return self.keys.missing

    @property
    def is_production(self) -> bool:
        return bool(_PRODUCTION.search(self.name))


@dataclass
class Found:
    """All that was found in the checkouts, to be written down."""

    states: list[State] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What all checkouts come to. `sections` are the entries under `ci` by their names, `origin` is for people."""

    origin: str
    states: list[State]
    questions: list[str]
    sections: dict[str, Mapping[str, str]]
    uses: list[Use]


def joined_up(checkout: Checkout, roots: Sequence[Root], uses: Sequence[Use]) -> Found:
    """The states of one checkout, complete or not, without names."""
    found = Found()
    examples = [root for root in roots if _EXAMPLES.search(root.folder) and not _is_environment(root, roots)]
    found.questions += [
        f"{root.at}: is this a state of yours? It lies among examples, so it is left out." for root in examples
    ]
    roots = [root for root in roots if root not in examples]
    bindings = _bindings([*roots, *examples], uses)
    anywhere = [
        use for index, use in enumerate(uses)
        if _is_unknown(use) and sum(root.folder in bindings[index] for root in roots) > 1
    ]  # fmt: skip
    # what they say of a backend still counts, and they are no state's pipelines
    uses = [replace(use, applies=False) if use in anywhere else use for use in uses]
    for root in roots:
        mine = [(use, bindings[index][root.folder]) for index, use in enumerate(uses) if root.folder in bindings[index]]
        found.states += _states_of(checkout, root, mine, found.questions)
    if roots:
        unmatched = [use for index, use in enumerate(uses) if not bindings[index] and use.pipeline is not None]
        found.questions += _asked_folders(anywhere)
        found.questions += _asked_of(checkout, unmatched)
        found.questions += _asked_elsewhere(uses, found.states)
        found.questions += _asked_workspaces(found.states)
    _share_regions(found.states)
    return found


def _is_unknown(use: Use) -> bool:
    """Whether nothing says in which folder a pipeline applies: not a part of its name, and no choice of several."""
    holes = holes_in(use.folder)
    is_all = bool(holes) and not filled(use.folder, dict.fromkeys(holes, "")).strip("./")
    is_chosen = any(len(use.options.get(name, ())) > 1 for name in holes)
    return is_all and not is_chosen and use.applies and use.pipeline is not None


def _asked_folders(uses: Sequence[Use]) -> Iterator[str]:
    """Pipelines of which nothing says in which folders they run, in one question."""
    found = dict[Seen, str]()
    for use in uses:
        if use.pipeline is not None:
            named = " ".join(value for _, value in use.pipeline.keys if value) or use.pipeline.file
            found.setdefault(use.pipeline, f"{named} ({shown(use.folder)}, {use.at})")
    if found:
        more = f" and {len(found) - _MOST_ELSEWHERE} more" if len(found) > _MOST_ELSEWHERE else ""
        yield (
            "On which states do these run Terraform? Their folder is only known when they run: "
            f"{', '.join(itertools.islice(found.values(), _MOST_ELSEWHERE))}{more}. Add each to every state on which "
            "it may run."
        )


def _asked_of(checkout: Checkout, uses: Sequence[Use]) -> Iterator[str]:
    """What runs Terraform in folders without a backend block. Where the folder is there, its state is the job's own."""
    with_code = {posixpath.dirname(file) or "." for file in checkout.files if file.endswith((".tf", ".tofu"))}
    unknown, local = dict[str, Place](), dict[str, Place]()
    for use in uses:
        if use.applies and not use.elsewhere:
            folder = use.folder or "."
            is_there = folder in with_code or any(bound(folder, each) is not None for each in with_code)
            (local if is_there else unknown).setdefault(shown(folder), use.at)
    for folder, at in unknown.items():
        yield (
            f"{at}: on which state does this run Terraform? As far as can be read, the folder {folder} has no backend "
            "block."
        )
    if local:
        named = ", ".join(f"{folder} ({at})" for folder, at in itertools.islice(local.items(), _MOST_NAMED))
        more = f" and {len(local) - _MOST_NAMED} more" if len(local) > _MOST_NAMED else ""
        yield (
            "Is the backend of these folders written by something else? Pipelines run Terraform there, and no file has "
            f"a backend block, so their state is only the job's: {named}{more}."
        )


def _asked_elsewhere(uses: Sequence[Use], states: Sequence[State]) -> Iterator[str]:
    """Pipelines that call what cannot be read here. What is not likely to run Terraform is asked only if no state has a
    pipeline.
    """
    is_open = not any(state.pipelines or state.unseen for state in states)
    places = dict[str, list[str]]()
    for use in uses:
        if use.elsewhere and (use.applies or is_open):
            places.setdefault(use.elsewhere, []).append(str(use.at))
    if places:
        named = ", ".join(f"{name} ({at[0]})" for name, at in itertools.islice(places.items(), _MOST_ELSEWHERE))
        more = f" and {len(places) - _MOST_ELSEWHERE} more" if len(places) > _MOST_ELSEWHERE else ""
        yield f"On which states do these run Terraform, if they do? They cannot be read here: {named}{more}."


def _asked_workspaces(states: Sequence[State]) -> Iterator[str]:
    folders = [*dict.fromkeys(state.folder or "." for state in states if state.asks_for_workspace)]
    if folders:
        more = f" and {len(folders) - _MOST_NAMED} more" if len(folders) > _MOST_NAMED else ""
        yield (
            f"Which workspaces are there besides the default one? The code of these folders asks for its workspace: "
            f"{', '.join(folders[:_MOST_NAMED])}{more}."
        )


@dataclass(frozen=True, slots=True)
class _Variant:
    """One way in which a root is initialised. `use` None: no pipeline is known that does."""

    values: Mapping[str, Any]
    workspace: str | None
    env: Mapping[str, str]
    label: str
    guesses: tuple[str, ...]
    use: Use | None = None
    mapped: tuple[Mapped, ...] = ()


@dataclass(frozen=True, slots=True)
class _Binding:
    """What the holes of a use's folder are, where that is this folder. `guess`: why it may be another one."""

    values: Mapping[str, str]
    guess: str = ""


def _bindings(roots: Sequence[Root], uses: Sequence[Use]) -> list[dict[str, _Binding]]:
    """For each use the folders that it may run in."""
    return [{} if use.elsewhere else _bound(roots, use) or _nearly_bound(roots, use) for use in uses]


def _bound(roots: Sequence[Root], use: Use) -> dict[str, _Binding]:
    found = dict[str, _Binding]()
    for root in roots:
        folder = root.folder or "."
        if use.below and is_known(use.folder) and (folder.startswith(f"{use.folder}/") or not use.folder):
            found[root.folder] = _Binding({}, f"it runs in all folders below {use.folder or '.'}")
            continue
        values = bound(use.folder or ".", folder)
        # a branch of a script says which folders there are
        if values is None or any(name == FOLDER and folder not in use.options.get(name, (folder,)) for name in values):
            continue
        guess = "" if is_known(use.folder) else f"its folder is only known when it runs ({shown(use.folder)})"
        found[root.folder] = _Binding(values, guess)
    offered = {folder: binding for folder, binding in found.items() if _is_offered(use, binding.values)}
    return offered or found


def _is_offered(use: Use, values: Mapping[str, str]) -> bool:
    """Several choices are all that there are; one is only what is chosen if nobody says another."""
    return all(value in use.options[name] for name, value in values.items() if len(use.options.get(name, ())) > 1)


def _nearly_bound(roots: Sequence[Root], use: Use) -> dict[str, _Binding]:
    """Folders that a use may mean that names none of them: those below, if what it runs cannot be read; those of which
    it knows the beginning only; or those of the same name, if it runs in a copy of the checkout.
    """
    if use.guess and use.folder and is_known(use.folder):
        below = [root for root in roots if root.folder.startswith(f"{use.folder}/")]
        told = [root for root in below if {*use.words} & {*root.folder.removeprefix(use.folder).split("/")}]
        return {root.folder: _Binding({}, f"it names a folder above, {use.folder}") for root in told or below}
    deeper = {root.folder: bound(use.folder, root.folder, with_slashes=True) for root in roots}
    found = {folder: values for folder, values in deeper.items() if values is not None and is_known(use.folder[:1])}
    if found:
        guess = f"its folder is only known when it runs ({shown(use.folder)})"
        return {folder: _Binding(values, guess) for folder, values in found.items()}
    first, *rest = use.folder.split("/")
    if is_known(first) or not rest or not is_known(rest[-1]):
        return {}
    guess = f"it runs in a copy ({shown(use.folder)})"
    tail = "/".join(rest)
    near = [root for root in roots if f"/{root.folder}".endswith(f"/{tail}")]
    near = near or [root for root in roots if posixpath.basename(root.folder) == rest[-1]]
    beside = posixpath.dirname(use.at.file)
    while beside:
        close = [root for root in near or roots if root.folder.startswith(f"{beside}/")]
        if close:
            near = close
            break
        beside = posixpath.dirname(beside)
    return {root.folder: _Binding({}, guess) for root in near}


def _states_of(
    checkout: Checkout, root: Root, uses: Sequence[tuple[Use, _Binding]], questions: list[str]
) -> list[State]:
    variants = [variant for use, binding in uses for variant in _variants(checkout, root, use, binding)]
    states = _grouped(root, variants)
    is_partial = bool(keys_of(root.kind, root.values, None, {}).missing)
    if is_partial or not states:
        named = {_identity(state) for state in states if not state.missing}
        unclear = variants if not named else [each for each in variants if _keys(root, each).missing]
        made = [state for state in _grouped(root, _by_files(checkout, root, unclear)) if not state.missing]
        if not named and made:
            states = made
        else:
            states += [state for state in made if _identity(state) not in named]
    if not states:
        states = _grouped(root, [_Variant(root.values, None, {}, "", ())])
    states = _spread(states, questions)
    return _without_repeats(_by_workspaces(checkout, root, states))


def _identity(state: State) -> str:
    values = state.keys.values.items()
    return repr(sorted((name, str(value)) for name, value in values if name not in _SAME_OBJECT))


def _without_repeats(states: list[State]) -> list[State]:
    """Incomplete states that differ only in their workspace, which a person has to complete together, are one."""
    made, by_values = list[State](), dict[str, list[State]]()
    for state in states:
        values = {name: value for name, value in state.keys.values.items() if name != "workspace"}
        if not state.missing or not _has_workspaces(state):
            made.append(state)
        else:
            by_values.setdefault(repr(values), []).append(state)
    for those in by_values.values():
        first = those[0]
        made.append(first)
        if len(those) == 1:
            continue
        names = dict.fromkeys(str(each.keys.values.get("workspace", "default")) for each in those)
        known = [name for name in names if is_known(name)]
        others = [shown(name) for name in names if not is_known(name)]
        words = ", ".join([*known, *(f"what {name} is" for name in others)])
        first.keys.values.pop("workspace", None)
        first.keys.missing = [each for each in first.keys.missing if not each.startswith("workspace is ")]
        first.keys.missing.append(f"it has several workspaces, each a state of its own: {words}")
        first.variant = ""
        for other in those[1:]:
            _add(first.pipelines, other.pipelines)
            first.unseen += [system for system in other.unseen if system not in first.unseen]
    return made


def _variants(checkout: Checkout, root: Root, use: Use, binding: _Binding) -> Iterator[_Variant]:
    """Each way to fill what is not known in a use: by files that are there, or by the values that it offers."""
    guess = binding.guess or use.guess
    for values, words, reasons in _fillings(checkout, root, use, binding.values):
        outside = {f"get_env_{name}": value for name, value in use.env.items()}
        outside |= {f"var.{name.removeprefix('TF_VAR_')}": value for name, value in use.env.items()}
        config = {
            name: filled(filled(value, outside), values) if isinstance(value, str) else value
            for name, value in root.values.items()
        }
        read, label = list(reasons), words
        for given in use.config:
            text = filled(given, values)
            name, equals, value = text.partition("=")
            if equals and "/" not in name:
                config[name.strip()] = value.strip().strip("\"'")
                continue
            path = joined(root.folder, text)
            path = path if checkout.has(path) else joined("", text)
            if is_known(path) and checkout.has(path):
                config |= hcl_of(checkout, path)
                label = label or _label_of(path)
            else:
                missing = f"the backend configuration {shown(text)} is not in the checkout"
                read.append(missing)
        config |= {name: filled(value, values) for name, value in use.overrides.items()}
        workspace = filled(use.workspace, values) if use.workspace else None
        if workspace and binding.guess and not use.below:
            # a pipeline that may run anywhere does not make a state where nobody asks for a workspace
            workspace = workspace if _asks_for_workspace(checkout, root) else None
            read += [f"the workspace {shown(workspace)} is that of a pipeline: {guess}"] if workspace else []
        told = [*use.config, *use.overrides.values()]
        is_partial = bool(keys_of(root.kind, root.values, None, {}).missing)
        if binding.guess and not use.below and told and all(map(is_known, told)) and is_partial:
            read.append(f"its backend configuration is that of a pipeline: {guess}")
        env = {name: filled(value, values) for name, value in use.env.items()}
        mapped = () if use.pipeline is None or not use.applies else (Mapped(use.pipeline, use.at, guess),)
        yield _Variant(config, workspace, env, workspace or label, tuple(read), use, mapped)


def _fillings(
    checkout: Checkout, root: Root, use: Use, binding: Mapping[str, str]
) -> Iterator[tuple[dict[str, str], str, tuple[str, ...]]]:
    """Values for the holes, the words that tell this filling from others, and what was guessed with them."""
    asked = {name for value in root.values.values() if isinstance(value, str) for name in holes_in(value)}
    outside = [value for name, value in use.env.items()
               if {f"get_env_{name}", f"var.{name.removeprefix('TF_VAR_')}"} & asked
               or name.startswith(("TF_HTTP_", "TF_CLOUD_"))]  # fmt: skip
    texts = [*use.config, *use.overrides.values(), use.workspace or "", *outside]
    needed = [name for name in dict.fromkeys(itertools.chain.from_iterable(map(holes_in, texts)))
              if name not in binding]  # fmt: skip
    known = [dict(binding)]
    if needed:
        by_files = list(_by_existing(checkout, root, use, binding))
        if by_files:
            known = by_files
        rest = [name for name in needed if name not in known[0] and use.options.get(name)]
        made = [
            {**one, **dict(zip(rest, each, strict=True))}
            for one in known
            for each in itertools.product(*(use.options[name] for name in rest))
        ]
        known = made[:_MOST_VARIANTS]
    # a region or an account among several says nothing of which state it is
    plain = {name: values[0] for name, values in use.options.items() if values and name not in needed}
    for one in known:
        new = {name: value for name, value in one.items() if name not in binding}
        reasons = [f"{name} can be {value}" for name, value in new.items()]
        yield plain | one, "-".join(dict.fromkeys(_label_of(value) for value in new.values())), tuple(reasons)


def _by_existing(checkout: Checkout, root: Root, use: Use, binding: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What the holes in the names of files can be, by the files that are there."""
    files = [each for each in use.config if "=" not in each] or list(use.var_files)
    for given in files:
        pattern = joined(root.folder, filled(given, binding))
        if is_known(pattern):
            continue
        found = [values for file in checkout.files if (values := bound(pattern, file)) is not None]
        found = [values for values in found if _is_offered(use, values)] or found
        if found:
            yield from ({**binding, **values} for values in found[:_MOST_VARIANTS])
            return


def _by_files(checkout: Checkout, root: Root, variants: Sequence[_Variant]) -> Iterator[_Variant]:
    """Backend configurations that lie in or below the folder, where no pipeline says which one is used."""
    prefix = f"{root.folder}/" if root.folder else ""
    files = [file for file in checkout.files if file.startswith(prefix) and _CONFIG_FILES.search(file)]
    files = [file for file in files if not file.endswith(".tf")]
    parts_of = {file: {*posixpath.relpath(file, root.folder or ".").split("/"), _label_of(file)} for file in files}
    telling = set(itertools.chain.from_iterable(parts_of.values()))
    workspaces: list[str | None] = [*dict.fromkeys(variant.workspace for variant in variants if variant.workspace)]
    env = dict(itertools.chain.from_iterable(variant.env.items() for variant in variants))
    for file in files:
        values = {key: value for key, value in hcl_of(checkout, file).items() if not isinstance(value, list)}
        mapped = tuple(
            Mapped(each.seen, each.at, each.guess or "which backend configuration it uses is only known when it runs")
            for variant in variants
            if not (words := telling & {*(variant.use.words if variant.use else ())}) or words & parts_of[file]
            for each in variant.mapped
        )
        for workspace in workspaces or [None]:
            guess = f"a state for {file}, which no pipeline names"
            yield _Variant({**root.values, **values}, workspace, env, _label_of(file), (guess,), mapped=mapped)


def _label_of(path: str) -> str:
    """What a file's name tells: `envs/dev.s3.tfbackend` is dev, `dev/backend.hcl` is dev."""
    name = _ENDS.sub("", posixpath.basename(path))
    name = re.sub(r"(^|[-_.])(backend|config|state)([-_.]|$)", r"\3", name).strip("-_.")
    return name or posixpath.basename(posixpath.dirname(path))


def _grouped(root: Root, variants: Iterable[_Variant]) -> list[State]:
    """Variants that come to the same state are one."""
    states = dict[str, State]()
    for variant in variants:
        keys = _keys(root, variant)
        state = State(root.folder, root.at, keys, variant.label, [*root.guesses, *variant.guesses])
        known = states.setdefault(_identity(state), state)
        known.is_chosen = known.is_chosen or variant.workspace is not None
        known.guesses = [guess for guess in known.guesses if guess in state.guesses]
        if len(keys.missing) < len(known.missing) or ("region" in keys.values and "region" not in known.keys.values):
            known.keys = keys
        _add(known.pipelines, variant.mapped)
        if variant.use is not None and variant.use.system and variant.use.system not in known.unseen:
            known.unseen.append(variant.use.system)
    return list(states.values())


def _keys(root: Root, variant: _Variant) -> Keys:
    return keys_of(root.kind, variant.values, variant.workspace, variant.env)


def _spread(states: list[State], questions: list[str]) -> list[State]:
    """A use whose state is not known may be on any of its folder's states: its pipelines are added to all of them. If
    its workspace is not known, there may be more states, which is asked.
    """
    complete = [state for state in states if not state.missing]
    chosen = [state for state in complete if "workspace" in state.keys.values]
    # who is not known to run here at all says nothing of the workspace default
    weak = [
        state for state in complete
        if chosen and state not in chosen and not state.is_chosen and all(one.guess for one in state.pipelines)
    ]  # fmt: skip
    complete = [state for state in complete if state not in weak]
    if not complete or len(complete) == len(states):
        return states
    for state in states:
        if state in complete:
            continue
        for each in complete:
            guess = "its backend configuration or workspace is only known when it runs"
            _add(each.pipelines, [Mapped(one.seen, one.at, guess) for one in state.pipelines])
            each.unseen += [system for system in state.unseen if system not in each.unseen]
        workspace = str(state.keys.values.get("workspace", ""))
        sure = next((each for each in state.pipelines if not each.guess), None)
        if not is_known(workspace) and sure is not None:
            questions.append(
                f"{sure.at}: which workspaces of {state.folder or '.'} does this select with {shown(workspace)}? Those "
                "that are missing below are states of their own."
            )
    kept = [state for state in states if state.missing and _is_another(state, complete)]
    return [*complete, *kept]


def _is_another(state: State, complete: list[State]) -> bool:
    """Whether an incomplete state has a value of its own: else it is only a use that says less."""
    said = {(key, value) for key, value in state.keys.values.items() if isinstance(value, str) and is_known(value)}
    return all(bool(said - set(_pairs(each))) for each in complete)


def _pairs(state: State) -> Iterator[tuple[str, Any]]:
    yield from state.keys.values.items()


def _add(into: list[Mapped], more: Iterable[Mapped]) -> None:
    for each in more:
        known = next((one for one in into if one.seen == each.seen), None)
        if known is None:
            into.append(Mapped(each.seen, each.at, each.guess))
        elif known.guess and not each.guess:
            known.guess, known.at = "", each.at


def _by_workspaces(checkout: Checkout, root: Root, states: list[State]) -> list[State]:
    """Where the code asks for its workspace, and no pipeline says which there are, files with values may tell."""
    if any("workspace" in state.keys.values and not state.missing for state in states):
        return states
    if not _asks_for_workspace(checkout, root) or not any(map(_has_workspaces, states)):
        return states
    names = _names_of_values(checkout, root.folder)
    made = list[State]()
    for state in states:
        unknown = {key for key, value in state.keys.values.items() if isinstance(value, str) and not is_known(value)}
        if state.missing and unknown != {"workspace"}:
            made.append(state)
            continue
        if not names:
            words = f"{state.folder or '.'} uses terraform.workspace: which workspaces are there?"
            if state.missing:
                state.keys.missing = [words]
            else:
                state.guesses.append("the workspace default: the code asks for its workspace")
                state.asks_for_workspace = True
            made.append(state)
            continue
        for name in names:
            values = {key: value for key, value in state.keys.values.items() if key != "workspace"}
            keys = Keys(state.keys.type, {**values, "workspace": name}, [], dict(state.keys.guesses), state.keys.notes)
            guess = f"the workspace {name}: the folder uses workspaces, and has a file {name}.tfvars"
            made.append(
                State(state.folder, state.at, keys, name, [*state.guesses, guess], state.pipelines, state.unseen)
            )
    return made


def _has_workspaces(state: State) -> bool:
    section = BACKEND_SECTIONS.get(state.keys.type)
    return section is not None and section.has_workspaces()


def _asks_for_workspace(checkout: Checkout, root: Root) -> bool:
    return any(
        "terraform.workspace" in (checkout.text(file) or "")
        for file in checkout.in_folder(root.folder)
        if file.endswith((".tf", ".tofu"))
    )


def _names_of_values(checkout: Checkout, folder: str) -> list[str]:
    names = list[str]()
    prefix = f"{folder}/" if folder else ""
    for file in checkout.files:
        found = _VALUES_FILES.search(file) if file.endswith(".tfvars") and file.startswith(prefix) else None
        near = file.removeprefix(prefix)
        if found and not near.startswith("..") and near.count("/") <= 1 and not file.endswith(".auto.tfvars"):
            name = found[1]
            if name not in {"terraform", "tofu", "common", "global", "default", "defaults", "variables", "example",
                            "backend"} and "example" not in name:  # fmt: skip
                names.append(name)
    return list(dict.fromkeys(names))[:_MOST_VARIANTS]


def _share_regions(states: Sequence[State]) -> None:
    """A bucket whose region nobody names is taken to be where the others are."""
    regions = Counter(
        state.keys.values["region"] for state in states if is_known(str(state.keys.values.get("region", "\x00")))
    )
    for state in states:
        section = BACKEND_SECTIONS.get(state.keys.type)
        problems = () if section is None else section.problems(state.keys.values, has_region=False)
        if all(key != "region" for key, _ in problems):
            continue
        if regions:
            state.keys.values["region"] = regions.most_common(1)[0][0]
            state.keys.guesses["region"] = "most other states of this repository are there"
        else:
            state.keys.missing.append("region is given nowhere that could be read: in which one is the bucket?")


def named(states: Sequence[State], names: Mapping[str, str]) -> None:
    """Gives each state a short name of its own. `names` has the repository's name by the state's place."""
    taken = set[str]()
    short = Counter(_short(state, names) for state in states)
    wanted = [_long(state, names) if short[_short(state, names)] > 1 else _short(state, names) for state in states]
    often = Counter(wanted)
    for state, each in zip(states, wanted, strict=True):
        store = str(state.keys.values.get("storage_account") or state.keys.values.get("bucket") or "")
        name = fit(f"{each}-{store}") if often[each] > 1 and store and is_known(store) else each
        base, number = name, 2
        while name.lower() in taken:
            name, number = f"{base[:56]}-{number}", number + 1
        taken.add(name.lower())
        state.name = name


def _short(state: State, names: Mapping[str, str]) -> str:
    parts = telling(state.folder)
    label = state.variant if state.variant not in {"", "default"} and is_known(state.variant) else ""
    if parts and label and label.startswith(parts[-1]):
        parts.pop()
    if label and label not in parts:
        parts.append(label)
    if not parts:
        section, values = BACKEND_SECTIONS.get(state.keys.type), state.keys.values
        telling_keys = () if section is None else reversed(section.name_keys)
        key = next((str(values[name]) for name in telling_keys if values.get(name)), "")
        parts = telling(re.sub(r"\.tfstate$", "", shown(key)))
    return fit("-".join(parts[-3:])) or fit(names.get(state.folder, "")) or "main"


def telling(path: str) -> list[str]:
    return [part for part in path.split("/") if part and part.lower() not in _PLAIN_WORDS]


def _long(state: State, names: Mapping[str, str]) -> str:
    label = state.variant if state.variant not in {"", "default"} and is_known(state.variant) else ""
    folders = telling(state.folder) if len(state.folder) > 40 else state.folder.split("/")  # noqa: PLR2004
    key = re.sub(r"\.tfstate$", "", shown(str(state.keys.values.get("key", ""))))
    if not label:
        return fit("-".join(telling(key)[-3:])) or fit("-".join(folders)) or "main"
    whole = [*folders, label] if state.folder else [names.get("", ""), label]
    return fit("-".join(part for part in whole if part)) or "main"


def _is_environment(root: Root, roots: Sequence[Root]) -> bool:
    """Whether `test` in its folder is an environment: beside it are folders of others."""
    found = _TEST.search(root.folder)
    if found is None or _EXAMPLES.search(_TEST.sub("", root.folder)):
        return False
    beside = re.compile(f"{re.escape(root.folder[: found.start()])}(?:{_OTHER_ENVIRONMENTS})(?:/.*)?", re.IGNORECASE)
    return any(beside.fullmatch(other.folder) for other in roots)


def fit(text: str) -> str:
    """As the configuration wants names: letters, digits, `.`, `_` and `-`, 60 at most, and not just a number."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")
    if len(name) > 60:  # noqa: PLR2004 - as the configuration has it
        name = name[-60:]
        name = (name.partition("-")[2] or name).lstrip("-._")  # from the beginning of a word
    return f"state-{name}" if name.isdigit() else name


def without_doubles(states: Sequence[State]) -> list[State]:
    """States of several folders that are one object in the store are one, with the pipelines of all."""
    made, by_identity = list[State](), dict[tuple[str, ...], State]()
    for state in states:
        section = BACKEND_SECTIONS.get(state.keys.type)
        identity = section.identity(state.keys.values) if section is not None and not state.missing else None
        if identity is None:
            made.append(state)
            continue
        known = by_identity.get((state.keys.type, *identity))
        if known is None:
            by_identity[(state.keys.type, *identity)] = state
            made.append(state)
            continue
        _add(known.pipelines, state.pipelines)
        known.keys.notes.append(f"{state.at} is this state, too")
    return made
