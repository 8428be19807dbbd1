"""The words for each kind of error: what happened, what to do, and what not to do. Pure.

No word here tells anyone to skip the lock, to break it without looking at its holder, or to apply over a state that
was not saved; a test holds that over all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.core.explain.block import PastedLock
from bot.core.explain.cut import Error
from bot.core.explain.kinds import About, ErrorKind, is_empty, is_healthy, shows_the_asker
from bot.core.hold import HoldWords, held_by
from bot.core.phrase import Phrase, Quoted, joined, quoted


@dataclass(frozen=True, slots=True)
class Classified:
    """An error of a paste, classified. `reason` is why the store refused; `is_lost` if only a CI system says that the
    run ended. The rest is for the words: `others` are the paste's other kinds of error, `sign` is the line that says
    that a run was broken off, `has_earlier` if a run before this one was. `meant` says which pattern of the
    configuration would mean a state that is not known, `meant_as` by which name.
    """

    kind: ErrorKind
    error: Error
    about: About
    lock: PastedLock | None = None
    reason: ErrorKind | None = None
    is_lost: bool = False
    state: str | None = None
    others: tuple[ErrorKind, ...] = ()
    is_whole: bool = True
    sign: str = ""
    has_earlier: bool = False
    meant: Phrase = ()
    meant_as: str = ""

    @property
    def number(self) -> int:
        return self.error.number

    @property
    def text(self) -> str:
        return self.error.text

    def says(self, *words: str) -> bool:
        return any(word in self.error.text for word in words)


@dataclass(frozen=True, slots=True)
class Advice:
    """`title` says it in a few words, `what` in full; `do` and `avoid` are sentences."""

    title: str
    what: Phrase
    do: tuple[Phrase, ...]
    avoid: tuple[Phrase, ...]


def advice_on(found: Classified) -> Advice:
    """The words for what was found, with what else the paste holds and what was left out of it."""
    said = _WORDS[found.kind](found)
    more: Phrase = ()
    if found.others:
        listed = joined([(Quoted(str(kind)),) for kind in found.others])
        more = (" The paste also shows, in order of danger: ", *listed, ".")
    if not found.is_whole:
        more = (*more, " The paste is longer than 1 MiB or 20,000 lines: its middle was not read.")
    return Advice(said.title, (*said.what, *more), said.do, said.avoid)


def _ask(word: str, found: Classified, more: str = "") -> Quoted:
    return Quoted(f"/tflock {word} {found.state or found.meant_as or 'STATE'}{more}")


def _belongs(found: Classified) -> Phrase:
    if found.state is not None:
        return (" It belongs to the state ", Quoted(found.state), ".")
    if found.lock is not None and found.lock.path:
        return (" No state of the configuration has the path ", Quoted(found.lock.path), ".", *found.meant)
    return ()


def _by(lock: PastedLock | None) -> Phrase:
    """`: who, for what, since when, lock ID`."""
    if lock is None:
        return ()
    since: Phrase = (" since ", lock.created) if lock.created else ()
    what: Phrase = (", for ", Quoted(lock.operation)) if lock.operation else ()
    which: Phrase = (", lock ", Quoted(lock.id)) if lock.id else ()
    return (": ", quoted(lock.who, "someone the lock does not name"), *what, *since, *which)


_NO_FORCE: Phrase = (
    *("Don't run ", Quoted("terraform force-unlock"), ": it doesn't check whether the holder is still writing."),
)
_NO_LOCK_FALSE: Phrase = ("Don't use ", Quoted("-lock=false"), ": two writers corrupt the state.")
_NO_UNLOCK: Phrase = ("Don't unlock anything because of this error.",)
_NOT_AGAIN: Phrase = ("Don't apply again before the state is saved: the new run would make everything a second time.",)
_NOT_YET: Phrase = ("Don't apply before you have read a new plan: the state may lag behind what was made.",)
_NO_LOOP: Phrase = ("Don't start it again in a loop: each try makes it worse.",)


def _held(found: Classified) -> Advice:
    lock = found.lock
    if lock is not None and lock.hold is not None:
        return _on_hold(found, lock.hold)
    why: Phrase = ("Another Terraform holds the lock of this state", *_by(lock), ".")
    if shows_the_asker(found.text) and lock is None:
        why = (
            (
                "The lock of this state is taken, by someone the message doesn't name. This backend can't "
                "show the holder: a lock info in the message is the asker's own, and not the holder's."
            ),
        )
    elif lock is None:
        why = ("The lock of this state is taken. The message doesn't say who holds it.",)
    if lock is None and found.says("terraformlockid", "state blob is already locked", "lease"):
        why = (
            *why,
            " The lock is a lease on the state's blob that doesn't run out.",
            " The message has none of the metadata that names its holder.",
        )
    if lock is not None and not lock.id:
        why = (*why, " The paste doesn't show the lock's ID.")
    if lock is not None and lock.path.startswith("gs://"):
        why = (*why, " Its ID is the number of the lock object's generation.")
    if found.reason is ErrorKind.THROTTLED:
        why = (*why, " The store also refused requests because it was asked too often.")
    if found.says(*_BY_PERSON):
        return _held_by_person(found)
    if found.has_earlier:
        why = (*why, " A run earlier in the paste was broken off: if Who and Created are that run's, this is its lock.")
    do: tuple[Phrase, ...] = (
        (_ask("status", found), " shows which run holds it, and whether that run is dead."),
        ("If it is running: wait, or start with ", Quoted("-lock-timeout=10m"), ", which keeps trying."),
        ("If it is dead: ", _ask("unlock", found), " in the incident channel."),
    )
    return Advice("The lock is held by another run", (*why, *_belongs(found)), do, (_NO_FORCE, _NO_LOCK_FALSE))


def _on_hold(found: Classified, said: HoldWords) -> Advice:
    """Not a run's lock: nothing is dead, and nothing has to be unlocked."""
    reason: Phrase = (" Why: ", Quoted(said.reason), ".") if said.reason else ()
    ends: Phrase = ("its end",) if said.until is None else (said.until,)
    what: Phrase = (
        *("The lock is a hold of tflock's: the state is ", *held_by(said), ", as the message says."),
        *(" No run has the lock, and nobody can apply.", *reason, *_belongs(found)),
    )
    do: tuple[Phrase, ...] = (
        ("Wait until ", *ends, ": tflock then ends the hold. ", _ask("watch", found), " tells you when it is free."),
        (_ask("status", found), " shows whether it has been prolonged or ended since."),
        ("To end it now, ask who holds it, or use ", _ask("hold", found, " off"), " in the incident channel."),
    )
    return Advice("Someone holds the state with tflock", what, do, (_NO_LOCK_FALSE,))


_BY_PERSON = (
    *(
        "manually locked",
        "locked manually",
        "locked by user",
        "locked by team",
        "locked by the user",
        "the workspace is locked",
    ),
    "this workspace is locked",
)
"""HCP's words for a lock that a person took in its pages or with its API. A run's own lock is named as a run's."""


def _held_by_person(found: Classified) -> Advice:
    what: Phrase = (
        (
            "In HCP Terraform a person or a team locked this workspace, as far as the message says: no run that "
            "could end on its own. The workspace's page shows who, and why."
        ),
        *_belongs(found),
    )
    do: tuple[Phrase, ...] = (
        ("Ask the person who locked it; they can unlock it on the workspace's page.",),
        (_ask("status", found), " shows who holds it."),
    )
    return Advice("A person locked the workspace", what, do, (_NO_FORCE, _NO_LOCK_FALSE))


def _own_orphan(found: Classified) -> Advice:
    what: Phrase = (
        (
            "The lock was taken while this run was asking for it, and may be its own: the store took it, the "
            "answer was lost, and the next try met the first one's lock. Or an earlier step of the same job left it"
        ),
        *_by(found.lock),
        ".",
        *_belongs(found),
    )
    do: tuple[Phrase, ...] = (
        ("Compare the lock's Who and Created with the machine and the time of the run that failed.",),
        (
            _ask("status", found),
            " shows which run it is tied to; if that is the failed one, ",
            _ask("unlock", found),
            ".",
        ),
        ("Once the lock is released, start the run again with a plan.",),
    )
    return Advice(
        "This may be the failed run's own lock",
        what,
        do,
        (_NO_FORCE, ("Don't just rerun it: nothing is left running that would release that lock.",)),
    )


def _throttled(found: Classified) -> Advice:
    what: Phrase = (
        (
            "The store of the lock had no capacity left and refused the request. That says nothing of a lock: "
            "the lock may be free or held."
        ),
        *_belongs(found),
    )
    do: tuple[Phrase, ...] = (
        (_ask("status", found), " shows what asks the table so often; ", _ask("kill-job", found), " ends a loop."),
        ("Wait until it is over, then start the run again. Give the table on-demand capacity if it happens again.",),
        ("If it came at the end of an apply, check the digest: Terraform only logs it when that write is throttled.",),
    )
    return Advice("The lock table is throttled", what, do, (_NO_LOOP, _NO_FORCE))


def _deadline(found: Classified) -> Advice:
    if found.about is About.PROVIDER:
        what: Phrase = (
            (
                "A provider's request got no answer in time, or what it made was not ready in time. Terraform "
                "may have made it without recording it."
            ),
        )
        do: tuple[Phrase, ...] = (
            ("Plan again, and look whether what was being made exists already.",),
            ("If it does: import it. If making it takes that long: raise its ", Quoted("timeouts"), "."),
        )
        return Advice("The deadline was exceeded", what, do, (_NO_UNLOCK, _NOT_YET))
    what = (
        (
            "The store gave no answer. Whether the request was carried out is not known: a lock may have been taken or "
            "released, or neither."
        ),
        *_belongs(found),
    )
    do = (
        (_ask("status", found), " reads what the store holds now."),
        ("Check the network between the runner and the store, then start the run again.",),
    )
    return Advice("The store did not answer", what, do, (("Don't take it for done, or for not done.",), _NO_FORCE))


def _digest(found: Classified) -> Advice:
    what: Phrase = (
        (
            "The stored state does not match the checksum that is kept with it. Usually a write of the checksum "
            "was throttled, or someone replaced the state by hand. It is not a lock problem."
        ),
        *_belongs(found),
    )
    if is_empty(found.text):
        what = (
            (
                "The checksum was calculated of nothing: the state's object is missing or empty, and its checksum is "
                "still kept. Someone or something removed the state. It is not a lock problem."
            ),
            *_belongs(found),
        )
        gone: tuple[Phrase, ...] = (
            ("Stop every pipeline of this state: an apply now would make everything a second time.",),
            ("Restore the version of the object in its bucket whose MD5 is the stored checksum, then plan.",),
            (_ask("status", found), " shows what the store has now."),
        )
        keep: Phrase = ("Don't change or remove the item with the checksum: it shows which version is the right one.",)
        return Advice("The state is missing from its bucket", what, gone, (keep, ("Don't unlock: that won't fix it.",)))
    do: tuple[Phrase, ...] = (
        ("Wait two minutes, then look again: a write may still be on its way.",),
        (_ask("status", found), " shows the digest that belongs there, and whether the state is valid."),
        (
            "Make sure that no run is writing and that this is the newest state, then set ",
            Quoted("Digest"),
            " of the item ",
        ),
    )
    do = (*do[:2], (*do[2], Quoted("<path>-md5"), " to the state's MD5."))
    avoid: tuple[Phrase, ...] = (
        ("Don't unlock: that won't fix it.",),
        ("Don't change the item before you know that the state is the right one.",),
    )
    return Advice("The digest does not match the state", what, do, avoid)


def _already_unlocked(found: Classified) -> Advice:
    what: Phrase = ("There is no such lock any more: someone else, or the run itself, has released it.",)
    do: tuple[Phrase, ...] = (
        ("Nothing needs to be unlocked. ", _ask("status", found), " shows whether there is another lock now."),
        ("Start the run again.",),
    )
    avoid: tuple[Phrase, ...] = (("Don't unlock the next lock that appears: someone is using it.",),)
    return Advice("It is unlocked already", (*what, *_belongs(found)), do, avoid)


def _wrong_lock_id(found: Classified) -> Advice:
    what: Phrase = ("The lock that exists now is not the one you tried to release: it may have changed hands.",)
    if found.says("should be numerical", "googleapi", "gs://", "strconv.parseint"):
        what = (
            (
                "Google's backend expects a number as the lock ID: the generation of the lock object. "
                "The ID that was given is not that of the lock that is there now."
            ),
        )
    elif found.says("existing lock id") and found.lock is None:
        what = (*what, " In HCP Terraform the ID of a lock is the organization and the workspace.")
    held: Phrase = () if found.lock is None else (" The lock there now is that of ", *_by(found.lock)[1:], ".")
    do: tuple[Phrase, ...] = (
        (_ask("status", found), " shows the lock that is there now, and its holder."),
        ("If that holder is dead: ", _ask("unlock", found), ", which releases exactly that lock, or nothing."),
    )
    avoid: tuple[Phrase, ...] = (
        ("Don't try again with the other ID: its holder has probably just begun.",),
        _NO_FORCE,
    )
    return Advice("The lock ID is another lock's", (*what, *held, *_belongs(found)), do, avoid)


_REASONS: Mapping[ErrorKind | None, str] = {
    ErrorKind.THROTTLED: "the store was asked too often and refused the request (throttled)",
    ErrorKind.DENIED: "the credentials lack a right (access denied)",
    ErrorKind.EXPIRED: "the credentials are expired or not valid",
    ErrorKind.DEADLINE: "the store gave no answer, so it may have been done or not",
    ErrorKind.INTERRUPTED: "Terraform was interrupted in it",
    ErrorKind.WRONG_LOCK_ID: "the store has another lock or another state there now",
    ErrorKind.ALREADY_UNLOCKED: "it was gone: someone may have broken it while the run was writing",
    None: "the reason is in the message",
}
_LOST_LOCK = frozenset({ErrorKind.WRONG_LOCK_ID, ErrorKind.ALREADY_UNLOCKED})


def _release_failed(found: Classified) -> Advice:
    if found.says('metadata "terraformlockid" was empty'):
        why = "the blob's lease has no lock info, so Terraform can't tell whose it is. The lease may be held for ever"
    elif found.says("requested resource not found", "nosuchbucket"):
        why = "the table or the bucket of the lock was not found. What became of the lock is not known"
    else:
        why = _REASONS.get(found.reason, _REASONS[None])
    whose = " There now is the lock of " if found.reason is ErrorKind.WRONG_LOCK_ID else " The lock is of "
    kept: Phrase = () if found.lock is None else (whose, *_by(found.lock)[1:], ".")
    what: Phrase = (f"Terraform could not release the lock: {why}.", *kept, *_belongs(found))
    do: tuple[Phrase, ...] = (
        (_ask("status", found), " shows whether there is a lock, whose it is, and whether that run is dead."),
        ("If it is: ", _ask("unlock", found), " in the incident channel."),
        ("Fix the cause, or the next run will leave its lock behind as well.",),
    )
    if found.reason in _LOST_LOCK:
        do = (do[0], ("Another run may have written at the same time: read a new plan before anyone applies.",))
    return Advice("The lock was not released", what, do, (_NO_FORCE, _NO_LOCK_FALSE))


def _not_saved(found: Classified) -> Advice:
    why = "" if found.reason is None else f": {_REASONS.get(found.reason, _REASONS[None])}"
    what: Phrase = (
        f"Terraform changed things and could not write the state{why}. What it made is recorded only in ",
        Quoted("errored.tfstate"),
        " in the job's working directory, if it could write that file.",
        *_belongs(found),
    )
    if found.says("cannot import state with"):
        what = (*what, " The store refused the state that was pushed: it has another or a newer one.")
    do: tuple[Phrase, ...] = (
        ("Stop every pipeline of this state first, and let nobody start another run.",),
        ("Get ", Quoted("errored.tfstate"), " off the runner before it is cleaned up, and keep a copy."),
        ("Compare its serial and lineage with the stored state's: ", _ask("status", found), " shows those."),
        (
            "Once the store takes writes and nobody else writes: ",
            Quoted("terraform state push errored.tfstate"),
            ", then plan.",
        ),
    )
    avoid: tuple[Phrase, ...] = (
        _NOT_AGAIN,
        ("Don't push with ", Quoted("-force"), ": it overwrites what others recorded."),
        _NO_FORCE,
    )
    return Advice("The state was not saved", what, do, avoid)


def _interrupted(found: Classified) -> Advice:
    if found.is_lost:
        what: Phrase = (
            (
                "The CI system lost contact with the run. That does not prove that it ended: its Terraform may "
                "still be running and writing. It may still hold the lock."
            ),
        )
        do: tuple[Phrase, ...] = (
            ("Check on the machine itself whether Terraform is still running.",),
            (_ask("status", found), " shows the lock, and what proves that its holder is dead."),
        )
        avoid: tuple[Phrase, ...] = (("Don't take the job's end for Terraform's end.",), _NO_FORCE)
        return Advice("Contact with the run was lost", what, do, avoid)
    what = (
        (
            "The run was broken off: interrupted, killed, crashed, or out of time. It may have left its lock, "
            "and changes that no state has recorded."
        ),
    )
    if found.sign:
        what = (*what, " The sign is: ", Quoted(found.sign), ".")
    do = (
        (
            "Look for ",
            Quoted("errored.tfstate"),
            " in the job's working directory first, and keep it: it may be the only record of what was made.",
        ),
        (_ask("status", found), " shows whether the lock is still there, and whether its run is dead."),
        ("If it is dead: ", _ask("unlock", found), " in the incident channel, then read a new plan."),
    )
    return Advice("The run was interrupted", what, do, (_NOT_YET, _NO_FORCE))


def _rate_limit(found: Classified) -> Advice:
    what: Phrase = (
        (
            "The service that the provider speaks to limits the rate of requests. The lock has no part in it. "
            "If this was an apply, it may have changed something before; a plan changes nothing."
        ),
    )
    do: tuple[Phrase, ...] = (
        ("Wait some minutes, then plan, and apply that plan.",),
        ("Lower ", Quoted("-parallelism"), ", and see whether several pipelines use the same account at a time."),
        *_GENESYS_LIMITS[: 1 if found.says("genesys", "exceeded the maximum [") else 0],
    )
    return Advice("The provider is rate-limited (429)", what, do, (_NO_LOOP, _NO_UNLOCK))


_GENESYS_LIMITS: tuple[Phrase, ...] = (
    (
        "In the Genesys Cloud provider lower ",
        Quoted("token_pool_size"),
        " and set ",
        Quoted("custom_retry_timeout"),
        " to give its retries more time.",
    ),
)


def _expired(found: Classified) -> Advice:
    what: Phrase = (
        "The credentials ran out, are missing, or are not valid.",
        *(
            (" So nothing is known of the lock: it may be free or held.",)
            if found.about is not About.PROVIDER
            else (
                " If this was an apply, it may have changed something before, and not have written its state.",
                " A plan changes nothing.",
            )
        ),
        *_belongs(found),
    )
    do: tuple[Phrase, ...] = (
        ("Sign in again, or renew the job's credentials. Give them a lifetime longer than an apply.",),
        (
            "If an apply was running: look for ",
            Quoted("errored.tfstate"),
            " in the job's working directory, and keep it.",
        ),
        (_ask("status", found), " shows whether the run left its lock; then plan before you apply."),
    )
    return Advice("The credentials are expired or not valid", what, do, (_NOT_YET, _NO_FORCE))


def _denied(found: Classified) -> Advice:
    where = "the provider's service" if found.about is About.PROVIDER else "the store of the state and its lock"
    what: Phrase = (
        f"These credentials don't have a right that {where} requires.",
        *(() if found.about is About.PROVIDER else (" So nothing is known of the lock: it may be free or held.",)),
        *_belongs(found),
    )
    do: tuple[Phrase, ...] = (
        ("Grant the right that the message names, or use the role that has it.",),
        ("Then plan, and apply that plan.",)
        if found.about is About.PROVIDER
        else (_ask("status", found), " reads the lock with tflock's own rights."),
    )
    return Advice("Access was denied", what, do, (_NO_UNLOCK, _NO_LOCK_FALSE))


def _conflict(found: Classified) -> Advice:
    what: Phrase = (
        (
            "The provider met something that is not as the state has it: changed or made by hand, gone, still in "
            "use, or wanted by something else. The lock has no part in it."
        ),
    )
    do: tuple[Phrase, ...] = (
        ("Plan again with a refresh and read what differs.",),
        ("Import what exists already, or remove what still uses it, then apply the new plan.",),
    )
    avoid: tuple[Phrase, ...] = (_NO_UNLOCK, ("Don't apply the old plan: it was made before this change.",))
    return Advice("Drift, or a conflict of dependencies", what, do, avoid)


_OTHER_LOCKS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("dependency", ".terraform.lock.hcl", "lock file", "provider lock", "checksums previously"),
        "The dependency lock file .terraform.lock.hcl lists the providers' versions and checksums. It holds nothing.",
        (
            "Run `terraform init -upgrade` or `terraform providers lock`, review the change, and commit "
            ".terraform.lock.hcl."
        ),
    ),
    (
        ("publish flow", "flow '", "genesyscloud_flow", "architect", "archy", "flow is locked", "inboundcall"),
        "Someone has this flow open in Genesys Cloud's Architect: the flow is locked, not the state.",
        "Ask them to save and close the flow in Architect, or to unlock it there, then run again.",
    ),
    (
        ("scopelocked", "cannotdelete", "are locked: '/sub", "management lock"),
        "A management lock in Azure forbids this change.",
        "Ask the person who set the lock. If they agree, remove it in Azure for this change, then put it back.",
    ),
    (
        ("another operation (install/upgrade/rollback)", "no deployed releases"),
        "Helm has an unfinished operation on this release.",
        "`helm history` shows it; roll back to the last good revision once nothing is running.",
    ),
    (
        ("atlantis", "unapplied plan", "pull #", "pull request", "currently locked by"),
        "Atlantis keeps this project for another pull request or command.",
        "Apply or discard the plan of that pull request in Atlantis, or wait for its command.",
    ),
    (
        ("/apt/", "apt-get", "dpkg", "yum lock", "rpm.lock"),
        "A package manager on that machine is busy.",
        "Let the provisioner wait until it is done, for example with `apt-get -o DPkg::Lock::Timeout=300`.",
    ),
    (
        ("transaction", "deadlock", "database", "lock wait", "lock on row", "canceling statement"),
        "A database reports a lock of its own.",
        "Find the transaction that holds it, and run again once it has ended.",
    ),
)


def _other_lock(found: Classified) -> Advice:
    what, do = next(
        ((what, do) for says, what, do in _OTHER_LOCKS if found.says(*says)),
        (
            "The message is about a lock of another program or service.",
            "Find out who holds that lock, and run again later.",
        ),
    )
    return Advice(
        "Another kind of lock",
        (f"{what} The lock of the Terraform state has no part in it.",),
        (_code(do),),
        (_NO_UNLOCK, _NO_LOCK_FALSE),
    )


def _code(text: str) -> Phrase:
    return tuple(Quoted(part) if number % 2 else part for number, part in enumerate(text.split("`")) if part)


def _stale_plan(_: Classified) -> Advice:
    what: Phrase = (
        (
            "The saved plan was made for another state: another run has changed the state since, or the plan is "
            "of another one. Nothing was changed, and the lock has no part in it."
        ),
    )
    do: tuple[Phrase, ...] = (
        ("Make a new plan, read it, and apply that.",),
        ("Let runs of this state queue, so that none comes between a plan and its apply.",),
    )
    return Advice("The saved plan is stale", what, do, (_NO_UNLOCK,))


def _unknown(found: Classified) -> Advice:
    if not found.error.has_head and is_healthy(found.text):
        healthy: Phrase = ("This text shows a run of Terraform, and no error.",)
        return Advice(
            "There is no error here",
            healthy,
            (("Paste the whole message, from ", Quoted("Error:"), " to the end of its frame."),),
            (("Don't unlock anything because of this text.",),),
        )
    what: Phrase = ("tflock does not know this error.", *_belongs(found))
    if found.about in {About.LOCK, About.FORCE_UNLOCK, About.STORE}:
        what = (*what, " It is about the state or its lock, and does not say whether the lock is held.")
    do: tuple[Phrase, ...] = (
        ("Paste the whole message, from ", Quoted("Error:"), " to the end of its frame."),
        (_ask("status", found), " shows whether there is a lock."),
    )
    return Advice("That is not an error that tflock knows", what, do, (_NO_UNLOCK,))


_WORDS: Mapping[ErrorKind, Callable[[Classified], Advice]] = {
    ErrorKind.NOT_SAVED: _not_saved,
    ErrorKind.DIGEST: _digest,
    ErrorKind.RELEASE_FAILED: _release_failed,
    ErrorKind.INTERRUPTED: _interrupted,
    ErrorKind.OWN_ORPHAN: _own_orphan,
    ErrorKind.HELD: _held,
    ErrorKind.WRONG_LOCK_ID: _wrong_lock_id,
    ErrorKind.ALREADY_UNLOCKED: _already_unlocked,
    ErrorKind.THROTTLED: _throttled,
    ErrorKind.EXPIRED: _expired,
    ErrorKind.DENIED: _denied,
    ErrorKind.DEADLINE: _deadline,
    ErrorKind.STALE_PLAN: _stale_plan,
    ErrorKind.OTHER_LOCK: _other_lock,
    ErrorKind.RATE_LIMIT: _rate_limit,
    ErrorKind.CONFLICT: _conflict,
    ErrorKind.UNKNOWN: _unknown,
}
