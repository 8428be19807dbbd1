"""The command: reads checkouts, and writes the configuration or shows the difference to the one that is there."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import typer

from bot.cli.frame import FAILED, OK, WRONG, complain, run
from bot.cli.init import azure, github, gitlab, others
from bot.cli.init.blocks import Root
from bot.cli.init.holes import is_known
from bot.cli.init.join import Found, Gathered, State, joined_up, named, without_doubles
from bot.cli.init.live.against import against
from bot.cli.init.live.evidence import COUNTED
from bot.cli.init.roots import roots
from bot.cli.init.tree import Checkout, opened
from bot.cli.init.uses import Use
from bot.cli.init.write import Written, written
from bot.config.load import load
from bot.config.settings import Config
from bot.errors import ConfigInvalid

_MOST_SHOWN = 20
_GITLAB_COM = "https://gitlab.com/api/v4"
_Sections: TypeAlias = Mapping[tuple[str, bool], set[str]]
"""Addresses of CI systems by their names, and by whether the checkout uses them; empty: the usual one."""


def init(paths: Sequence[Path], output: Path, environ: Mapping[str, str], *, force: bool, live: bool = False) -> int:
    """Returns the exit code: ok if the file was written or is the same already, failed if it is there and differs, or
    if there is nothing to write. Only with `live` any system is asked.
    """
    try:
        checkouts = [opened(path) for path in paths]
    except OSError as error:
        return complain(f"{error.filename}: {error.strerror}. Nothing was written.", WRONG)
    gained = gathered(checkouts)
    found = _written(gained, environ)
    for checkout in checkouts:
        for fault in checkout.faults[:_MOST_SHOWN]:
            typer.echo(f"{fault.at}: {fault.words}", err=True)
        if len(checkout.faults) > _MOST_SHOWN:
            typer.echo(f"… and {len(checkout.faults) - _MOST_SHOWN} more files that could not be read", err=True)
    if found.complete + found.incomplete == 0:
        where = ", ".join(map(str, paths))
        return complain(f"No backend block and no remote_state was found in {where}. Nothing was written.")
    if not live:
        return _put(found, output, force=force)
    before, why_not = _before(output, environ)
    typer.echo(
        "Asking the stores and CI systems with the credentials at hand. It only reads. It may take minutes.", err=True
    )
    looked = run(_looked_up(gained, before, environ))
    gained.states.sort(key=lambda state: state.name.lower())
    found = _written(gained, environ, [*why_not, *looked])
    for fact in looked:
        typer.echo(f"Looked up: {fact}", err=True)
    code = _put(found, output, force=force)
    for line in against(gained.states, before) if before is not None and code != OK else ():
        typer.echo(line)
    return code


async def _looked_up(gained: Gathered, before: Config | None, environ: Mapping[str, str]) -> list[str]:
    from bot.app import logs  # noqa: PLC0415 - only who asks needs it, and all that asks
    from bot.cli.init.live.result import look  # noqa: PLC0415 - as above

    logs.set_up(form="console", level="error")
    return await look(gained, before, environ)


def _before(output: Path, environ: Mapping[str, str]) -> tuple[Config | None, list[str]]:
    """The configuration that is there, and what keeps it from being one."""
    if str(output) == "-" or not output.exists():
        return None, []
    try:
        return load(output, environ, need_slack=False, need_tokens=False), []
    except ConfigInvalid as invalid:
        return None, [f"{output} is there and cannot be loaded, so nothing of it is known: {invalid.problems[0]}"]


def _written(found: Gathered, environ: Mapping[str, str], looked: Sequence[str] = ()) -> Written:
    return written(found.origin, found.states, found.questions, found.sections, environ, looked)


def read(checkouts: Sequence[Checkout], environ: Mapping[str, str]) -> Written:
    """The configuration that these checkouts come to."""
    return _written(gathered(checkouts), environ)


def gathered(checkouts: Sequence[Checkout]) -> Gathered:
    """All that their files say. Asks nobody."""
    all_uses = [uses_in(checkout) for checkout in checkouts]
    all_roots = [roots(checkout) for checkout in checkouts]
    found = Found()
    names, sections = dict[str, str](), list[_Sections]()
    for checkout, mine, own in zip(checkouts, all_roots, all_uses, strict=True):
        one = joined_up(checkout, mine, own)
        sections.append(_sections(checkout, one.states, {use.pipeline.ci for use in own if use.pipeline is not None}))
        found.states += one.states
        found.questions += one.questions
        found.questions += _unknown(checkout, mine)
        names.setdefault("", checkout.name)
    states = without_doubles(found.states)
    named(states, names)
    states.sort(key=lambda state: state.name.lower())
    origin = ", ".join(checkout.name for checkout in checkouts)
    return Gathered(
        f"the files of {origin}", states, found.questions, _agreed(sections), [use for own in all_uses for use in own]
    )


def uses_in(checkout: Checkout) -> list[Use]:
    """What all pipelines of a checkout do with Terraform."""
    return [use for system in (github, gitlab, azure, others) for use in system.uses(checkout)]


def _unknown(checkout: Checkout, mine: Sequence[Root]) -> list[str]:
    if not mine:
        return []
    return [
        f"{at}: {system} runs Terraform here, and tflock cannot see its runs. Let its jobs use `tflock claim`, or "
        "expect that a second person has to agree to each unlock. On which states does it run?"
        for system, at in others.unknown_systems(checkout)
    ]


def _sections(checkout: Checkout, states: Sequence[State], used: Collection[str]) -> _Sections:
    """What the entries under `ci` would say for this checkout, of the systems that it says something of."""
    github_at, gitlab_at = checkout.host_of(github.CI), checkout.host_of(gitlab.CI)
    found = dict[str, set[str]]()
    if github_at:
        found[github.CI] = {"" if github_at == "github.com" else f"https://{github_at}/api/v3"}
    found[gitlab.CI] = {f"https://{gitlab_at}/api/v4"} if gitlab_at else _gitlabs(states)
    found[gitlab.CI] = {"" if each == _GITLAB_COM else each for each in found[gitlab.CI]}
    found[azure.CI] = {azure.organisation(checkout)} - {""}
    return {(name, name in used): each for name, each in found.items()}


def _gitlabs(states: Sequence[State]) -> set[str]:
    """The addresses of the GitLabs that keep states of a checkout whose remote says none."""
    values = [state.keys.values for state in states if state.keys.type == gitlab.CI]
    return {address for each in values if is_known(address := str(each.get("base_url") or ""))} - {""}


def _agreed(sections: Sequence[_Sections]) -> dict[str, Mapping[str, str]]:
    """The values of the entries under `ci`, by the checkouts that use them if any does; empty ones have to be asked."""
    agreed: dict[str, Mapping[str, str]] = {others.ECS: {}, others.JENKINS: {"base_url": ""}}
    for name, usual in ((github.CI, {""}), (gitlab.CI, {""}), (azure.CI, set[str]())):
        by_use = [set[str]().union(*(each.get((name, is_used), ()) for each in sections)) for is_used in (True, False)]
        said = by_use[0] or by_use[1] or usual
        (address,) = said if len(said) == 1 else (None,)
        agreed[name] = {} if address == "" else {"base_url": address or ""}
    return agreed


def _put(found: Written, output: Path, *, force: bool) -> int:
    if str(output) == "-":
        typer.echo(found.text, nl=False)
        return OK if found.complete else FAILED
    try:
        before = output.read_text(encoding="utf-8") if output.exists() else None
        if before is not None and _without_counts(before) != _without_counts(found.text) and not force:
            typer.echo(_difference(before, found.text, output), nl=False)
            return complain(
                f"{output} is there already and differs, as shown. Nothing was changed; --force overwrites it."
            )
        is_new = before is None or _without_counts(before) != _without_counts(found.text)
        if is_new:
            output.write_text(found.text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "is not UTF-8 text"
        return complain(f"{output}: {reason}. Nothing was changed.")
    typer.echo(_summary(found, output, is_new=is_new))
    return OK if found.complete else FAILED


def _without_counts(text: str) -> str:
    """What `--live` has counted changes with each run of a pipeline, and is no difference."""
    return COUNTED.sub("", text)


def _difference(before: str, after: str, output: Path) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(output), f"{output} (found now)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _summary(found: Written, output: Path, *, is_new: bool) -> str:
    said = [f"{_count(found.complete, 'state')} {'written to' if is_new else 'as before in'} {output}."]
    if found.guessed:
        said.append(f"{_count(found.guessed, 'state')} with guesses: look for “guessed” in the file.")
    if found.incomplete:
        said.append(f"{_count(found.incomplete, 'state')} not complete, commented out at the end.")
    if found.questions:
        said += ["", f"{_count(len(found.questions), 'question')}, also at the head of the file:"]
        said += [f"  {question}" for question in found.questions[:_MOST_SHOWN]]
        left = len(found.questions) - _MOST_SHOWN
        said += [f"  … and {left} more in the file"] if left > 0 else []
    said += ["", "Next: tflock doctor"]
    return "\n".join(said)


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
