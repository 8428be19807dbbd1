"""States as a configuration file with comments: what is sure, what is guessed and why, and what has to be asked.

The file is loaded with the product's own loader before anyone gets it; a state that the loader refuses becomes one
that is not complete, with the loader's words.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.cli.init.join import Mapped, State
from bot.cli.init.uses import Seen
from bot.config.load import load
from bot.config.models import CI_SECTIONS
from bot.core.systems import BY_TYPE
from bot.errors import ConfigInvalid

TYPES = {
    "github": "github_actions", "gitlab": "gitlab", "azure": "azure_devops", "jenkins": "jenkins", "ecs": "ecs",
    "hcp": "hcp",
}  # fmt: skip
"""The types of the entries under `ci`, by the name that each gets."""

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"})
_MOST_ALONE = 3
_EACH = {
    "azure": "Which number (definitionId in its address) has the pipeline of each of these files:",
    "jenkins": "Which job (its full name, folder/name) runs each of these files:",
}
_MOST_FOR_ONE = 20
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Written:
    """`text` is the file. `questions` are those of its states and all others, each one sentence or two."""

    text: str
    questions: tuple[str, ...]
    complete: int
    incomplete: int
    guessed: int


def written(
    origin: str,
    states: Sequence[State],
    questions: Sequence[str],
    sections: Mapping[str, Mapping[str, str]],
    environ: Mapping[str, str],
    looked: Sequence[str] = (),
) -> Written:
    """`sections` are the values of each entry under `ci` that could be found out, by its name. `looked` are sentences
    on what the systems said.
    """
    while True:
        text, asked = _text(origin, states, questions, sections, looked)
        complete = [state for state in states if not state.missing]
        refused = _refused(text, environ) if complete else {}
        if not refused:
            guessed = sum(1 for state in complete if _is_guessed(state))
            return Written(text, asked, len(complete), len(states) - len(complete), guessed)
        for state in complete:
            if state.name in refused:
                state.keys.missing.append(refused[state.name])


def _refused(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What the loader says against states, by their names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tflock.yml"
        path.write_text(text, encoding="utf-8")
        try:
            load(path, environ, need_slack=False, need_tokens=False)
        except ConfigInvalid as invalid:
            found = dict[str, str]()
            for problem in invalid.problems:
                of_state = re.search(r": states\.(.+?)(?:\.(?:backend|pipelines|protected)\b.*?)?: (.*)$", problem)
                if of_state is None:
                    raise
                found[of_state[1]] = of_state[2]
            return found
    return {}


def _is_guessed(state: State) -> bool:
    return bool(state.guesses or state.keys.guesses or any(each.guess for each in state.pipelines))


def _text(
    origin: str,
    states: Sequence[State],
    questions: Sequence[str],
    sections: Mapping[str, Mapping[str, str]],
    looked: Sequence[str],
) -> tuple[str, tuple[str, ...]]:
    complete = [state for state in states if not state.missing]
    incomplete = [state for state in states if state.missing]
    used = {each.seen.ci for state in states for each in state.pipelines}
    asked = tuple(dict.fromkeys([*_asked(states, sections, used), *questions]))
    lines = [
        f"# Written by `tflock init` from {origin}.",
        "# It was read and not run. Check the lines with “guessed”: they say why. What is not known is asked.",
    ]
    if looked:
        lines += ["#", "# Looked up, with the credentials at hand:", *(f"# - {_one_line(each)}" for each in looked)]
    if asked:
        lines += ["#", "# Questions:"]
        for number, question in enumerate(asked, 1):
            lines.append(f"# {number}. {_one_line(question)}")
    lines += [
        "version: 1", "", "slack:",
        '  incident_channels: ["inc-*"]  # guessed: channels where unlock is allowed, by name pattern or id', "",
    ]  # fmt: skip
    lines += _ci(sections, used)
    lines.append("states:" if complete else "# states:")
    for state in complete:
        lines += _state(state, sections)
    if incomplete:
        lines += ["", "# Not complete: fill in what is asked, and remove the “# ” before the lines."]
    for state in incomplete:
        lines += [f"# {line}" for line in _state(state, sections)]
    return "\n".join(lines) + "\n", asked


def _asked(states: Sequence[State], sections: Mapping[str, Mapping[str, str]], used: set[str]) -> Iterator[str]:
    missing = dict[str, list[State]]()
    for state in states:
        for words in state.missing[:_MOST_FOR_ONE]:
            missing.setdefault(words, []).append(state)
    for words, those in missing.items():
        yield f"{some([state.name for state in those])} ({those[0].at}): {words}{'' if words.endswith('?') else '.'}"
    yield from _unnamed([*dict.fromkeys(each.seen for state in states for each in state.pipelines if each.seen.asks)])
    for name in sorted(used):
        if "base_url" in sections.get(name, {}) and not sections[name]["base_url"]:
            yield f"At which address is {BY_TYPE[TYPES[name]].name}? Its pipelines are commented out until then."
    yield from _without_runs(states)


def _unnamed(pipelines: Sequence[Seen]) -> Iterator[str]:
    """What to fill in for pipelines; where many lack the same, all in one question."""
    for ci in dict.fromkeys(seen.ci for seen in pipelines):
        those = [seen for seen in pipelines if seen.ci == ci]
        if len(those) > _MOST_ALONE and ci in _EACH:
            yield f"{_EACH[ci]} {', '.join(seen.file for seen in those)}?"
        else:
            yield from (seen.asks[:1].upper() + seen.asks[1:] for seen in those)


def _without_runs(states: Sequence[State]) -> Iterator[str]:
    """States whose runs tflock could not see."""
    systems = dict[str, list[str]]()
    for state in states:
        for system in state.unseen:
            systems.setdefault(system, []).append(state.name)
    for system, names in systems.items():
        yield (
            f"{system} runs Terraform on {some(names)}, and tflock cannot see its runs: who tells that one is over? "
            "Let its jobs use `tflock claim`, or expect that a second person has to agree."
        )
    without = [state.name for state in states if not state.pipelines and not state.unseen]
    if without:
        yield f"Which pipelines run Terraform on {some(without)}? None is known from this checkout."


def some(names: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more}"


def _ci(sections: Mapping[str, Mapping[str, str]], used: set[str]) -> list[str]:
    lines = list[str]()
    for name in sorted(used):
        values = {"type": TYPES[name], **sections.get(name, {})}
        is_known = all(values.values())
        if not is_known:
            values = {key: value or "?" for key, value in values.items()}
        fields = CI_SECTIONS[TYPES[name]].model_fields.items()
        variable = " and ".join(str(field.default) for key, field in fields if key.endswith("_env"))
        lines.append(
            f"  {'' if is_known else '# '}{name}: {_flow(values)}{f'  # needs {variable}' if variable else ''}"
        )
    return ["ci:" if any(not line.startswith("  #") for line in lines) else "# ci:", *lines, ""] if lines else []


def _state(state: State, sections: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = [f"  {_scalar(state.name)}:  # {state.at}"]
    lines += [f"    # asked: {_one_line(missing)}" for missing in state.missing[:_MOST_FOR_ONE]]
    lines += [f"    # guessed: {_one_line(guess)}" for guess in dict.fromkeys(state.guesses)]
    lines += [f"    # note: {_one_line(note)}" for note in dict.fromkeys(state.keys.notes)]
    lines += [f"    # checked: {_one_line(each)}" for each in state.checks]
    if state.discover:
        lines.append("    discover: true")
    if state.protected:
        values = {name: f"[{', '.join(map(_scalar, each))}]" for name, each in state.protected.items()}
        shown = ", ".join(f"{name}: {each}" for name, each in values.items())
        lines.append(f"    protected: {{{shown}}}  # guessed: these say production; each release needs a second person")
    elif state.is_production:
        lines.append("    protected: true  # guessed: its name says production; each release needs a second person")
    lines.append("    backend:")
    for key, value in state.keys.values.items():
        why = state.keys.guesses.get(key)
        said = '"?"' if isinstance(value, str) and "\x00" in value else _scalar(value)
        lines.append(f"      {key}: {said}{f'  # guessed: {why}' if why else ''}")
    if not state.pipelines:
        lines.append("    pipelines: []")
        return lines
    ready = [each for each in state.pipelines if is_ready(each, sections)]
    lines.append("    pipelines:" if ready else "    pipelines: []")
    for each in state.pipelines:
        keys = {"ci": each.seen.ci} | {key: value or "?" for key, value in each.seen.keys}
        file = f"{each.seen.file}, " if each.seen.file not in {"", str(each.at).rpartition(":")[0]} else ""
        comment = f"guessed: {_one_line(each.guess)} ({file}{each.at})" if each.guess else f"{file}{each.at}"
        lines.append(f"      {'' if each in ready else '# '}- {_flow(keys)}  # {comment}")
    return lines


def is_ready(each: Mapped, sections: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether all that the configuration wants of a pipeline is known."""
    return all(value for _, value in each.seen.keys) and all(sections.get(each.seen.ci, {}).values())


def _flow(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in values.items()) + "}"


def _scalar(value: Any) -> str:
    """As YAML: plain where that is safe, else in double quotes, which are JSON's."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """For a comment, in which YAML allows no control characters."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
