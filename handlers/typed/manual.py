"""What `help` says in addition to each command's usage: what belongs together, and what each flag does."""

from __future__ import annotations

from collections.abc import Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Look (changes nothing)": ("status", "who", "explain", "recover", "watch"),
    "Act on a lock": ("unlock", "kill-job", "hold"),
    "Timeline": ("timeline", "note", "edit", "hide", "restore", "mark", "unmark", "capture"),
    "Incident": ("open", "title", "close", "reopen", "follow-ups", "export"),
}
"""The commands by what they are for, in the order in which `help` shows them. Any other command is behind them."""

PARTS: Mapping[str, Mapping[str, str]] = {
    "status": {"STATE": "one state in full; without it all states at a glance"},
    "who": {"STATE": "the owner of its lock, and who else can act", "@user": "that person, and their locks"},
    "unlock": {
        "--dry-run": "show the checklist only to you, and change nothing",
        "--when-safe": "keep checking, and release the lock as soon as every check passes (for 2 h at most)",
        "because REASON": "why; it is recorded on the timeline",
    },
    "kill-job": {
        "STATE": "the run that holds its lock, or the loop that floods it",
        "RUN_URL, RUN_ID": "that very run",
        "because REASON": "why; it is recorded on the timeline",
    },
    "hold": {
        "for 30m": "how long: 30 minutes if not given, 24 hours at most; a click prolongs it",
        "because REASON": "why; everyone's Terraform prints it",
        "off": "end the hold now; someone else's of a protected state needs a second person",
    },
    "note": {
        "at HH:MM": "when it happened, by your own clock",
        "-12m": "that long ago",
    },
    "edit": {
        "N": "the entry's number, as /tflock timeline shows it",
        "at HH:MM": "the new time, by your own clock",
        "because REASON": "why; it is shown with the edit",
    },
    "mark": {
        "N": "the entry's number, as /tflock timeline shows it",
        "as detected, as diagnosed, as fixed": "what this moment was for the incident; the exports name it so",
    },
    "capture": {
        "2h": "what was written since then; without it, since the incident was opened",
        "marked": "only messages that carry a capture reaction",
    },
    "recover": {
        "STATE": "the run behind its lock, or behind the last lock that was released",
        "RUN_URL": "that very run",
    },
    "watch": {"off": "stop notifying you"},
}
"""The flags and arguments of a command, with what each does, for `help COMMAND`."""


def group_of(command: str) -> str:
    """The heading under which `help` shows a command."""
    return next((title for title, names in GROUPS.items() if command in names), "Other")
