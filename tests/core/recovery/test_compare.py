"""Single lines and odd logs: what `recover` makes of them, each beside one that differs in one thing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.joblog.changes import Action, Fate
from bot.core.joblog.reader import LogReader
from bot.core.joblog.values import JobChanges
from bot.core.recovery.compare import compare
from bot.core.recovery.contents import Contents, Instance
from bot.core.recovery.held import held, held_in

CREATED = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
PATH = "acme-tfstate/staging.tfstate"
SKEW = timedelta(seconds=60)
MADE = "aws_instance.web: Creation complete after 12s [id=i-0aa]"


def stamped(lines, *, since=CREATED):
    return [f"{since + timedelta(seconds=n + 1):%Y-%m-%dT%H:%M:%S}.0000000Z {line}" for n, line in enumerate(lines)]


def job_of(lines, *, gap_at=None):
    reader = LogReader(with_changes=True)
    for number, line in enumerate(lines):
        if number == gap_at:
            reader.gap()
        reader.feed(f"{line}\n".encode())
    log = reader.close(is_whole=True, is_read=True)
    return JobChanges(reader.commands(), is_read=log.is_read, is_over=True, has_several=log.has_several)


def changes_of(*lines):
    (command,) = job_of(stamped(lines)).commands
    return command.changes


def contents(*instances):
    return Contents(size=1, md5="0" * 32, serial=7, lineage="l", instances=instances)


def difference(*lines, state=(), written=None):
    return compare(changes_of(*lines), contents(*state), written=written, skew=SKEW)


def test_what_was_made_and_is_not_in_the_state_has_a_block():
    found = difference("aws_instance.web: Creating...", MADE)

    (made,) = found.made
    assert (made.address, made.id) == ("aws_instance.web", "i-0aa")
    assert made.block == 'import {\n  to = aws_instance.web\n  id = "i-0aa"\n}'
    assert not difference(MADE, state=[Instance("aws_instance.web", id="i-0aa")]).made


def test_an_object_that_was_moved_to_another_address_is_recorded():
    assert difference(MADE, state=[Instance("module.app.aws_instance.web", id="i-0aa")]).recorded
    assert difference(MADE, state=[Instance("aws_eip.web", id="i-0aa")]).made


def test_another_object_at_its_address_takes_the_block_away():
    (made,) = difference(MADE, state=[Instance("aws_instance.web", id="i-0bb")]).made

    assert not made.block
    assert "another object at this address" in made.why


def test_a_line_that_a_script_printed_makes_nothing():
    found = changes_of(
        "aws_instance.web: Creating...",
        "aws_instance.web (local-exec): aws_instance.evil: Creation complete after 1s [id=i-666]",
        "aws_instance.web: Provisioning with 'local-exec'...",
    )

    assert [(one.address, one.fate) for one in found.changes] == [("aws_instance.web", Fate.BEGUN)]
    assert found.scripts == ("aws_instance.web",)


def test_what_a_script_prints_behind_a_carriage_return_makes_nothing():
    printed = "aws_instance.evil: Creation complete after 1s [id=i-666]"

    of_script = changes_of("aws_instance.web: Creating...", f"aws_instance.web (local-exec): 10 %\r{printed}")
    overwritten = changes_of("aws_instance.web: Creating...", f"10 %\r{printed}")

    assert [one.address for one in of_script.changes] == ["aws_instance.web"]
    assert {one.address for one in overwritten.changes} == {"aws_instance.web", "aws_instance.evil"}


@pytest.mark.parametrize(("before", "is_told"), [(60, False), (0, True)])
def test_changes_from_before_the_lock_are_no_changes_of_its_holder(before, is_told):
    """A script that cannot be looked into prints the log of an earlier run, and then runs Terraform."""
    step = ["##[group]Run ./deploy.sh", "./deploy.sh", "shell: /usr/bin/bash -e {0}", "##[endgroup]"]
    earlier = "aws_instance.old: Creation complete after 1s [id=i-old]"
    lines = stamped([*step, earlier], since=CREATED - timedelta(seconds=before)) if before else stamped(step)

    found = held(job_of([*lines, *stamped(["aws_instance.web: Creating...", MADE])]), PATH, CREATED)

    assert (found.command is not None) is is_told
    assert is_told or "which a script may have printed" in found.why


def test_what_a_command_that_prints_files_prints_makes_nothing():
    assert job_of(["##[group]Run cat old.log", "cat old.log", "##[endgroup]", *stamped([MADE])]).commands == ()
    assert job_of(["##[group]Run terraform apply", "terraform apply", "##[endgroup]", *stamped([MADE])]).commands


def test_an_error_about_an_object_says_that_its_change_failed():
    found = changes_of(
        "aws_instance.web: Creating...",
        "aws_instance.api: Creating...",
        "╷",
        "│ Error: creating EC2 Instance: InsufficientInstanceCapacity",
        "│ ",
        "│   with aws_instance.web,",
        '│   on main.tf line 1, in resource "aws_instance" "web":',
    )

    assert {one.address: one.fate for one in found.changes} == {
        "aws_instance.web": Fate.FAILED,
        "aws_instance.api": Fate.BEGUN,
    }


def test_a_failed_creation_that_the_state_has_tainted_is_recorded():
    lines = ("aws_instance.web: Creating...", "Error: x", "  with aws_instance.web,")

    found = difference(*lines, state=[Instance("aws_instance.web", id="i-1", is_tainted=True)])
    assert found.tainted == ("aws_instance.web",)
    assert not found.unsure
    assert difference(*lines).unsure


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("random_password.db: Creation complete after 0s [id=none]", "its value"),
        ("aws_route_table_association.a: Creation complete after 0s [id=rtbassoc-1]", "ROUTE_TABLE"),
        ("aws_instance.web: Creation complete after 0s [id=***]", "does not say its id"),
        ("aws_instance.web: Creation complete after 0s", "does not say its id"),
        ("aws_instance.web: Creation complete after 0s [name=web]", "does not say its id"),
    ],
)
def test_where_the_id_in_the_log_cannot_be_imported_it_says_why(line, why):
    (made,) = difference(line).made

    assert not made.block
    assert why in made.why


def test_a_secret_in_an_id_stays_in():
    secret = "ghp_" + "a1B2" * 9
    (made,) = difference(f"vault_token.ci: Creation complete after 0s [id={secret}]").made

    assert secret not in repr(made)
    assert not made.block


SECRET = "ghp_" + "a1B2" * 9


def test_a_secret_in_a_key_stays_in_and_no_block_is_cut_out_of_it():
    found = difference(
        f'aws_instance.web["{SECRET}"]: Creation complete after 1s [id=i-1]',
        f'aws_instance.two["{SECRET}"]: Creating...',
        f"module.m[\"{SECRET}\"].aws_instance.three: Provisioning with 'local-exec'...",
        'aws_instance.web["db_password"]: Creation complete after 1s [id=i-2]',
    )

    hidden, plain = found.made
    assert SECRET not in repr(found)
    assert (hidden.id, hidden.block) == ("i-1", "")
    assert "its address may have a secret in it" in hidden.why
    assert 'to = aws_instance.web["db_password"]' in plain.block


def test_the_value_that_a_random_string_has_for_its_id_is_not_shown():
    hidden, shown = difference(
        "random_string.one: Creation complete after 0s [id=Zk3fQ9xW2mPv]",
        "random_pet.two: Creation complete after 0s [id=able-cat]",
    ).made

    assert "Zk3fQ9xW2mPv" not in repr(hidden)
    assert hidden.why == "import takes its value"
    assert shown.id == "able-cat"


def test_what_a_version_since_has_recorded_is_not_called_not_recorded():
    then = contents(Instance("aws_instance.web", id="i-0aa"))
    by = {"written": None, "skew": SKEW}

    lost = compare(changes_of(MADE), contents(), **by, between=[then])
    never = compare(changes_of(MADE), contents(), **by, between=[contents(Instance("aws_instance.web", id="i-0bb"))])
    kept = compare(changes_of(MADE), then, **by, between=[then])

    assert not lost.made
    assert [one.why for one in lost.unsure] == ["the state had it, and a later run has saved the state without it"]
    assert [one.block for one in never.made] == ['import {\n  to = aws_instance.web\n  id = "i-0aa"\n}']
    assert kept.recorded == ("aws_instance.web",)


def test_an_object_without_an_id_is_recorded_once_something_new_is_at_its_address():
    line = "acme_thing.one: Creation complete after 0s"

    assert difference(line, state=[Instance("acme_thing.one")]).recorded == ("acme_thing.one",)
    assert difference(line).made


def test_an_update_is_recorded_only_if_the_state_was_written_well_after_it():
    lines, state = (
        ("aws_instance.web: Modifying... [id=i-1]", "aws_instance.web: Modifications complete after 1s"),
        [Instance("aws_instance.web", id="i-1")],
    )
    done = CREATED + timedelta(seconds=2)

    assert difference(*lines, state=state, written=done + SKEW + timedelta(seconds=1)).recorded
    assert difference(*lines, state=state, written=done + SKEW).unsure[0].action is Action.UPDATE
    assert difference(*lines, state=state).unsure


def test_what_a_gap_left_out_is_said():
    lines = stamped(["aws_instance.web: Creating...", MADE, "aws_instance.api: Creating..."])

    assert not job_of(lines).commands[0].changes.is_cut
    assert job_of(lines, gap_at=2).commands[0].changes.is_cut


def test_the_apply_that_held_the_lock_is_told_from_the_plan_before_it():
    plan = stamped(["aws_instance.web: Refreshing state...", "Plan: 1 to add, 0 to change", "Saved the plan to: p"],
                   since=CREATED - timedelta(minutes=5))  # fmt: skip
    apply = stamped(["aws_instance.api: Creating...", "aws_instance.api: Creation complete after 1s [id=i-2]"])
    later = stamped(["aws_instance.late: Creating..."], since=CREATED + timedelta(hours=1))
    again = ["Initializing the backend...", *later]

    found = held(job_of([*plan, *apply, *again]), PATH, CREATED)

    assert found.command is not None
    assert [one.address for one in found.command.changes.changes] == ["aws_instance.api"]


def test_of_two_applies_without_times_none_is_chosen():
    one, two = ["aws_instance.web: Creating..."], ["Initializing the backend...", "aws_instance.api: Creating..."]

    assert held(job_of([*one, *two]), PATH, CREATED).command is None
    assert held(job_of(one), PATH, CREATED).command is not None


def test_a_job_on_another_state_is_not_the_one():
    script = ["##[group]Run terraform init", "terraform init -backend-config=key={}", "terraform apply", "##[endgroup]"]
    prod = [line.format("prod.tfstate") for line in script]
    mine = [line.format("staging.tfstate") for line in script]

    assert held_in([job_of([*prod, *stamped([MADE])])], PATH, CREATED).command is None
    assert held_in([job_of([*mine, *stamped([MADE])])], PATH, CREATED).command is not None


def test_terraforms_own_json_is_read_with_its_ids_and_its_errors():
    def line(kind, action, **more):
        hook = {"resource": {"addr": "aws_instance.web"}, "action": action, **more}
        return json.dumps({"@level": "info", "@timestamp": "2026-11-21T09:00:01.000000Z", "type": kind, "hook": hook})

    made = changes_of(line("apply_start", "create"), line("apply_complete", "create", id_key="id", id_value="i-0aa"))
    failed = changes_of(line("apply_start", "create"), line("apply_errored", "create"))

    assert (made.changes[0].fate, made.changes[0].id) == (Fate.DONE, "i-0aa")
    assert failed.changes[0].fate is Fate.FAILED


def test_a_state_that_could_not_be_saved_is_said():
    assert changes_of(MADE, "│ Error: Failed to save state").left_state
    assert not changes_of(MADE, "Error: something else").left_state
