"""The lock table in words: throttling, which is never a lock's fault, and a TTL that deletes locks.

Sources: "Throttling issues for DynamoDB tables using provisioned capacity mode" and "Using time to live" in the
DynamoDB developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.evidence import Found
from bot.core.gate.inspection import Inspection
from bot.core.lock import Billing, TableCapacity
from bot.core.phrase import Phrase, Quoted, joined, quoted
from bot.slack.render.facts import Fact, command, loop_words, runs, trouble
from bot.slack.render.icons import Icon

_FEW = 3


def table(inspection: Inspection) -> Iterable[Fact]:
    """What is out of order about the lock table; nothing if all is well, or nothing is known."""
    seen = inspection.table
    if inspection.is_throttled:
        yield _throttled(inspection)
        yield from _crowd(inspection)
        yield Fact("Not a lock problem:", _what_to_do(inspection))
    if seen is not None and isinstance(seen.ttl, Found) and seen.ttl.value.enabled:
        yield Fact(
            "Lock table:",
            (Quoted(seen.name), " ", *ttl_words(seen.ttl.value.attribute), ". Turn it off."),
            Icon.WARNING,
        )


def after_throttling(name: str) -> Phrase:
    """What to do where the table let nobody see whether there is a lock."""
    end = command(f"kill-job {name}")
    return ("Stop what is flooding the table (", end, "), then try again. Nothing is unlocked now.")


def capacity_words(seen: TableCapacity) -> str:
    """How much the table can take, and what it is doing if it is not simply there."""
    busy = "" if seen.status == "ACTIVE" else f", and is {seen.status} now"
    if seen.billing is Billing.ON_DEMAND:
        return f"on demand ({Billing.ON_DEMAND}){busy}"
    units = ((seen.read_units, "read"), (seen.write_units, "write"))
    each = " and ".join(f"{count} {of} unit{'' if count == 1 else 's'}" for count, of in units)
    return f"{Billing.PROVISIONED} with {each}{busy}"


def ttl_words(attribute: str) -> Phrase:
    """What a TTL does to locks. Terraform writes `LockID`, `Info` and `Digest`, and no time."""
    named = quoted(attribute, "an unknown attribute")
    risk = "): a lock with such a time is deleted under a running apply, and a second apply may start. "
    use = "Terraform writes no such attribute, so something else does, or the TTL does nothing"
    return ("deletes items automatically (TTL by ", named, risk + use)


def _throttled(inspection: Inspection) -> Fact:
    seen = inspection.table
    name: Phrase = (Quoted(seen.name), " is throttled") if seen is not None else ("it is throttled",)
    parts: list[Phrase] = [_refused(inspection)]
    if seen is not None:
        found = seen.capacity
        parts.append(
            (f"it is {capacity_words(found.value)}",)
            if isinstance(found, Found)
            else ("its capacity could not be read: ", *trouble(found))
        )
    parts.append(_contenders(inspection))
    return Fact("Lock table:", (*name, ": ", *joined(parts, "; "), "."), Icon.WARNING)


def _refused(inspection: Inspection) -> Phrase:
    seen = inspection.table.refused if inspection.table is not None else None
    if isinstance(seen, Found) and seen.value.total:
        total, kinds = seen.value.total, ((seen.value.reads, "to read"), (seen.value.writes, "to write"))
        were = "1 request was" if total == 1 else f"{total} requests were"
        each = " and ".join(f"{count} {kind}" for count, kind in kinds if count)
        return (f"{were} refused in the last ", seen.value.within, f" ({each})")
    if isinstance(seen, Found):
        late = "it refused our own request (CloudWatch, some minutes late, counts none in "
        return (late, seen.value.within, ")")
    why: Phrase = (": ", *trouble(seen)) if seen is not None else ()
    return ("it refused our own request (we don't know how many others", *why, ")")


def _contenders(inspection: Inspection) -> Phrase:
    crowd = inspection.crowd
    count = len(inspection.contention.active if crowd is None else crowd.active)
    contend = f"{runs(count)} {'wants' if count == 1 else 'want'} it" if count else "no run is seen to want it"
    if crowd is None or len(crowd.states) < 2:  # noqa: PLR2004 - a table that one state has for itself
        return (contend,)
    more = f" and {len(crowd.states) - _FEW} more" if len(crowd.states) > _FEW else ""
    names = joined((Quoted(name),) for name in crowd.states[:_FEW])
    return (f"{contend} across the states that share it (", *names, more, ")")


def _crowd(inspection: Inspection) -> Iterable[Fact]:
    """Loops of other states that share the table, and what could not be listed of them."""
    crowd = inspection.crowd
    if crowd is None:
        return
    mine = {loop.pipeline for loop in inspection.contention.loops}
    others = [(state, loop) for state, loop in crowd.loops if loop.pipeline not in mine]
    for state, loop in others[:_FEW]:
        words: Phrase = (
            Quoted(loop.pipeline.title),
            ": ",
            *loop_words(loop),
            ". Stop it: ",
            command(f"kill-job {state}"),
            ".",
        )
        yield Fact("Loop on the same table:", words, Icon.WARNING)
    listed = [look.listing for look in inspection.looks]
    missing = [unseen for unseen in crowd.unseen if unseen not in listed]
    if missing:
        runs_of, hidden = "runs of other states on this table: ", ". What floods it may be hidden there."
        yield Fact("Not seen:", (runs_of, *trouble(missing[0]), hidden), Icon.WARNING)


def _what_to_do(inspection: Inspection) -> Phrase:
    seen = inspection.table.capacity if inspection.table is not None else None
    kill = command(f"kill-job {inspection.state.name}")
    stop: Phrase = ("unlocking won't fix it. Stop what is flooding the table: ", kill)
    if isinstance(seen, Found) and seen.value.billing is Billing.ON_DEMAND:
        return (*stop, ".")
    return (*stop, f", or switch the table to on-demand ({Billing.ON_DEMAND}).")
