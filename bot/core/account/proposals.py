"""What to do after an incident, proposed from the facts: each rule names the facts that call for it.

A rule sees only the account, and proposes nothing that the facts do not support. Keys are public and stay: they tie
a proposal to its ticket.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from bot.core.account.values import Account, FollowUp, LockSpan, Role, RunSpan, Table
from bot.core.gate.attribution import Strength
from bot.core.lock import Billing
from bot.core.phrase import Linked, Phrase, Quoted, pace, plain, quoted
from bot.core.record.facts import FollowUpProposed
from bot.core.remedies import back_off, coded, end_in_time, keep_running
from bot.core.run import Conclusion
from bot.core.who import is_shared_host

_SHORTLY = timedelta(minutes=10)
"""A run that was cancelled by a newer one ends within this time of its start; GitHub takes up to five minutes."""

_LONGEST_KEY = 100
_MOST = 50
"""Proposals of one rule: more than anyone files."""

Rule: TypeAlias = Callable[[Account], Iterator[FollowUp]]


def propose(account: Account) -> tuple[FollowUp, ...]:
    """Everything that the facts call for, each once, in the order of the rules."""
    found: dict[str, FollowUp] = {}
    for rule in _RULES:
        for number, followup in enumerate(rule(account)):
            if number < _MOST:
                found.setdefault(followup.key, followup)
    return tuple(found.values())


def followup_facts(followup: FollowUp) -> FollowUpProposed:
    """What the timeline keeps of a proposal."""
    return FollowUpProposed(
        key=followup.key,
        title=followup.title,
        reason=plain(followup.reason),
        todo=tuple(plain(step) for step in followup.todo),
    )


def earlier(facts: FollowUpProposed) -> FollowUp | None:
    """A proposal that was written down, its words as someone else's; None for facts that hold none."""
    if not facts.key or not facts.title:
        return None
    return FollowUp(
        key=facts.key,
        title=facts.title,
        reason=(Quoted(facts.reason),),
        todo=tuple((Quoted(step),) for step in facts.todo[:10]),
    )


def on_demand(account: Account) -> Iterator[FollowUp]:
    """A provisioned table that refused requests."""
    for table in account.tables:
        if table.throttled and table.billing == Billing.PROVISIONED:
            yield FollowUp(
                key=_key("on-demand", table.name),
                title=f"Switch lock table {table.name} to on-demand capacity",
                reason=_refusals(account, table),
                todo=(
                    coded(
                        "Set the table's billing mode to `PAY_PER_REQUEST`: lock traffic is rare and "
                        "bursty, which provisioned capacity handles badly."
                    ),
                    coded(
                        'In Terraform: `billing_mode = "PAY_PER_REQUEST"` on the `aws_dynamodb_table`, without '
                        "`read_capacity` and `write_capacity`. It is changed in place, while the table is in use."
                    ),
                ),
            )  # fmt: skip


def _refusals(account: Account, table: Table) -> Phrase:
    units: Phrase = ()
    if table.read_units is not None and table.write_units is not None:
        units = (f" with {table.read_units} read and {table.write_units} write units a second",)
    refused: Phrase = (f" {table.refused:,}" if table.refused else "", " requests")
    most = max((sample.contenders for sample in account.samples if sample.state in table.states), default=0)
    crowd: Phrase = (f" while up to {most} runs wanted a lock in it",) if most else ()
    away = sum(account.turned_away.get(state, 0) for state in table.states)
    tries: Phrase = (f"; it refused {away} attempt{'' if away == 1 else 's'} to release a lock",) if away else ()
    is_what = ("Table ", Quoted(table.name), " is ", Quoted(table.billing), *units)
    return (*is_what, " and refused", *refused, *crowd, *tries, ".")


def slow_down(account: Account) -> Iterator[FollowUp]:
    """A pipeline that was started again and again."""
    for loop in account.loops:
        if loop.pipeline:
            actor: Phrase = (", by ", Quoted(loop.actor)) if loop.actor else ()
            source: Phrase = (" (", Quoted(loop.source), ")") if loop.source else ()
            yield FollowUp(
                key=_key("back-off", loop.pipeline),
                title=f"Stop {loop.pipeline} from starting again and again",
                reason=(
                    Quoted(loop.pipeline), f" was started {loop.starts} times, {pace(loop.every)}, from ",
                    loop.since, " to ", loop.last_seen, *actor, *source, ".",
                ),
                todo=back_off(loop.system, loop.state),
            )  # fmt: skip


def time_out(account: Account) -> Iterator[FollowUp]:
    """A run that timed out while it may have held a lock."""
    for run, until in _ended(account, Conclusion.TIMED_OUT):
        yield FollowUp(
            key=_key("time-out", run.pipeline),
            title=f"Let Terraform in {run.pipeline} end before its job times out",
            reason=(
                *_that_run(run), " timed out at ", until, " after ", until - run.since, " and left the lock of ",
                Quoted(run.state), " behind.",
            ),
            todo=end_in_time(run.system, run.state),
        )  # fmt: skip


def keep_applying(account: Account) -> Iterator[FollowUp]:
    """A run that was cancelled while it may have held a lock, shortly after a newer run of its pipeline had started."""
    for run, until in _ended(account, Conclusion.CANCELLED):
        newer = _newer(account, run, until)
        if newer is not None:
            yield FollowUp(
                key=_key("cancel-in-progress", run.pipeline),
                title=f"Do not cancel {run.pipeline} while it applies",
                reason=(
                    *_that_run(run), " was cancelled at ", until, " with the lock of ", Quoted(run.state),
                    " held, ", until - newer.since, " after run ",
                    Linked(newer.run_id, newer.url), " of the same pipeline had started.",
                ),
                todo=keep_running(run.system, run.state),
            )  # fmt: skip


def _newer(account: Account, run: RunSpan, until: datetime) -> RunSpan | None:
    """The run that may have cancelled this one: of its pipeline, started while it ran, shortly before its end."""
    starts = (
        other
        for other in account.runs
        if other.pipeline == run.pipeline
        and other.run_id != run.run_id
        and run.since < other.since <= until
        and until - other.since <= _SHORTLY
    )
    return max(starts, key=lambda other: other.since, default=None)


def no_expiry(account: Account) -> Iterator[FollowUp]:
    """A lock table whose items DynamoDB deletes on its own."""
    for table in account.tables:
        if table.ttl_attribute:
            held = [lock for lock in account.locks if lock.state in table.states]
            longest = max(held, key=lambda lock: lock.held_for, default=None)
            stood: Phrase = (
                ()
                if longest is None
                else (" A lock of ", Quoted(longest.state), " was held for ", longest.held_for, " here.")
            )
            yield FollowUp(
                key=_key("ttl", table.name),
                title=f"Switch TTL off on lock table {table.name}",
                reason=(
                    "TTL is on for table ", Quoted(table.name), ", by attribute ", Quoted(table.ttl_attribute),
                    (": DynamoDB deletes a lock that has it when its time is over, even in the middle of an apply. "
                     "Then a second apply can begin."), *stood,
                ),
                todo=(
                    coded(
                        "Switch off TTL on the table. Terraform's locks have no time to live: it writes `LockID`, "
                        "`Info` and `Digest`, and nothing else. So either the setting does nothing, or something else "
                        "writes that attribute."
                    ),
                    ("Find out what writes ", Quoted(table.ttl_attribute), " there, and let it use another table."),
                ),
            )  # fmt: skip


def fix_digest(account: Account) -> Iterator[FollowUp]:
    """A digest item that does not match its state's file."""
    for digest in account.digests:
        is_told = digest.item and digest.actual
        sums: Phrase = (" says ", Quoted(digest.item), ", and the file has ", Quoted(digest.actual)) if is_told else ()
        yield FollowUp(
            key=_key("digest", digest.state),
            title=f"Correct the digest of {digest.state}",
            reason=(
                "The digest item of ", Quoted(digest.state), *(sums or (" does not match the state's file",)),
                ", as read at ", digest.at, ": Terraform refuses to run on it, and an unlock does not fix that.",
            ),
            todo=(
                ("Check that the file is the one that you want: the bucket has its versions.",),
                ("Then write its MD5 into the item ", quoted(digest.key, "<bucket>/<key>-md5"), ", attribute ",
                 Quoted("Digest"), ", of the lock table: ", quoted(digest.actual, "the file's MD5"), "."),
            ),
        )  # fmt: skip


def claim(account: Account) -> Iterator[FollowUp]:
    """A run that could be tied to its lock only by when it ran, or by a host name that many machines share."""
    for run in account.runs:
        held = (lock for lock in account.locks if (lock.state, lock.lock_id) == (run.state, run.lock_id))
        how = _weak(run, next(held, None))
        if how:
            yield FollowUp(
                key=_key("claim", run.pipeline),
                title=f"Let {run.pipeline} say which lock is its own",
                reason=(*_that_run(run), " was tied to the lock of ", Quoted(run.state), *how, "."),
                todo=(
                    coded(
                        "Run `tflock claim --state STATE -- terraform apply` in place of `terraform apply`, as root "
                        "or in a container of the job's own. From then on the lock itself says whose it is.",
                        run.state,
                    ),
                ),
            )  # fmt: skip


def _weak(run: RunSpan, lock: LockSpan | None) -> Phrase:
    if run.role is not Role.HOLDER or not run.pipeline:
        return ()
    if run.strength == Strength.WINDOW:
        return (" only because it was running when the lock was taken",)
    host = "" if lock is None else lock.who.rpartition("@")[2]
    if run.strength == Strength.HOST and host and is_shared_host(host):
        return (" only by the host name ", Quoted(host), ", which many machines share")
    return ()


def from_ci(account: Account) -> Iterator[FollowUp]:
    """A lock that nothing shows a CI to have taken."""
    for lock in account.locks:
        if lock.human_held:
            whose: Phrase = (", of ", lock.person(account.names)) if lock.owner else ()
            yield FollowUp(
                key=_key("apply-in-ci", lock.state),
                title=f"Run applies of {lock.state} in CI",
                reason=(
                    "The lock of ", Quoted(lock.state), " was taken at ", lock.since, " by ",
                    quoted(lock.who, "someone who gave no name"), *whose,
                    ", and nothing ties it to a CI run: only its owner could say whether it was still running.",
                ),
                todo=(
                    coded(
                        "Let a pipeline run the applies of `STATE`, and take the rights to write the state and its "
                        "locks away from people's own keys.", lock.state,
                    ),
                    coded("If that machine is a CI's after all: put its `Who` into `holders.ci_hosts` here."),
                ),
            )  # fmt: skip


def bring_in(account: Account) -> Iterator[FollowUp]:
    """Objects that a dead run made and no state records, or may have made."""
    for found in account.recoveries:
        made, unsure, gone = (len(listed) for listed in (found.made, found.unsure, found.destroyed))
        if not (made or unsure or gone):
            continue
        title = f"Import {made} resource{'s' if made != 1 else ''} into {found.state}"
        blocks = coded("Put these blocks into its configuration, and plan:") if found.import_blocks else ()
        yield FollowUp(
            key=_key("import", found.state),
            title=title if made else f"Look at what a dead run left behind in {found.state}",
            reason=(
                "The run behind the lock of ", Quoted(found.state), f" left {made} objects made and not recorded, ",
                f"{unsure} of unknown outcome, and {gone} destroyed and still recorded.",
            ),
            todo=tuple(step for step in (
                (*blocks, " ", Quoted(found.import_blocks[:_MOST_QUOTED])) if blocks else (),
                ("Look in the provider for ", Quoted(", ".join(found.unsure[:_FEW])), ".") if unsure else (),
                coded("Run `terraform plan` and read it before the next apply."),
            ) if step),
        )  # fmt: skip


_FEW, _MOST_QUOTED = 10, 800

_RULES: Sequence[Rule] = (
    bring_in,
    on_demand,
    slow_down,
    time_out,
    keep_applying,
    no_expiry,
    fix_digest,
    claim,
    from_ci,
)


def _ended(account: Account, conclusion: Conclusion) -> Iterator[tuple[RunSpan, datetime]]:
    """The runs that may have held a lock and ended so, and when."""
    for run in account.runs:
        if run.role is Role.HOLDER and run.pipeline and run.conclusion == conclusion and run.until is not None:
            yield run, run.until


def _that_run(run: RunSpan) -> Phrase:
    return ("Run ", Linked(run.run_id, run.url), " of ", Quoted(run.pipeline))


def _key(rule: str, subject: str) -> str:
    """`back-off:deploy.yml@acme/infra`: the same for the same subject, and another for every other one."""
    short = subject.replace(" in ", "@", 1)
    readable = re.sub(r"[^A-Za-z0-9._/@-]+", "-", short)[:_LONGEST_KEY]
    if readable == short and "@" not in subject:
        return f"{rule}:{readable}"
    return f"{rule}:{readable}-{hashlib.sha256(subject.encode(errors='replace')).hexdigest()[:8]}"
