"""Logs as jobs write them, which say less than they seem to: a dead job is not shown to hold the lock of another.

In each the holder is another process of a machine that is called like the job's, and lives. Each has a twin that
differs in one thing and is shown.
"""

from __future__ import annotations

import pytest

from bot.core.gate.attribution import Taken, Tie
from bot.core.gate.case import Ruling
from bot.core.gate.decide import decide
from bot.core.gate.tie import attribute
from bot.core.joblog.reader import LogReader
from bot.core.run import Conclusion
from tests.core.conftest import LOCK_ID

WHO = "root@959fcba5e7a7"
WORK = "aws_db_instance.main: Modifying... [id=db-1]"
STILL = "aws_db_instance.main: Still modifying... [id=db-1, 10s elapsed]"
REFRESH = "aws_db_instance.main: Refreshing state... [id=db-1]"
CANCELLED = "##[error]The operation was canceled."
PATH = ("acme-tfstate", "environments/staging/terraform.tfstate")
INIT = "terraform init -backend-config=bucket=acme-tfstate -backend-config=key="
KEY = PATH[1]
KILLED = [("09:05:10", WORK), ("09:14:00", STILL), ("09:14:30", CANCELLED)]
REFUSED = [
    "│ Error: Error acquiring the state lock",
    "│ Error message: operation error S3: PutObject, PreconditionFailed",
    "│ Lock Info:",
    f"│   ID:        {LOCK_ID}",
]


def step(clock, *commands, env=()):
    head = (f"##[group]Run {commands[0]}", *commands, "shell: /usr/bin/bash -e {0}", *env, "##[endgroup]")
    return [(clock, line) for line in head]


def read(lines, *, is_over=True):
    reader = LogReader()
    reader.feed("\n".join(f"2026-11-21T{clock}.1234567Z {line}" for clock, line in lines).encode())
    return reader.close(is_whole=is_over)


@pytest.fixture(scope="module")
def tie(make):
    """How the log's job is tied to the lock. Only where it is shown may one member release it."""

    def _tie(lines, **how):
        run = make.run(conclusion=Conclusion.CANCELLED)
        case = make.case(looks=(make.look(run, logs={"1": read(lines)}, **how),), who=WHO)
        is_allowed = decide(case, make.now).ruling is Ruling.ALLOW
        assert is_allowed is (case.attribution.tie is Tie.SHOWN)
        return case.attribution.tie

    return _tie


APPLY = step("09:05:00", "terraform apply -auto-approve")


@pytest.mark.parametrize(
    "lines",
    [
        [*step("09:04:00", "terraform init"), *APPLY],
        step("09:04:00", "terraform init", "terraform apply"),
        step("09:04:00", "cd infra", "terraform init -input=false", "terraform apply \\", "  -auto-approve"),
        [
            *step("09:03:00", "cd infra && terraform init"),
            *step("09:04:00", "cd infra && terraform plan | tee plan.txt"),
        ],
        step("09:04:00", 'TF_LOG=error timeout -k 9 30m "terraform" apply', "echo done"),
        step("09:04:00", "tflock claim --state staging -- terraform apply"),
        step(
            "09:04:00",
            "(cd infra && terraform init)",
            '(cd infra && terraform apply -lock=true -var "a=$A b" -var "c=d e")',
        ),
        [*step("09:03:00", f"{INIT}{KEY}"), *APPLY],
        [*step("09:03:00", "terraform init -backend=false"), *step("09:04:00", "terraform init"), *APPLY],
        [*step("09:03:00", "npm ci", "node build.js"), *APPLY],
        [("09:04:00", "$ terraform init"), ("09:05:00", "$ terraform apply")],
        [("09:05:00", "+ terraform apply -auto-approve"), ("09:05:00", "+ tee apply.log")],
        [("09:05:00", "##[section]Starting: TerraformTask")],
        [],
    ],
)
def test_a_plain_job_on_its_one_state_is_shown_however_it_is_written(tie, lines):
    assert tie([*lines, *KILLED]) is Tie.SHOWN


@pytest.mark.parametrize(
    "lines",
    [
        step("09:05:00", "terraform workspace select dev", "terraform apply -auto-approve"),
        step("09:05:00", "terraform apply", env=("env:", "  TF_WORKSPACE: dev")),
        [*step("09:04:00", "terraform init -backend-config=key=dev-***/terraform.tfstate"), *APPLY],
        [*step("09:04:00", 'terraform init -backend-config="key=$KEY"'), *APPLY],
        step(
            "09:04:00",
            f"{INIT}dev/a.tfstate",
            f"terraform init -reconfigure -backend-config=key={KEY}",
            "terraform apply",
        ),
        [*step("09:04:00", f"{INIT}{KEY} -backend-config=key=dev/a.tfstate"), *APPLY],
        [*step("09:04:00", "terraform init -backend-config=dev.tfbackend"), *APPLY],
        [*step("09:04:00", "terraform init -backend-config=prefix=dev"), *APPLY],
        step("09:03:00", "cd envs/staging && terraform init", "cd ../dev && terraform apply"),
        step("09:03:00", "terraform init", "terraform -chdir=dev apply"),
        step("09:03:00", "(cd dev && terraform init)", "terraform apply"),
        step("09:03:00", "pushd dev && terraform init", "popd", "terraform apply"),
        [*step("09:03:00", "cd 'my dev' && terraform init"), *step("09:05:00", "cd 'your dev' && terraform apply")],
        [*step("09:03:00", "terraform init"), *step("09:04:00", "terraform init"), *APPLY],
        [("09:03:00", "Initializing the backend..."), ("09:04:00", "Initializing the backend...")],
        step("09:05:00", "for env in dev staging; do", "cd $env && terraform apply", "done"),
        step("09:05:00", "terragrunt apply-all --terragrunt-non-interactive"),
        step("09:05:00", "terragrunt run --all apply"),
        step("09:05:00", "terraform apply &", "terraform -version", "wait"),
    ],
)
def test_a_job_that_may_have_been_on_another_state_is_not_shown(tie, lines):
    assert tie([*lines, *KILLED]) is Tie.BY_TIME
    assert tie([*APPLY, *KILLED]) is Tie.SHOWN


@pytest.mark.parametrize(
    "lines",
    [
        [*step("09:03:00", f"{INIT}environments/dev/terraform.tfstate"), *step("09:04:00", f"{INIT}{KEY}"), *APPLY],
        [
            *step("09:03:00", f"{INIT}{KEY}"),
            *step("09:04:00", "terraform init -reconfigure -backend-config=dev.hcl"),
            *APPLY,
        ],
        [*step("09:03:00", f"{INIT}{KEY}"), *step("09:04:00", "terraform init -reconfigure"), *APPLY],
        [*step("09:03:00", f"{INIT}{KEY}", "terraform workspace select dev"), *APPLY],
        [*step("09:03:00", f"terraform init -backend-config=key={KEY}"), *APPLY],
        [*step("09:03:00", "terraform init -backend-config=dev.hcl -backend-config=key=terraform.tfstate"), *APPLY],
        [*step("09:03:00", f"{INIT}{KEY}"), *step("09:05:00", "cd dev && terraform apply")],
    ],
)
def test_of_several_states_only_one_that_the_log_surely_names_is_shown(tie, lines):
    assert tie([*lines, *KILLED], one_state=False) is Tie.BY_TIME
    assert tie([*step("09:03:00", f"{INIT}{KEY}"), *APPLY, *KILLED], one_state=False) is Tie.SHOWN


@pytest.mark.parametrize("one_state", [True, False])
def test_of_parallel_branches_nothing_is_shown(tie, one_state):
    """Branch staging waits for the lock, branch dev is at work."""
    started, worked = (
        ("09:03:00", "[Pipeline] parallel"),
        [("09:05:10", f"[dev] {WORK}"), ("09:14:00", f"[dev] {STILL}")],
    )
    dev = [("09:03:01", f"[dev] + {INIT}{KEY}"), ("09:05:02", "[dev] + terraform apply")]
    staging = [("09:03:01", f"[staging] + {INIT}{KEY}"), ("09:05:02", "[staging] + terraform apply")]

    assert tie([started, *dev, *staging, *worked], one_state=one_state) is Tie.BY_TIME
    assert tie([*dev, *staging, *worked], one_state=one_state) is Tie.BY_TIME
    assert tie([*dev, *worked], one_state=one_state) is Tie.SHOWN


def test_of_several_units_nothing_is_shown(tie):
    wants = ("09:05:05", "[/src/live/db] Acquiring state lock. This may take a few moments...")
    network = [("09:05:10", f"[/src/live/network] {WORK}"), ("09:14:00", f"[/src/live/network] {STILL}")]

    assert tie([wants, *network]) is Tie.BY_TIME
    assert tie(network) is Tie.SHOWN


@pytest.mark.parametrize(
    "command",
    [
        "cat apply.log",
        "if [ -f apply.log ]; then cat apply.log; fi",
        "test -f apply.log && cat apply.log",
        "sudo -E cat apply.log",
        "bat apply.log",
        "node .github/comment.js",
        "grep -v Refreshing apply.log; terraform plan",
        "./report.sh && terraform plan",
    ],
)
def test_what_a_failed_job_wrote_into_a_file_and_prints_later_is_no_work_of_that_time(tie, command):
    failed = [*step("09:00:00", "terraform apply > apply.log 2>&1 || true"), ("09:02:00", "it failed")]
    printed = [("09:05:01", REFRESH), ("09:14:00", STILL), ("09:14:30", CANCELLED)]

    assert tie([*failed, *step("09:04:59", command), *printed]) is Tie.BY_TIME
    assert tie([*failed, *step("09:04:59", "terraform plan"), *printed]) is Tie.SHOWN


@pytest.mark.parametrize(
    "command",
    [
        "make plan",
        "terraform apply $ARGS",
        'terraform apply "$@"',
        "terraform apply -lock=$LOCK",
        "npm run deploy",
        "./deploy.sh",
        "bash -c 'terraform apply'",
        "terraform init && make apply",
        "ssh deploy@bastion terraform apply -auto-approve",
        "docker run --rm hashicorp/terraform:1.9 apply -auto-approve",
        "kubectl logs -f job/terraform-staging",
        "terraform apply > apply.log & tail -f apply.log",
    ],
)
def test_work_below_a_command_that_is_no_terraform_of_the_job_shows_nothing(tie, command):
    """It may have run with `-lock=false`, on another machine, or long ago."""
    assert tie([*step("09:05:00", command), *KILLED]) is Tie.BY_TIME
    assert tie([*APPLY, *KILLED]) is Tie.SHOWN


@pytest.mark.parametrize(
    ("end", "shown"), [("Plan: 1 to add, 0 to change, 0 to destroy.", Tie.BY_TIME), ("Killed", Tie.SHOWN)]
)
def test_work_that_came_to_its_own_end_before_the_job_was_refused_this_lock_was_on_another_state(tie, end, shown):
    before = [("09:05:10", REFRESH), ("09:08:00", REFRESH), ("09:08:05", end)]
    refused = [*step("09:08:10", "terraform apply"), *(("09:08:20", line) for line in REFUSED)]
    exits = ("09:08:21", "##[error]Process completed with exit code 1.")

    assert tie([*step("09:05:04", "terraform plan"), *before, *refused, exits]) is shown
    assert read([*step("09:05:04", "terraform plan"), *before, *refused, exits]).was_refused(LOCK_ID) is False


@pytest.mark.parametrize(
    "said", [[WORK], ["[apply] + terraform apply", "[plan] + terraform plan"], ["[Pipeline] parallel"]]
)
def test_a_refusal_excludes_no_job_that_did_something_else_as_well(said):
    refused = [("09:06:00", line) for line in REFUSED]

    assert not read([*(("09:05:00", line) for line in said), *refused]).was_refused(LOCK_ID)
    assert not read([*refused, *(("09:07:00", line) for line in (said[0], *said))]).was_refused(LOCK_ID)
    assert not read(refused, is_over=False).was_refused(LOCK_ID)
    assert read(refused).was_refused(LOCK_ID)


@pytest.mark.parametrize("command", ["kubectl logs -f job/x", "kubectl attach x", "docker logs -f x", "tail -f x.log"])
def test_what_is_followed_may_have_been_written_on_another_machine(command):
    assert read([("09:05:00", f"$ {command}")]).elsewhere
    assert not read([("09:05:00", f"$ echo {command.split()[-1]}")]).elsewhere


@pytest.mark.parametrize(
    ("stored", "told", "wanted"),
    [
        ("09:05:00", "09:04:59", Ruling.ALLOW),
        ("09:06:20", "09:04:59", Ruling.NEEDS_APPROVAL),  # when the job had been dead for half a minute
        ("09:05:11", "09:04:59", Ruling.ALLOW),
        ("09:05:12", "09:04:59", Ruling.NEEDS_APPROVAL),
        ("09:05:00", "09:05:09", Ruling.NEEDS_APPROVAL),
        (None, "09:04:59", Ruling.ALLOW),
        (None, "09:05:09", Ruling.NEEDS_APPROVAL),
    ],
)
def test_a_job_that_was_killed_soon_and_whose_lock_was_broken_is_not_blamed_for_the_next_lock(
    make, stored, told, wanted
):
    """The next holder lives, in a pipeline that nobody mapped. Its clock is slow, so its lock seems to be older."""
    log = read([*step(told, "terraform apply"), ("09:05:10", WORK), ("09:05:40", STILL), ("09:05:45", CANCELLED)])
    run = make.run(end="09:05:46", conclusion=Conclusion.CANCELLED)
    looks, lock = (make.look(run, logs={"1": log}),), make.info(who="runner@fv-az881-525")
    taken = Taken.of(lock, stored and make.at(stored))
    tied = attribute(lock, looks, holders=make.holders, skew=make.policy.clock_skew, taken=taken)

    assert decide(make.case(looks=looks, who=lock.who, attribution=tied), make.now).ruling is wanted


@pytest.mark.parametrize(
    ("earlier", "says", "wanted"),
    [
        ("", [], Ruling.ALLOW),
        ("09:04:58", [], Ruling.NEEDS_APPROVAL),  # seen before this one, and as old as its command's
        ("08:00:00", [], Ruling.ALLOW),
        ("", [("09:04:30", "Acquiring state lock. This may take a few moments...")], Ruling.NEEDS_APPROVAL),
        ("", [("09:05:01", "Acquiring state lock. This may take a few moments...")], Ruling.ALLOW),
    ],
)
@pytest.mark.parametrize("told", [step("09:04:00", "terraform apply -auto-approve"), []])
def test_a_job_whose_lock_was_broken_is_not_blamed_for_that_of_a_process_which_had_waited(
    make, told, earlier, says, wanted
):
    """No store tells the time. The next holder lives, and began to wait at 09:05, while the job was waiting, too."""
    killed = [("09:08:10", WORK), ("09:14:00", STILL), ("09:14:30", CANCELLED)]
    run = make.run(conclusion=Conclusion.CANCELLED)
    looks, lock = (make.look(run, logs={"1": read([*told, *says, *killed])}),), make.info(who="runner@fv-az881-525")
    known = [make.at(earlier)] if earlier else []
    tied = attribute(lock, looks, holders=make.holders, skew=make.policy.clock_skew, earlier=known)

    assert decide(make.case(looks=looks, who=lock.who, attribution=tied), make.now).ruling is wanted
