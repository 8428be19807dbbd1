"""What an entry of each kind is to the people who read the record: one row a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.core.record.timeline import Kind


class MarkKind(StrEnum):
    """What a mark on the time axis stands for."""

    COMMAND = "command"
    KILL = "kill"
    UNLOCK = "unlock"
    OWNER = "owner"
    ALERT = "alert"
    KEY = "key moment"


@dataclass(frozen=True, slots=True)
class Meaning:
    """`title` is what the pages of the record call it, `did` in a word what its actor did, empty if not worth one.

    `counted` are words for one and for many of them, in what has changed since the last export. `mark` is the mark that
    it makes on the time axis. `is_late`: people add it to the record of a closed incident too, and that wants a new
    version of its export. `is_of_exports`: it comes of an export, and does not make a new version.
    """

    title: str
    did: str = ""
    counted: tuple[str, str] = ("other entry", "other entries")
    mark: MarkKind | None = None
    is_late: bool = False
    is_of_exports: bool = False


MEANINGS: Mapping[str, Meaning] = {
    Kind.INCIDENT_OPENED: Meaning("Incident opened", did="opened"),
    Kind.INCIDENT_CLOSED: Meaning("Incident closed", did="closed", counted=("closing", "closings")),
    Kind.INCIDENT_REOPENED: Meaning("Incident reopened", did="reopened", counted=("reopening", "reopenings")),
    Kind.INCIDENT_RENAMED: Meaning(
        "Incident renamed", did="renamed", counted=("new title", "new titles"), is_late=True
    ),
    Kind.COMMAND_RECEIVED: Meaning("Command", did="asked", counted=("command", "commands"), mark=MarkKind.COMMAND),
    Kind.LOCK_OBSERVED: Meaning("Lock seen"),
    Kind.LOCK_CHANGED: Meaning("Lock changed"),
    Kind.GATE_DECIDED: Meaning("Gate decided"),
    Kind.UNLOCK_REQUESTED: Meaning("Unlock asked for", did="confirmed"),
    Kind.UNLOCK_APPROVED: Meaning("Unlock approved", did="approved"),
    Kind.UNLOCK_DECLINED: Meaning("Unlock declined", did="declined"),
    Kind.UNLOCK_WITHDRAWN: Meaning("Unlock withdrawn", did="took back"),
    Kind.UNLOCK_RELEASING: Meaning("Releasing"),
    Kind.UNLOCK_RELEASED: Meaning("Lock released", did="unlocked", mark=MarkKind.UNLOCK),
    Kind.UNLOCK_FAILED: Meaning("Lock not released"),
    Kind.KILL_REQUESTED: Meaning("Kill asked for", did="asked to kill"),
    Kind.KILL_APPROVED: Meaning("Kill approved", did="approved"),
    Kind.KILL_CONFIRMED: Meaning("Run ended", did="killed", mark=MarkKind.KILL),
    Kind.OWNER_NOTIFIED: Meaning("Owner told"),
    Kind.OWNER_ANSWERED: Meaning("Owner answered", did="answered", mark=MarkKind.OWNER),
    Kind.NOTE_ADDED: Meaning("Note", did="noted", counted=("note added", "notes added"), is_late=True),
    Kind.MESSAGE_CAPTURED: Meaning("Message", did="wrote", counted=("message added", "messages added"), is_late=True),
    Kind.ENTRY_EDITED: Meaning(
        "Entry edited", did="corrected", counted=("entry edited", "entries edited"), is_late=True
    ),
    Kind.ENTRY_HIDDEN: Meaning(
        "Entry hidden", did="corrected", counted=("entry hidden", "entries hidden"), is_late=True
    ),
    Kind.ENTRY_RESTORED: Meaning(
        "Entry restored", did="corrected", counted=("entry shown again", "entries shown again"), is_late=True
    ),
    Kind.ENTRY_MARKED: Meaning(
        "Key moment set", did="corrected", counted=("key moment marked", "key moments marked"), is_late=True
    ),
    Kind.ENTRY_UNMARKED: Meaning(
        "Key moment taken back", did="corrected", counted=("key moment unmarked", "key moments unmarked"), is_late=True
    ),
    Kind.ALERT_RAISED: Meaning("Alert", mark=MarkKind.ALERT),
    Kind.ALERT_RESOLVED: Meaning("Alert over"),
    Kind.WATCH_STARTED: Meaning("Watch started", did="waited"),
    Kind.WATCH_ENDED: Meaning("Watch ended"),
    Kind.RECOVERY_LOOKED: Meaning("Looked at what was left behind", did="looked at what was left"),
    Kind.HOLD_REQUESTED: Meaning("Hold asked for", did="asked to hold"),
    Kind.HOLD_PLACED: Meaning("State held", did="held", mark=MarkKind.UNLOCK),
    Kind.HOLD_PROLONGED: Meaning("Hold prolonged", did="prolonged the hold"),
    Kind.HOLD_LIFT_REQUESTED: Meaning("Asked to end a hold", did="asked to lift the hold"),
    Kind.HOLD_ENDED: Meaning("Hold ended", did="lifted the hold", mark=MarkKind.UNLOCK),
    Kind.EXPORT_MADE: Meaning("Exported", did="exported", is_of_exports=True),
    Kind.FOLLOWUP_PROPOSED: Meaning("Follow-up proposed", is_of_exports=True),
    Kind.FOLLOWUP_FILED: Meaning(
        "Follow-up filed", did="filed", counted=("follow-up filed", "follow-ups filed"), is_late=True
    ),
}


def meaning_of(kind: str) -> Meaning:
    """Of a kind that is newer than this version only its name is known."""
    return MEANINGS.get(kind) or Meaning(kind)
