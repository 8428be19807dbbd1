"""The CI systems that tflock knows, one row each: all that the core needs to know of them.

How they are asked is in `bot.ci`, how they name their machines in `bot.core.who`. Sources of the remedies: GitHub's
workflow syntax, GitLab's CI/CD YAML reference, Azure Pipelines' YAML schema, Jenkins' declarative options and its
Lockable Resources plugin, retry policies of EventBridge and Step Functions for ECS, the settings of HCP Terraform's
workspaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Remedies:
    """What to set in one system: runs that queue, fewer starts, applies that are left to end, limits and alerts.

    What is between backticks is code; `STATE` stands for the state's name.
    """

    queue: str
    starts: str
    keep: str
    limit: str
    alert: str


_ANY = Remedies(
    queue="Let its runs queue instead of running side by side, in one queue for all that run Terraform on `STATE`.",
    starts="Limit its retries to two or three, with a pause that doubles from one to the next.",
    keep="Do not let a newer run cancel one that applies: let it wait, in one queue for `STATE`.",
    limit="Give that job its own time-out.",
    alert="Alert someone when that job fails or times out, with the name of the state.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One CI system. `name` is its proper name, `type` what the configuration calls it.

    A pipeline is named in the configuration by the key `leaf` within `scope`; `required` are the keys that must be
    there, `optional` those that may. `login` is the key of a person's login there.
    `accounts` are those under which the system's own packages run jobs: a person at the same machine is someone else.
    `after_cancel` is how long a job may still be running after a cancel or a time-out, where that is longer than usual.
    """

    name: str = ""
    type: str = ""
    leaf: str = ""
    scope: str = ""
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    login: str = "github"
    accounts: frozenset[str] = frozenset()
    after_cancel: timedelta = timedelta()
    remedies: Remedies = _ANY


GITHUB = System(
    name="GitHub Actions",
    type="github_actions",
    leaf="workflow",
    scope="repo",
    required=("repo", "workflow"),
    optional=("branch",),
    accounts=frozenset({"runner", "runneradmin"}),
    remedies=Remedies(
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
)
GITLAB = System(
    name="GitLab CI",
    type="gitlab",
    leaf="ref",
    scope="project",
    required=("project",),
    optional=("ref",),
    login="gitlab",
    accounts=frozenset({"gitlab-runner"}),
    # gitlab-runner hears of a cancel when it next reports, within a minute, and waits 10 minutes before SIGKILL
    after_cancel=timedelta(seconds=670),
    remedies=Remedies(
        queue="Let its jobs queue: `resource_group: terraform-STATE` on every job that runs Terraform on this state.",
        starts="Limit retries: `retry: {max: 1, when: [runner_system_failure]}`, never on `script_failure`; and run "
        "its schedule less often than a run takes.",
        keep="Set `interruptible: false` on the job that applies, and `resource_group: terraform-STATE` beside it.",
        limit="Give that job a `timeout` above it.",
        alert="Add a job with `when: on_failure` that tells the channel, or pipeline e-mails for failed pipelines.",
    ),
)
AZURE = System(
    name="Azure DevOps",
    type="azure_devops",
    leaf="definition",
    scope="project",
    required=("project", "definition"),
    login="azure",
    accounts=frozenset({"vsts", "vssadministrator", "azdevops"}),
    remedies=Remedies(
        queue="Let its runs queue: an exclusive lock check on the environment, with `lockBehavior: sequential` in the "
        "pipeline.",
        starts="Limit what starts it: `batch: true` under `trigger`, at most `retryCountOnTaskFailure: 1` on the task, "
        "and a schedule with `always: false`.",
        keep="Set `lockBehavior: sequential`: with `runLatest` newer runs take the place of older ones. Switch "
        "`autoCancel` off for pull requests.",
        limit="Give that job `timeoutInMinutes` above it, and `cancelTimeoutInMinutes` to end in.",
        alert="Add a notification for a build that fails or is cancelled, to the channel.",
    ),
)
JENKINS = System(
    name="Jenkins",
    type="jenkins",
    leaf="job",
    required=("job",),
    login="jenkins",
    accounts=frozenset({"jenkins"}),
    remedies=Remedies(
        queue="Let its builds queue: `options { disableConcurrentBuilds() }`, and `lock('terraform-STATE')` (Lockable "
        "Resources) where several jobs use this state.",
        starts="Limit retries: `retry(2)` with a `sleep` that grows, and no Naginator without a maximum; use `H` "
        "in `cron` and a longer period.",
        keep="Use `disableConcurrentBuilds()` without `abortPrevious: true`.",
        limit="Put `timeout(time: 30, unit: 'MINUTES')` around that stage, above it.",
        alert="Tell the channel in `post { aborted { … } failure { … } }`: a build that timed out is aborted.",
    ),
)
ECS = System(
    name="ECS",
    type="ecs",
    leaf="family",
    scope="cluster",
    required=("cluster", "family"),
    remedies=Remedies(
        queue="Start a task only when the family's other tasks have stopped: `python -m bot wait STATE` before it, or "
        "a state machine that runs one at a time.",
        starts="Limit retries: `MaximumRetryAttempts: 2` for an EventBridge rule, `MaxAttempts: 2` with `BackoffRate: "
        "2` in Step Functions; and no ECS service for something that ends.",
        keep="Do not stop a task that applies to start a newer one: wait for its exit code first.",
        limit="Set `TimeoutSeconds` of the state running the task above it, and the container's `stopTimeout` to 120.",
        alert="Add an EventBridge rule on `ECS Task State Change` for tasks that stop with another exit code than 0.",
    ),
)

HCP = System(
    name="HCP Terraform",
    type="hcp",
    leaf="workspace",
    scope="organization",
    required=("organization", "workspace"),
    login="hcp",
    remedies=Remedies(
        queue="Its runs queue: each has the workspace to itself. Let pipelines that use its state start runs there "
        "(the `cloud` block with remote execution) instead of running Terraform themselves.",
        starts="Limit what starts runs: trigger patterns or a working directory for the VCS, and no run trigger from "
        "a workspace that applies often.",
        keep="Do not cancel a run that applies; let newer ones wait behind it.",
        limit="Set the time-out of plans and applies (Terraform Enterprise: in its settings) above it.",
        alert="Add a notification for runs that error or need attention, to the channel.",
    ),
)

SYSTEMS = (GITHUB, GITLAB, AZURE, JENKINS, HCP, ECS)
BY_TYPE = {system.type: system for system in SYSTEMS}
_BY_NAME = {system.name: system for system in SYSTEMS}


def known_as(name: str) -> System:
    """The system with this proper name; for any other one of which nothing is known."""
    return _BY_NAME.get(name, System())
