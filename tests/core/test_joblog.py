"""What a job's log proves: who was at work under a lock, who was refused it, and what was never evidence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.joblog.reader import LogReader
from bot.core.joblog.values import LogEnd

START = datetime(2026, 11, 21, 9, 5, 0, tzinfo=UTC)
CREATED = START + timedelta(seconds=3)
LOCK = "6f0a7b12-0a3c-4d55-9c1e-2b7d1c9d4e10"
WORK = 'module.db[0].aws_db_instance.main["a b"]: Still creating... [10s elapsed]'
REFUSED = f"""\
╷
│ Error: Error acquiring the state lock
│
│ Error message: operation error S3: PutObject, PreconditionFailed
│ Lock Info:
│   ID:        {LOCK}
│   Path:      acme-tfstate/staging.tfstate
│   Operation: OperationTypeApply
│   Who:       runner@fv-az881-525
│   Version:   1.9.8
│   Created:   2026-11-21 09:00:00 +0000 UTC
│   Info:
╵""".split("\n")
NOT_RELEASED = ["Error: Error releasing the state lock", *REFUSED[2:]]


def github(second, line):
    return f"{(START + timedelta(seconds=second)).strftime('%Y-%m-%dT%H:%M:%S')}.1234567Z {line}\r"


def gitlab(second, line):
    return (
        f"{(START + timedelta(seconds=second)).strftime('%Y-%m-%dT%H:%M:%S')}.123456Z 01O \x1b[0m\x1b[1m{line}\x1b[0m"
    )


def azure(second, line):
    return f"{(START + timedelta(seconds=second)).strftime('%Y-%m-%dT%H:%M:%S')}.1234567Z {line}"


def jenkins(second, line):
    return f"[{(START + timedelta(seconds=second)).strftime('%Y-%m-%dT%H:%M:%S.000Z')}] [apply] {line}"


SYSTEMS = [github, gitlab, azure, jenkins]


def read(lines, *, is_whole=True, since=None):
    reader = LogReader(since=since)
    reader.feed("\n".join(lines).encode())
    return reader.close(is_whole=is_whole)


def logged(lines, system=github, **how):
    """The lines, two seconds apart from three seconds after the start on."""
    return read([system(5 + 2 * number, line) for number, line in enumerate(lines)], **how)


@pytest.mark.parametrize("system", SYSTEMS)
def test_terraform_at_work_after_the_lock_was_taken_shows_the_holder(system):
    log = logged(["$ terraform apply", WORK, WORK], system)

    assert log.shows(CREATED, lock_id=LOCK)
    assert not log.shows(CREATED + timedelta(minutes=1), lock_id=LOCK)
    assert (log.ran_terraform, log.has_worked) == (True, True)


@pytest.mark.parametrize(
    "line",
    [
        "aws_iam_role.x: Refreshing state... [id=x]",
        "data.aws_ami.x: Reading...",
        "data.aws_ami.x: Read complete after 0s [id=ami-1]",
        "aws_vpc.x: Creating...",
        "aws_vpc.x: Still creating... [00m10s elapsed]",
        "aws_vpc.x: Still modifying... [id=vpc-1, 1m0s elapsed]",
        "aws_vpc.x: Creation complete after 3s [id=vpc-1]",
        'aws_vpc.x["a: b"]: Modifying... [id=vpc-1]',
        "aws_vpc.x[0]: Modifications complete after 1m3s [id=vpc-1]",
        'module.a.module.b["k"].aws_vpc.x: Destroying... [id=vpc-1]',
        "aws_vpc.x: Destruction complete after 1s",
        "aws_vpc.x (deposed object 8a3f1c2d): Destroying... [id=vpc-1]",
        "null_resource.x: Provisioning with 'local-exec'...",
        'null_resource.x (local-exec): Executing: ["/bin/sh"]',
        "aws_***.x: Creating...",
        "[staging] aws_vpc.x: Creating...",
    ],
)
def test_every_shape_of_a_line_at_work_is_known(line):
    assert logged([line]).work


@pytest.mark.parametrize(
    "line",
    [
        "Acquiring state lock. This may take a few moments...",
        "Initializing the backend...",
        "Initializing provider plugins...",
        "- Installing hashicorp/aws v5.1.0...",
        "Terraform has been successfully initialized!",
        "terraform apply",
        "+ terraform apply -auto-approve",
        "+ echo aws_vpc.x: Creating...",
        "$ echo 'aws_vpc.x: Creating...'",
        "Pulling fs layer: Downloading...",
        "app.service: Creating...",
        "Container infra_db_1  Creating",
        "I said aws_vpc.x: Creating... to them",
        "  + aws_vpc.x: Creating...",
        "        aws_vpc.x: Creating...",
        "│ aws_vpc.x: Creating...",
        "\taws_vpc.x: Refreshing state... [id=vpc-1]",
        '{"msg": "aws_vpc.x: Creating..."}',
        "Plan: 1 to add, 0 to change, 0 to destroy.",
        "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.",
    ],
)
def test_what_only_looks_like_work_is_none(line):
    assert not logged([line]).work


def test_an_echoed_script_and_what_cat_prints_are_not_terraform_s_work():
    script = ["##[group]Run cat <<EOF", "cat <<EOF", WORK, "EOF", "shell: /usr/bin/bash -e {0}", "##[endgroup]", WORK]

    assert not logged(script).work
    assert logged(script).has_worked
    assert logged([*script, "##[group]Run terraform apply", "terraform apply", "##[endgroup]", WORK]).work


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_refusal_names_the_lock_and_rules_the_job_out(system):
    log = logged(["Acquiring state lock. This may take a few moments...", *REFUSED], system)

    assert log.was_refused(LOCK)
    assert not log.was_refused("another")
    assert not log.shows(CREATED, lock_id=LOCK)


def test_a_refusal_by_what_the_job_itself_left_behind_rules_nothing_out():
    log = logged([WORK, "##[group]Run terraform plan", "terraform plan", "##[endgroup]", *REFUSED])

    assert not log.was_refused(LOCK)
    assert log.shows(CREATED, lock_id=LOCK)
    assert logged([*REFUSED]).was_refused(LOCK)


def test_what_comes_after_a_refusal_was_on_another_state():
    log = logged([*REFUSED, "##[group]Run terraform apply", "terraform apply", "##[endgroup]", WORK])
    told = log.work[0].after

    assert not log.shows(told, lock_id=LOCK)
    assert log.shows(told, lock_id="another")


def test_the_lock_below_an_error_of_releasing_is_the_one_that_stands_now_perhaps_another_s():
    """Terraform prints it where it was to release its own; words of a line are wrapped."""
    wrapped = [
        *NOT_RELEASED[:2],
        '│ Error message: lock ID "mine" does not match',
        "│ existing lock",
        *NOT_RELEASED[3:],
    ]

    for lines in (NOT_RELEASED, wrapped):
        log = logged(["$ terraform apply", WORK, *lines])
        assert log.refused == ()
        assert not log.shows(CREATED, lock_id=LOCK, skew=timedelta(seconds=30))
        assert not log.shows(CREATED + timedelta(minutes=1), lock_id=LOCK)
    assert logged(["$ terraform apply", WORK]).shows(CREATED, lock_id=LOCK, skew=timedelta(seconds=30))


@pytest.mark.parametrize("masked", ["│   ID:        ***", "│   ID:        6f0a***", "│   ID:", "│   ID"])
def test_a_masked_or_cut_lock_id_rules_nothing_out(masked):
    lines = [masked if "  ID: " in line else line for line in REFUSED]

    assert logged(lines).refused == ()


def test_the_machine_form_is_read_with_terraform_s_own_clock():
    def said(kind, second=5, **more):
        at = (START + timedelta(seconds=second)).isoformat()
        return json.dumps({"@level": "info", "@message": "", "@timestamp": at, "type": kind, **more})

    detail = "\n".join(line.lstrip("│ ") for line in REFUSED[3:])
    refusal = said("diagnostic", diagnostic={"summary": "Error acquiring the state lock", "detail": detail})

    assert read([said("version"), said("refresh_start"), said("apply_progress", 15)]).shows(CREATED)
    assert not read([said("version", 0), said("apply_start", 1), said("apply_progress", 15)]).shows(CREATED)
    assert not read([said("apply_start"), said("change_summary", changes={"operation": "apply"})]).shows(CREATED)
    assert read([refusal]).was_refused(LOCK)
    assert not read([said("planned_change"), said("resource_drift"), said("outputs")]).work


def test_work_that_began_before_the_lock_was_taken_was_under_another_lock():
    before, after = github(1, WORK), github(9, WORK)

    assert not read([before, after]).shows(CREATED)
    assert read([before, github(7, "##[group]Run terraform apply"), github(7, "##[endgroup]"), after]).shows(CREATED)
    assert read([before, github(7, "Saved the plan to: tfplan"), after]).shows(CREATED)
    plan = [github(1, "aws_vpc.x: Refreshing state... [id=x]"), github(2, "Plan: 1 to add, 0 to change, 0 to destroy.")]
    assert read([*plan, github(8, "aws_vpc.x: Refreshing state... [id=x]")]).shows(CREATED)
    assert not read([*plan, github(8, "aws_vpc.x: Creating...")]).shows(CREATED)


@pytest.mark.parametrize(
    ("line", "is_ended"),
    [
        ("│ Error: creating EC2 instance: UnauthorizedOperation", True),
        ("##[error]Process completed with exit code 1.", True),
        ("##[error]Process completed with exit code 137.", False),
        ("##[error]Bash exited with code '1'.", True),
        ("##[error]The operation was canceled.", False),
        ("ERROR: Job failed: exit status 1", True),
        ("ERROR: Job failed: exit code 143", False),
        ("ERROR: script returned exit code 2", True),
        ("Error: execution halted", False),
        ("Plan: 1 to add, 0 to change, 0 to destroy.", True),
        ("Note: You didn't use the -out option to save this plan", True),
        ("Releasing state lock. This may take a few moments...", True),
        ("##[group]Run terraform output", False),
    ],
)
def test_a_killed_command_is_told_from_one_that_came_to_its_own_end(line, is_ended):
    log = read([github(4, WORK), github(5, line)])

    assert log.work[0].is_ended is is_ended
    assert bool(log.shows(CREATED, skew=timedelta(seconds=30))) is not is_ended
    assert log.shows(CREATED, skew=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("lines", "is_interrupted"),
    [
        ([WORK, "Interrupt received.", "Gracefully shutting down...", WORK], True),
        ([WORK, "Stopping operation...", WORK], True),
        ([WORK, "│ Error: execution halted"], True),
        ([WORK, "Error: operation canceled"], True),
        (["Interrupt received.", WORK], True),
        ([WORK, '{"@level":"info","@message":"\\nInterrupt received.\\nPlease wait","type":"log"}'], True),
        ([WORK, "##[error]The operation was canceled."], False),
        ([WORK, "Killed"], False),
    ],
)
def test_a_command_that_was_asked_to_stop_is_told_from_one_that_was_killed(lines, is_interrupted):
    assert [span.is_interrupted for span in logged(["$ terraform apply", *lines]).work] == [is_interrupted]


def test_of_two_commands_only_the_one_that_was_asked_to_stop_was_interrupted():
    log = logged([*work_of("apply"), "Interrupt received.", *work_of("plan")])

    assert [span.is_interrupted for span in log.work] == [True, False]


def work_of(verb):
    return ["Initializing the backend...", f"$ terraform {verb}", WORK]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_log_begins_with_its_first_line_and_github_s_with_its_runner_s_own(system):
    servers = ["Requested labels: self-hosted", "Job is about to start running on the runner: build-1"]

    assert logged(["hello", WORK], system).begun_at.second == 5
    assert logged([*servers, "Current runner version: '2.319.1'", WORK], github).begun_at.second == 9
    assert logged(["$ echo", WORK, "Current runner version: '2.319.1'"], github).begun_at.second == 5
    assert read([WORK]).begun_at is None
    opened = f"section_start:{int(START.timestamp())}:prepare_executor\r\x1b[0KPreparing"
    assert read(["Running with gitlab-runner", opened, gitlab(9, WORK)]).begun_at == START + timedelta(seconds=1)


def test_a_log_without_its_beginning_says_nothing_of_when_it_began():
    reader = LogReader()
    reader.gap()
    reader.line(github(5, WORK))

    assert reader.close(is_whole=True).begun_at is None


def test_an_apply_goes_on_after_its_plan():
    log = read([github(4, WORK), github(5, "Plan: 1 to add, 0 to change, 0 to destroy."), github(6, WORK)])

    assert [span.is_ended for span in log.work] == [False]


def test_a_log_without_its_end_may_lack_the_words_of_an_own_end():
    cut = read([github(4, WORK)], is_whole=False)

    assert not cut.shows(CREATED, skew=timedelta(seconds=30))
    assert cut.shows(CREATED, skew=timedelta(seconds=1))


def test_who_says_that_they_are_done_has_released_the_lock():
    done = "Apply complete! Resources: 1 added, 0 changed, 0 destroyed."

    assert not logged([WORK, done]).shows(CREATED)
    assert logged([WORK, "Releasing state lock. This may take a few moments..."]).shows(CREATED)


@pytest.mark.parametrize(
    "command", ["terraform plan -lock=false", "tofu apply --lock=false", "env: TF_CLI_ARGS_plan: -lock=0"]
)
def test_a_log_without_locks_proves_nothing(command):
    assert not logged([command, WORK]).shows(CREATED)
    assert logged([command.replace("false", "true").replace("-lock=0", "-lock=1"), WORK]).shows(CREATED)


def test_of_several_directories_nothing_is_shown_that_does_not_name_its_state():
    one, two = "$ terraform -chdir=network apply", "$ terraform -chdir=app apply"
    named = "$ terraform init -backend-config=bucket=acme-tfstate -backend-config='key=staging.tfstate'"

    assert logged([one, WORK]).shows(CREATED)
    assert not logged([one, two, WORK]).shows(CREATED)
    (span,) = logged([one, two, named, "$ terraform apply", WORK]).work
    assert (span.state, span.shows(span.first)) == ("acme-tfstate/staging.tfstate", True)


@pytest.mark.parametrize(
    ("after", "is_last"),
    [
        ("Terminated", True),
        ("section_start:1795259100:cleanup_file_variables", True),
        ("$ echo cleaning up", False),
        ("[command]/usr/bin/git version", False),
    ],
)
def test_the_last_command_that_a_job_was_told_to_run_is_known(after, is_last):
    log = read([github(1, "$ terraform apply"), github(2, WORK), github(3, after)])

    assert [span.is_last for span in log.work] == [is_last]


@pytest.mark.parametrize(
    ("told", "is_before"),
    [
        ("$ terraform apply", True),
        ("Initializing the backend...", True),
        ("Initializing provider plugins...", True),
        ('{"@timestamp":"2026-11-21T09:06:00.0Z","type":"version"}', True),
        ("Acquiring state lock. This may take a few moments...", False),  # its lock is as old as its first try
        ("Downloading something", False),
    ],
)
def test_a_command_wanted_its_lock_after_it_was_told_to_run_and_had_set_up(told, is_before):
    """A lock that was created long before that is of an earlier holder."""
    log = read([github(1, "$ terraform apply"), github(60, told), github(62, WORK)])
    (span,) = log.work

    assert span.shows(START + timedelta(seconds=57))
    assert span.shows(CREATED) is not is_before
    assert read([github(62, WORK)]).work[0].after is None


@pytest.mark.parametrize(
    "says",
    [
        github(62, "Acquiring state lock. This may take a few moments..."),
        # its own time has whole seconds, and an offset
        github(62, '{"@message":"Acquiring …","@timestamp":"2026-11-21T10:06:02+01:00","type":"state_lock_acquire"}'),
    ],
)
def test_a_command_that_waited_had_tried_to_get_its_lock_before_it_said_so(says):
    """What was created while it waited is the lock of another one, which had begun to wait later."""
    log = read([github(60, "$ terraform apply"), says, github(600, WORK)])
    (span,) = log.work

    assert span.shows(START + timedelta(seconds=61.9))
    assert span.shows(START + timedelta(seconds=62.9)), "the line leaves out the fraction"
    assert not span.shows(START + timedelta(seconds=64))
    assert not log.shows(START + timedelta(seconds=300))
    at_once = read([github(60, "$ terraform apply"), github(600, WORK)])
    assert at_once.shows(START + timedelta(seconds=300)), "nothing says that it waited"
    again = read([github(60, "$ terraform apply"), says, github(590, "$ terraform apply"), github(600, WORK)])
    assert again.work[0].wanted is None, "another command waited"


@pytest.mark.parametrize(
    ("line", "machine"),
    [
        ("Machine name: 'build-1'", "build-1"),
        ("Agent machine name: 'fv-az719-784'", "fv-az719-784"),
        ("Running on runner-t3qyxf-project-7120-concurrent-0 via host-1...", "runner-t3qyxf-project-7120-concurrent-0"),
        ("Running on host-1...", "host-1"),
        ("Running on agent-28 in /home/jenkins/workspace/deploy", None),
        ("echo \"Machine name: 'build-1'\"", None),
        ("Runner name: 'build-1'", None),
    ],
)
def test_the_head_of_a_log_names_the_machine(line, machine):
    assert logged([line]).machine == machine
    assert logged([line]).only_machine == machine
    assert read([line], is_whole=False).only_machine is None
    assert logged(["$ ./build.sh", line]).machine is None


@pytest.mark.parametrize(
    "command", ["docker run --rm terraform apply", "##[command]/usr/bin/docker run x", "ssh ops@x terraform"]
)
def test_what_ran_in_a_container_or_on_another_host_had_another_name(command):
    log = logged(["Machine name: 'build-1'", f"$ {command}"])

    assert (log.machine, log.elsewhere, log.only_machine) == ("build-1", True, None)


def test_only_a_whole_log_without_any_word_of_terraform_says_that_it_never_ran():
    assert logged(["npm test", "ok"]).never_ran_terraform
    assert not logged(["npm test", "ok"], is_whole=False).never_ran_terraform
    assert not logged(["npm test", "./Terraform.sh > log"]).never_ran_terraform
    assert not logged(["npm test", WORK.replace("_", "_")]).never_ran_terraform


def test_a_carriage_return_overwrites_and_section_marks_are_passed_over():
    lines = [f"section_start:1795338120:step_script\r\x1b[0K{WORK}", f"50%\r{WORK}"]

    assert logged(lines).work


def test_times_of_day_count_only_with_a_day():
    lines = ["23:59:58  aws_vpc.x: Creating...", "00:00:08  aws_vpc.x: Still creating... [10s elapsed]"]
    late = START.replace(hour=23, minute=59, second=50)

    (span,) = read(lines, since=late).work
    assert (span.first, span.last) == (late + timedelta(seconds=8), late + timedelta(seconds=18))
    assert read(lines).work == ()
    assert read(lines).has_worked


def test_what_comes_after_a_gap_may_have_begun_before_it():
    reader = LogReader()
    reader.feed((github(5, "npm test") + "\n").encode())
    reader.gap()
    reader.feed(
        "\n".join(["", github(9, "##[group]Run x"), github(9, "##[endgroup]"), github(9, WORK), *REFUSED]).encode()
    )
    log = reader.close(is_whole=True)

    assert (log.is_whole, log.has_worked) == (False, True)
    assert not log.shows(CREATED)
    assert not log.was_refused(LOCK)


LINES = st.sampled_from(
    [WORK, *REFUSED, *NOT_RELEASED, "npm test", "$ terraform plan -lock=false", "$ terraform apply", "+ cat x", "EOF",
     "aws_vpc.x: Refreshing state... [id=x]", "Plan: 1 to add, 0 to change.", "Apply complete! Resources: 1 added.",
     "##[group]Run terraform apply", "##[endgroup]", "Machine name: 'build-1'", "docker run x", "[Pipeline] sh",
     "script returned exit code 1", "Cannot contact agent-1: x", "Finished: FAILURE", "***", "\r", "\x1b[0m"]
)  # fmt: skip
LOGS = st.lists(LINES, max_size=30)
CUTS = st.integers(0, 2000)


def text_of(lines):
    return "\n".join(github(5 + 2 * number, line) for number, line in enumerate(lines)).encode()


@given(chunks=st.lists(st.binary(max_size=300) | st.none(), max_size=12), is_whole=st.booleans())
def test_no_text_whatever_makes_the_reader_raise(chunks, is_whole):
    reader = LogReader(since=START)
    for chunk in chunks:
        reader.gap() if chunk is None else reader.feed(chunk)

    assert not (reader.close(is_whole=is_whole).is_whole and None in chunks)


@given(lines=LOGS, size=st.integers(1, 50))
def test_how_a_log_comes_in_pieces_makes_no_difference(lines, size):
    text, whole, pieces = text_of(lines), LogReader(), LogReader()
    whole.feed(text)
    for first in range(0, len(text), size):
        pieces.feed(text[first : first + size])

    assert whole.close(is_whole=True) == pieces.close(is_whole=True)


@given(lines=LOGS, first=CUTS, last=CUTS)
def test_a_log_that_was_cut_never_shows_or_excludes_more_than_the_whole_one(lines, first, last):
    """But one that lost its end may show work of which the whole one says that it is done."""
    text = text_of(lines)
    whole, cut = LogReader(), LogReader()
    whole.feed(text)
    everything = whole.close(is_whole=True)
    cut.feed(text[:first])
    if first < last:
        cut.gap()
        cut.feed(text[last:])
    part = cut.close(is_whole=first >= len(text))

    assert part.never_ran_terraform <= everything.never_ran_terraform
    assert part.was_refused(LOCK) <= everything.was_refused(LOCK)
    assert (part.only_machine is None) or part.only_machine == everything.only_machine
    begun = {span.first for span in everything.work if span.is_begun}
    if not everything.without_lock and not everything.refused:
        assert {span.first for span in part.shows(CREATED)} <= begun
    assert part.end is not LogEnd.REPORTED or everything.end is not LogEnd.UNKNOWN
