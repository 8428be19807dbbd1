"""What to set in each CI system, so that the same does not happen again. Words only, in each system's own settings.

Sources: GitHub's workflow syntax, GitLab's CI/CD YAML reference, Azure Pipelines' YAML schema, Jenkins' declarative
options and its Lockable Resources plugin, retry policies of EventBridge and Step Functions for ECS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.phrase import Phrase, Quoted

_STATE = "STATE"
"""Stands for the state's name in the texts below; what is between backticks is code."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One CI system's settings: runs that queue, fewer starts, applies that are left to end, limits and alerts."""

    queue: str
    starts: str
    keep: str
    limit: str
    alert: str


_ANY = Settings(
    queue="Let its runs queue instead of running side by side, in one queue for all that run Terraform on `STATE`.",
    starts="Limit its retries to two or three, with a pause that doubles from one to the next.",
    keep="Do not let a newer run cancel one that applies: let it wait, in one queue for `STATE`.",
    limit="Give that job its own time-out.",
    alert="Alert someone when that job fails or times out, with the name of the state.",
)

_BY_SYSTEM: Mapping[str, Settings] = {
    "GitHub Actions": Settings(
        queue="Let its runs queue: `concurrency: {group: terraform-STATE, cancel-in-progress: false}` in every "
        "workflow that runs Terraform on this state. One run waits at most; newer ones take its place.",
        starts="Make what starts it slower: a longer `schedule`, and no step that runs the workflow again after "
        "a failure without a limit and a growing pause.",
        keep="Set `concurrency: {group: terraform-STATE, cancel-in-progress: false}`, so that a newer run waits for "
        "the one that applies.",
        limit="Give that step `timeout-minutes` above it and below the job's.",
        alert="Add a last step with `if: failure() || cancelled()` that tells the channel; a job that timed out counts "
        "as cancelled there.",
    ),
    "GitLab CI": Settings(
        queue="Let its jobs queue: `resource_group: terraform-STATE` on every job that runs Terraform on this state.",
        starts="Limit retries: `retry: {max: 1, when: [runner_system_failure]}`, never on `script_failure`; and run "
        "its schedule less often than a run takes.",
        keep="Set `interruptible: false` on the job that applies, and `resource_group: terraform-STATE` beside it.",
        limit="Give that job a `timeout` above it.",
        alert="Add a job with `when: on_failure` that tells the channel, or pipeline e-mails for failed pipelines.",
    ),
    "Azure DevOps": Settings(
        queue="Let its runs queue: an exclusive lock check on the environment, with `lockBehavior: sequential` in the "
        "pipeline.",
        starts="Limit what starts it: `batch: true` under `trigger`, at most `retryCountOnTaskFailure: 1` on the task, "
        "and a schedule with `always: false`.",
        keep="Set `lockBehavior: sequential`: with `runLatest` newer runs take the place of older ones. Switch "
        "`autoCancel` off for pull requests.",
        limit="Give that job `timeoutInMinutes` above it, and `cancelTimeoutInMinutes` to end in.",
        alert="Add a notification for a build that fails or is cancelled, to the channel.",
    ),
    "Jenkins": Settings(
        queue="Let its builds queue: `options { disableConcurrentBuilds() }`, and `lock('terraform-STATE')` (Lockable "
        "Resources) where several jobs use this state.",
        starts="Limit retries: `retry(2)` with a `sleep` that grows, and no Naginator without a maximum; use `H` "
        "in `cron` and a longer period.",
        keep="Use `disableConcurrentBuilds()` without `abortPrevious: true`.",
        limit="Put `timeout(time: 30, unit: 'MINUTES')` around that stage, above it.",
        alert="Tell the channel in `post { aborted { … } failure { … } }`: a build that timed out is aborted.",
    ),
    "ECS": Settings(
        queue="Start a task only when the family's other tasks have stopped: `python -m bot wait STATE` before it, or "
        "a state machine that runs one at a time.",
        starts="Limit retries: `MaximumRetryAttempts: 2` for an EventBridge rule, `MaxAttempts: 2` with `BackoffRate: "
        "2` in Step Functions; and no ECS service for something that ends.",
        keep="Do not stop a task that applies to start a newer one: wait for its exit code first.",
        limit="Give the state that runs the task `TimeoutSeconds` above it, and the container a `stopTimeout` of 120.",
        alert="Add an EventBridge rule on `ECS Task State Change` for tasks that stop with another exit code than 0.",
    ),
}


def back_off(system: str, state: str) -> tuple[Phrase, ...]:
    """For a pipeline that is started again and again."""
    settings = _BY_SYSTEM.get(system, _ANY)
    wait = "Let Terraform wait for the lock instead of failing and being started again: `-lock-timeout=5m`."
    return (coded(settings.starts, state), coded(settings.queue, state), coded(wait, state))


def end_in_time(system: str, state: str) -> tuple[Phrase, ...]:
    """For a job that timed out in the middle of Terraform."""
    settings = _BY_SYSTEM.get(system, _ANY)
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
    return (coded(_BY_SYSTEM.get(system, _ANY).keep, state),)


def coded(words: str, state: str = "") -> Phrase:
    """What is between backticks as code, the state put in last: its name is never read as one of these texts."""
    pieces = enumerate(words.split("`"))
    parts = (Quoted(piece.replace(_STATE, state)) if place % 2 else piece for place, piece in pieces)
    return tuple(part for part in parts if part)
