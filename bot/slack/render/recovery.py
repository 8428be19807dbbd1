"""`recover`: what a dead run left behind, and what to do about it; for Slack, a terminal and `--json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from bot.core.instants import stamp
from bot.core.lock import DigestMatch
from bot.core.phrase import Linked, Phrase, Quoted, instant, joined, plain
from bot.core.recovery.compare import Difference
from bot.core.recovery.recovery import HowFound, Recovery, dont, next_steps
from bot.core.recovery.versions import VersionSeen
from bot.core.run import Run
from bot.ports.messenger import Message
from bot.slack.render.blocks import Block, context, folded, message, sections
from bot.slack.render.facts import Fact, file_size
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import escape, mrkdwn
from bot.slack.render.page import lines, notification
from bot.slack.render.plain import fact_lines, run_json

_FEW, _MANY = 8, 200
_CODE = 2_800
_FOUND = {
    HowFound.HOLDS: "holds the lock",
    HowFound.HELD: "held the lock that was released",
    HowFound.NAMED: "was named in the question",
    HowFound.NEWEST: "is the newest that did not succeed; whether it held the lock is not known",
}


def recovery_message(recovery: Recovery) -> Message:
    """The answer, what to do, and then what it rests on. A version that warns is not folded."""
    found, steps = list(_found(recovery)), list(_steps(recovery))
    listed = list(_listed(recovery.difference, _FEW)) if recovery.difference is not None else []
    versions = [*lines(_versions(recovery))]
    return message(
        notification(found[0]),
        sections(lines([*found, *_gaps(recovery), *_odd_versions(recovery)]), budget=4_000),
        sections(lines(steps), budget=4_000),
        *([sections(lines(listed), budget=6_000)] if listed else []),
        *([_code(recovery.blocks)] if recovery.blocks else []),
        *([folded(f"Versions of the state: {len(recovery.versions) or 'none read'}", versions)] if versions else []),
        context(mrkdwn(("Nothing was changed. Looked at ", recovery.at, "."))),
    )


def recovery_lines(recovery: Recovery) -> list[str]:
    """For a terminal: everything, with the import blocks as they go into a file."""
    told = fact_lines(_facts(recovery, _MANY))
    blocks = ["", *recovery.blocks.split("\n")] if recovery.blocks else []
    steps, versions = fact_lines(_steps(recovery)), fact_lines(_versions(recovery))
    shown = ["", "  Versions of the state, newest first:", *versions] if versions else []
    return [*told, *blocks, "", *steps, *shown, "", f"Nothing was changed. Looked at {instant(recovery.at)}."]


def _code(blocks: str) -> list[Block]:
    """The import blocks that fit, whole ones only, and how many did not."""
    kept, left = list[str](), _CODE
    whole = blocks.split("\n\n")
    for block in whole:
        left -= len(escape(block)) + 2
        if left < 0:
            break
        kept.append(escape(block).replace("`", "'"))
    more = len(whole) - len(kept)
    rows = ["```" + "\n\n".join(kept) + "```"] if kept else []
    if more:
        rows.append(mrkdwn((f"… and {more} more import blocks: run ", Quoted("tflock recover STATE"), " for all.")))
    return [{"type": "section", "text": {"type": "mrkdwn", "text": row}} for row in rows]


def _facts(recovery: Recovery, most: int) -> Iterable[Fact]:
    yield from _found(recovery)
    if recovery.difference is not None:
        yield from _listed(recovery.difference, most)
    yield from _gaps(recovery)


def _found(recovery: Recovery) -> Iterable[Fact]:
    yield _headline(recovery)
    run = recovery.run
    if run is not None and recovery.found is not None:
        named = Linked(f"{run.ref.pipeline.title} #{run.ref.id}", run.ref.url or None)
        ended: Phrase = (f" It {run.conclusion}.",) if run.conclusion else (" It has not ended.",)
        yield Fact("Run:", (named, f" {_FOUND[recovery.found]}.", *ended))


def _gaps(recovery: Recovery) -> Iterable[Fact]:
    for gap in recovery.gaps:
        yield Fact("Not complete:", gap, Icon.WARNING)


def _odd_versions(recovery: Recovery) -> Iterable[Fact]:
    for seen in recovery.versions:
        said = "; ".join(seen.warnings)
        if said and seen.contents is not None and seen.contents.is_readable:  # else the headline says it
            when: Phrase = (f"{said} (", seen.version.at, ").") if seen.version.at is not None else (f"{said}.",)
            yield Fact("The newest version:" if seen.version.is_newest else "An older version:", when, Icon.WARNING)


def _headline(recovery: Recovery) -> Fact:
    state, difference = recovery.state.name, recovery.difference
    if difference is None:
        return Fact(f"We can't tell what was left behind in {state}:", (*recovery.why_not, "."), Icon.UNKNOWN)
    parts: list[Phrase] = [
        (f"{len(found)} {words}",)
        for found, words in (
            (difference.made, "made and not recorded"),
            (difference.unsure, "of unknown outcome"),
            (difference.destroyed, "destroyed and still recorded"),
        )
        if found
    ]
    if parts:
        return Fact(f"The run left objects behind in {state}:", (*joined(parts), "."), Icon.WARNING)
    if recovery.left_state:
        return Fact(f"The run could not save the state of {state}.", (), Icon.WARNING)
    if recovery.looks_wrong:
        return Fact(f"The newest state of {state} looks wrong.", ("Read below before anyone applies.",), Icon.WARNING)
    if recovery.gaps:
        return Fact(f"We found nothing left behind in {state},", ("as far as its log goes.",), Icon.UNKNOWN)
    recorded = len(difference.recorded)
    every = (
        "the run's only change is recorded." if recorded == 1 else f"all {recorded} changes of the run are recorded."
    )
    words = every if recorded else "the run changed nothing."
    return Fact(f"Nothing was left behind in {state}:", (words,), Icon.GOOD)


def _listed(difference: Difference, most: int) -> Iterable[Fact]:
    yield from _some(
        "Made, and not recorded:",
        [(Quoted(one.address), *_called(one.id), *((f" ({one.why})",) if one.why else ())) for one in difference.made],
        most,
    )
    yield from _some(
        "Outcome unknown:",
        [(Quoted(one.address), f" ({one.action}: {one.why})") for one in difference.unsure],
        most,
    )
    yield from _some("Destroyed, and still recorded:", [(Quoted(one),) for one in difference.destroyed], most)
    yield from _some("Tainted, so the next apply replaces it:", [(Quoted(one),) for one in difference.tainted], most)
    if difference.recorded:
        yield Fact("Recorded:", (f"{len(difference.recorded)} of the run's changes.",))


def _called(name: str) -> Phrase:
    return (" ", Quoted(name)) if name else ()


def _some(label: str, rows: Sequence[Phrase], most: int) -> Iterable[Fact]:
    if not rows:
        return
    yield Fact(label, ())
    for row in islice(rows, most):
        yield Fact("", ("• ", *row))
    if len(rows) > most:
        yield Fact("", (f"… and {len(rows) - most} more.",))


def _steps(recovery: Recovery) -> Iterable[Fact]:
    for number, step in enumerate(next_steps(recovery), 1):
        yield Fact("What to do:" if number == 1 else "", (f"{number}. ", *step))
    for step in dont(recovery):
        yield Fact("", step, Icon.BAD)


def _versions(recovery: Recovery) -> Iterable[Fact]:
    if recovery.no_versions:
        yield Fact("Versions of the state:", (f"not read: {recovery.no_versions}.",), Icon.UNKNOWN)
    for seen in recovery.versions:
        yield _version(seen)


def _version(seen: VersionSeen) -> Fact:
    version, contents = seen.version, seen.contents
    parts: list[Phrase] = [*([(version.at,)] if version.at else []), (file_size(version.size),)]
    if contents is not None and contents.serial is not None:
        parts.append((f"serial {contents.serial}",))
    if contents is not None and contents.is_readable:
        parts.append((f"{len(contents.instances)} resources",))
    if contents is not None and contents.terraform_version:
        parts.append(("Terraform ", Quoted(contents.terraform_version)))
    if seen.run:
        parts.append((Linked("written by this run", seen.run),))
    parts += [(f"{len(found)} {words}",) for found, words in _changed(seen) if found]
    parts += [(f"{warning}",) for warning in seen.warnings]
    if seen.unread:
        parts.append((f"not read: {seen.unread}",))
    icon = Icon.WARNING if seen.warnings else Icon.UNKNOWN if seen.unread else Icon.NONE
    return Fact((Quoted(version.id),), (" ", *joined(parts, " · ")), icon)


def _changed(seen: VersionSeen) -> tuple[tuple[tuple[str, ...], str], ...]:
    return (seen.added, "added"), (seen.removed, "removed"), (seen.changed, "changed")


def recovery_json(recovery: Recovery) -> dict[str, object]:
    """The document of `recover --json`; instants in ISO 8601 and UTC, sizes in bytes."""
    difference, run, digest = recovery.difference or Difference(), recovery.run, recovery.digest
    return {
        "state": recovery.state.name,
        "run": None if run is None else run_json(run),
        "run_found": None if recovery.found is None else str(recovery.found),
        "lock_id": None if recovery.lock is None else recovery.lock.id,
        "locked": recovery.is_locked,
        "compared": recovery.difference is not None,
        "why_not": plain(recovery.why_not) or None,
        "recorded": list(difference.recorded),
        "made_not_recorded": [
            {"address": one.address, "id": one.id or None, "import": one.block or None, "why": one.why or None}
            for one in difference.made
        ],
        "unknown": [{"address": one.address, "action": str(one.action), "why": one.why} for one in difference.unsure],
        "destroyed_still_recorded": list(difference.destroyed),
        "tainted": list(difference.tainted),
        "provisioned": list(difference.scripts),
        "state_left_on_runner": recovery.left_state,
        "incomplete": [plain(gap) for gap in recovery.gaps],
        "do": [plain(step) for step in next_steps(recovery)],
        "dont": [plain(step) for step in dont(recovery)],
        "versions": [_version_json(seen, run) for seen in recovery.versions],
        "versions_not_read": recovery.no_versions or None,
        "digest": {
            "match": str(digest.match),
            "key": digest.key,
            "item": digest.item,
            "right": None if recovery.newest is None or digest.match is DigestMatch.NO_TABLE else recovery.newest.md5,
        },
    }


def _version_json(seen: VersionSeen, run: Run | None) -> dict[str, object]:
    contents = seen.contents
    return {
        "id": seen.version.id,
        "at": None if seen.version.at is None else stamp(seen.version.at),
        "size": seen.version.size,
        "serial": None if contents is None else contents.serial,
        "lineage": None if contents is None else contents.lineage,
        "terraform_version": None if contents is None else contents.terraform_version,
        "resources": len(contents.instances) if contents is not None and contents.is_readable else None,
        "run": run_json(run) if seen.run and run is not None else None,
        "added": list(seen.added),
        "removed": list(seen.removed),
        "changed": list(seen.changed),
        "warnings": list(seen.warnings),
        "not_read": seen.unread or None,
    }
