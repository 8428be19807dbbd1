"""What a dead run left behind, as a value, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.gate.inspection import StateName
from bot.core.joblog.changes import Action
from bot.core.lock import DigestMatch, DigestSeen
from bot.core.phrase import Command, Linked, Phrase, Quoted
from bot.core.record.evidence import LockFacts
from bot.core.recovery.compare import Difference
from bot.core.recovery.contents import Contents
from bot.core.recovery.versions import VersionSeen
from bot.core.run import Run


class HowFound(StrEnum):
    """How the run was found. Only of the first two is it known that it held the lock."""

    HOLDS = "it holds the lock"
    HELD = "it held the lock that was released"
    NAMED = "it was named"
    NEWEST = "it is the newest run that did not succeed"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What one run did, against the newest state.

    `difference` is None where the two could not be compared: `why_not` says why. `gaps` are sentences on what the
    answer may lack. `versions` are newest first; `no_versions` says why there are none. `left_state`: the run said
    that it could not save its state. `is_locked`: the state is locked now; None if
    that could not be read. `is_on_hold`: that lock is a hold of tflock's.
    """

    state: StateName
    at: datetime
    run: Run | None
    found: HowFound | None
    lock: LockFacts | None
    is_locked: bool | None
    difference: Difference | None
    why_not: Phrase
    gaps: tuple[Phrase, ...]
    newest: Contents | None
    versions: tuple[VersionSeen, ...]
    no_versions: str
    digest: DigestSeen
    left_state: bool = False
    table: str = ""
    is_on_hold: bool = False

    @property
    def looks_wrong(self) -> bool:
        """Whether the newest version of the state is valid, and odd beside the one before it."""
        is_valid = self.newest is not None and self.newest.is_readable
        return is_valid and bool(self.versions and self.versions[0].version.is_newest and self.versions[0].warnings)

    @property
    def blocks(self) -> str:
        """The `import` blocks of what was made and not recorded, for one file."""
        made = () if self.difference is None else self.difference.made
        return "\n\n".join(one.block for one in made if one.block)


def next_steps(recovery: Recovery) -> tuple[Phrase, ...]:
    """What to do, in this order. No step writes a state on its own, and none is needed to read on."""
    parts = (_state_first, _digest, _lock, _push, _objects, _then)
    return tuple(step for part in parts for step in part(recovery))


def dont(recovery: Recovery) -> tuple[Phrase, ...]:
    """What would make it worse."""
    words: list[Phrase] = []
    difference = recovery.difference
    if recovery.left_state:
        words.append(("Do not apply before that state is saved: what only it records would be made a second time.",))
    elif recovery.looks_wrong:
        words.append(("Do not apply before you know that this state is the right one.",))
    if difference is not None and any(not one.is_made_again for one in difference.made):
        words.append(("Do not apply before the import: Terraform would make them a second time.",))
    if difference is None:
        words.append(("Do not take this for a clean state: nothing was compared.",))
    elif recovery.gaps:
        words.append(("Do not take this list for complete: look at the run's log and at the provider, too.",))
    return tuple(words)


def _state_first(recovery: Recovery) -> list[Phrase]:
    if recovery.left_state:
        return [
            (
                "Its log says that Terraform could not save the state. Look for ", Quoted("errored.tfstate"),
                " in the directory where it ran, and keep a copy.",
            )
        ]  # fmt: skip
    newest = recovery.newest
    good = next((one for one in recovery.versions[1:] if one.contents and one.contents.is_readable), None)
    if newest is not None and newest.fault is not None:
        words: Phrase = (f"The newest state is not valid: {newest.fault}. ",)
        if good is not None:
            which: Phrase = ("Restore its newest valid version, ", Quoted(good.version.id), ", before any other run.")
            return [(*words, *which)]
        return [(*words, "Restore it from a backup before anything else.")]
    if recovery.looks_wrong:
        before: Phrase = (", ", Quoted(good.version.id)) if good is not None else ()
        return [("Compare the newest state with the version before", *before, ", and decide which one is right.")]
    return []


def _push(recovery: Recovery) -> list[Phrase]:
    if not recovery.left_state:
        return []
    taken: Phrase = (". Terraform takes it only with the same lineage and a higher serial", *_serial(recovery), ".")
    return [("In that directory, run ", Quoted("terraform state push errored.tfstate"), *taken)]


def _serial(recovery: Recovery) -> Phrase:
    newest = recovery.newest
    return () if newest is None or newest.serial is None else (f" than {newest.serial}",)


def _digest(recovery: Recovery) -> list[Phrase]:
    digest = recovery.digest
    if digest.match is not DigestMatch.DIFFERS or digest.actual is None or digest.key is None or not recovery.table:
        return []
    item = f'{{"LockID":{{"S":"{digest.key}"}},"Digest":{{"S":"{digest.actual}"}}}}'
    command = f"aws dynamodb put-item --table-name {recovery.table} --item '{item}'"
    return [("If this state is the right one, correct its digest: ", Quoted(command), ".")]


def _lock(recovery: Recovery) -> list[Phrase]:
    if recovery.is_locked is None:
        look = Command(f"/tflock status {recovery.state.name}")
        return [("Whether the state is locked could not be read, and the next steps need its lock. Look: ", look, ".")]
    if not recovery.is_locked:
        return []
    if recovery.is_on_hold:
        off = Command(f"/tflock hold {recovery.state.name} off")
        return [("The state is on hold, and the next steps need its lock. End the hold when you begin: ", off, ".")]
    unlock = Command(f"/tflock unlock {recovery.state.name}")
    only: Phrase = (", and let no other run start before that state is saved",) if recovery.left_state else ()
    return [("The state is still locked, and the next steps need its lock. If its run is dead: ", unlock, *only, ".")]


def _objects(recovery: Recovery) -> list[Phrase]:
    difference = recovery.difference
    if difference is None:
        run = recovery.run
        if run is None:
            return [("Name the run by its page: ", Command(f"/tflock recover {recovery.state.name} RUN_URL"), ".")]
        return [("Read what it did in ", Linked("the run's own log", run.ref.url or None), ", if that is still there.")]
    steps: list[Phrase] = []
    blocks = [one for one in difference.made if one.block]
    again = sum(one.is_made_again for one in difference.made)
    by_hand = len(difference.made) - len(blocks) - again
    if blocks:
        what = (
            f"Import {_count(len(blocks))}: put the blocks (Terraform 1.5 or newer) into a file of the configuration, "
        )
        if_fine = ", and apply if it shows imports and nothing unexpected."
        steps.append((what, "run ", Quoted("terraform plan"), if_fine))
    if by_hand:
        steps.append((f"Import or remove {_count(by_hand)} by hand: no block can be written for them.",))
    if again:
        steps.append((f"Leave {_count(again)} to the next apply, which makes {'it' if again == 1 else 'them'} again.",))
    if difference.destroyed:
        them = "it" if len(difference.destroyed) == 1 else "them"
        what = f"{_count(len(difference.destroyed))} destroyed and still recorded: the next plan drops {them}."
        steps.append((what,))
    creating = [one for one in difference.unsure if one.action is Action.CREATE]
    if creating:
        what = f"Look in the provider for {_count(len(creating))} whose creation had begun, and import what is there."
        steps.append((what,))
    return steps


def _then(recovery: Recovery) -> list[Phrase]:
    scripts = () if recovery.difference is None else recovery.difference.scripts
    steps: list[Phrase] = []
    if scripts:
        more = f" and {len(scripts) - 1} more" if len(scripts) > 1 else ""
        steps = [("Look at what the provisioners of ", Quoted(scripts[0]), f"{more} did: no state records it.")]
    return [*steps, ("Run ", Quoted("terraform plan"), " and read it before the next apply.")]


def _count(number: int) -> str:
    return f"{number} object" if number == 1 else f"{number} objects"
