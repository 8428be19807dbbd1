"""What a job's log says whose Terraform held a lock until it was killed: the usual dead job of these tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from bot.sandbox.github.runs import RunRecord, log_of
from bot.sandbox.machine.aws import WrittenLock

_AT_WORK = (
    (4, "terraform_data.deployment: Creating..."),
    (14, "terraform_data.deployment: Still creating... [10s elapsed]"),
)


def held(run: RunRecord, lock: WrittenLock) -> RunRecord:
    """Writes the log of the run's job, in which Terraform was at work from the lock on."""
    return printed(run, at_work(lock), path=lock.path)


def at_work(lock: WrittenLock) -> list[tuple[datetime, str]]:
    """What the Terraform that took this lock printed, and when, until it was killed."""
    return [(lock.created + timedelta(seconds=after), line) for after, line in _AT_WORK]


def printed(run: RunRecord, lines: Iterable[tuple[datetime, str]], *, path: str, machine: str = "") -> RunRecord:
    """Writes the log of the run's job from what its Terraform printed. Its `init` names the state, if it has a path."""
    bucket, _, key = path.partition("/")
    where = f" -backend-config=bucket={bucket} -backend-config=key={key}" if path else ""
    commands = [f"terraform init{where}", "terraform apply"]
    run.jobs[-1].log = log_of(lines, begun=run.started_at, commands=commands, machine=machine)
    return run
