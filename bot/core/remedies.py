"""What to set in each CI system, so that the same does not happen again. Words only, in each system's own settings."""

from __future__ import annotations

from bot.core.phrase import Phrase, Quoted
from bot.core.systems import known_as


def back_off(system: str, state: str) -> tuple[Phrase, ...]:
    """For a pipeline that is started again and again."""
    settings = known_as(system).remedies
    wait = "Let Terraform wait for the lock instead of failing and being started again: `-lock-timeout=5m`."
    return (coded(settings.starts, state), coded(settings.queue, state), coded(wait, state))


def end_in_time(system: str, state: str) -> tuple[Phrase, ...]:
    """For a job that timed out in the middle of Terraform."""
    settings = known_as(system).remedies
    interrupt = (
        "Interrupt Terraform before the job's own limit, for a job of 30 minutes with `timeout --signal=INT 25m "
        "terraform apply`: interrupted, it finishes its step and releases its lock; killed, it leaves the lock. "
    )
    patience = "Keep `-lock-timeout` well below that, so that waiting for the lock does not use up the time."
    return (
        coded(interrupt + settings.limit, state),
        coded(patience, state),
        coded(settings.alert, state),
    )


def keep_running(system: str, state: str) -> tuple[Phrase, ...]:
    """For a pipeline whose newer runs cancel those that apply."""
    return (coded(known_as(system).remedies.keep, state),)


def coded(words: str, state: str = "") -> Phrase:
    """What is between backticks as code, the state put in last: its name is never read as one of these texts."""
    pieces = enumerate(words.split("`"))
    parts = (Quoted(piece.replace("STATE", state)) if place % 2 else piece for place, piece in pieces)
    return tuple(part for part in parts if part)
