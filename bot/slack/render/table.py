"""The lock table itself in words: throttling as what it is, never as a lock's fault, and a TTL that eats locks.

Sources: "Throttling issues for DynamoDB tables using provisioned capacity mode" and "Using time to live" in the
DynamoDB developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.evidence import Found, NotFound, Observation, Unseen
from bot.core.gate.inspection import Crowd, Inspection
from bot.core.lock import Billing, Refusals, TableCapacity, TableSeen
from bot.core.phrase import Phrase, Quoted, joined, quoted
from bot.slack.render.facts import Fact, Mark, command, loop_words, runs, trouble

_FEW = 3


def table(inspection: Inspection) -> Iterable[Fact]:
    """What is out of order about the lock table; nothing if all is well, or nothing is known."""
    seen = inspection.table
    if inspection.is_throttled:
        yield _throttled(inspection)
        yield from _crowd(inspection)
        yield Fact("Not a lock problem:", _mend(inspection))
    if seen is not None and isinstance(seen.ttl, Found) and seen.ttl.value.enabled:
        yield Fact("Lock table:", _forgetful(seen, seen.ttl.value.attribute), Mark.WARNING)


def after_throttling(name: str) -> Phrase:
    """What to do where the table let nobody see whether there is a lock."""
    return (
        "end what hammers the table with ",
        command(f"kill-job {name}"),
        ", then ask again. Nothing is unlocked now.",
    )


def units(count: int, of: str) -> str:
    return f"{count} {of} unit" if count == 1 else f"{count} {of} units"


def capacity_words(seen: TableCapacity) -> str:
    """How much the table can take, and what it is doing if it is not simply there."""
    busy = "" if seen.status == "ACTIVE" else f", and is {seen.status} now"
    if seen.billing is Billing.ON_DEMAND:
        return f"on demand ({Billing.ON_DEMAND}){busy}"
    return f"{Billing.PROVISIONED} with {units(seen.read_units, 'read')} and {units(seen.write_units, 'write')}{busy}"


def ttl_words(attribute: str) -> Phrase:
    """What a TTL does to locks. Terraform writes `LockID`, `Info` and `Digest`, and no time."""
    named = quoted(attribute, "an attribute that is not told")
    risk = "): a lock that carries such a time is deleted under a running apply, and a second one may start. "
    use = "Terraform writes no such attribute, so something else does, or the TTL is of no use"
    return ("forgets items by itself (TTL by ", named, risk + use)


def _throttled(inspection: Inspection) -> Fact:
    seen = inspection.table
    name: Phrase = (Quoted(seen.name), " is throttled") if seen is not None else ("it is throttled",)
    parts: list[Phrase] = [_refused(inspection)]
    if seen is not None:
        parts.append(_capacity(seen.capacity))
    parts.append(_contenders(inspection))
    return Fact("Lock table:", (*name, ": ", *joined(parts, "; "), "."), Mark.WARNING)


def _refused(inspection: Inspection) -> Phrase:
    seen = inspection.table.refused if inspection.table is not None else None
    if isinstance(seen, Found) and seen.value.total:
        return _counted(seen.value)
    if isinstance(seen, Found):
        return (
            "it refused the bot's own request (CloudWatch, some minutes late, counts none in ",
            seen.value.within,
            ")",
        )
    why: Phrase = (": ", *trouble(seen)) if seen is not None else ()
    return ("it refused the bot's own request (how many more, is not known", *why, ")")


def _counted(refused: Refusals) -> Phrase:
    were = "1 request was" if refused.total == 1 else f"{refused.total} requests were"
    kinds = ((refused.reads, "to read"), (refused.writes, "to write"))
    each = " and ".join(f"{count} {kind}" for count, kind in kinds if count)
    return (f"{were} refused in the last ", refused.within, f" ({each})")


def _capacity(seen: Observation[TableCapacity]) -> Phrase:
    if isinstance(seen, Found):
        return (f"it is {capacity_words(seen.value)}",)
    return ("its capacity is not known: ", *trouble(seen))


def _contenders(inspection: Inspection) -> Phrase:
    crowd = inspection.crowd
    count = len(inspection.contention.active if crowd is None else crowd.active)
    contend = f"{runs(count)} {'contends' if count == 1 else 'contend'}" if count else "no run is seen that contends"
    if crowd is None or len(crowd.states) < 2:  # noqa: PLR2004 - a table that one state has for itself
        return (contend,)
    more = f" and {len(crowd.states) - _FEW} more" if len(crowd.states) > _FEW else ""
    names = joined((Quoted(name),) for name in crowd.states[:_FEW])
    return (f"{contend} over the states that share it (", *names, more, ")")


def _crowd(inspection: Inspection) -> Iterable[Fact]:
    """Loops of other states that share the table, and what could not be listed of them."""
    crowd = inspection.crowd
    if crowd is None:
        return
    mine = {loop.pipeline for loop in inspection.contention.loops}
    others = [(state, loop) for state, loop in crowd.loops if loop.pipeline not in mine]
    for state, loop in others[:_FEW]:
        words: Phrase = (*loop_words(loop), ". End it with ", command(f"kill-job {state}"), ".")
        yield Fact("Loop on the same table:", words, Mark.WARNING)
    yield from _unlisted(inspection, crowd)


def _unlisted(inspection: Inspection, crowd: Crowd) -> Iterable[Fact]:
    told = [look.listing for look in inspection.looks]
    missing: list[NotFound | Unseen] = [seen for seen in crowd.unseen if seen not in told]
    if missing:
        words: Phrase = (
            "runs of other states on this table: ",
            *trouble(missing[0]),
            ". Who hammers it may be hidden there.",
        )
        yield Fact("Not seen:", words, Mark.WARNING)


def _mend(inspection: Inspection) -> Phrase:
    seen = inspection.table.capacity if inspection.table is not None else None
    stop: Phrase = (
        "unlocking does not cure it. End what hammers the table: ",
        command(f"kill-job {inspection.state.name}"),
    )
    if isinstance(seen, Found) and seen.value.billing is Billing.ON_DEMAND:
        return (*stop, ".")
    return (*stop, f"; or switch the table to on-demand ({Billing.ON_DEMAND}).")


def _forgetful(seen: TableSeen, attribute: str) -> Phrase:
    return (Quoted(seen.name), " ", *ttl_words(attribute), ". Turn it off.")
