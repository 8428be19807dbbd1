"""What is HCP Terraform's own as a CI system: words, jobs, ends, logs, lists. Its stand-in answers over real HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.ci.hcp.runs import Plain, run_from
from bot.ci.hcp.source import HcpTerraform
from bot.core.evidence import NotFound, Trouble, Unseen
from bot.core.run import CancelResult, Conclusion, Phase, Pipeline, RunRef
from bot.hcp.api import ADMIN, APPLY, Resource
from bot.hcp.runs import ENDS, GOING_ON
from tests.worlds.ci.hcp.server import HcpStandIn
from tests.worlds.ci.sources import source_of, value

PAGE = Path(__file__).parents[3] / "docs" / "ci" / "hcp.md"
NETWORK = Pipeline("hcp", (("organization", "acme"), ("workspace", "network")))
THEN = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)


@pytest.fixture
async def hcp():
    async with HcpStandIn(cancel_delay=timedelta(hours=1), cool_off=timedelta(seconds=30)) as stand_in:
        stand_in.runs.add_workspace("acme", "network")
        yield stand_in


@pytest.fixture
async def source(hcp):
    made = source_of(HcpTerraform, hcp, NETWORK)
    yield made
    await made.aclose()


@pytest.fixture
def workspace(hcp):
    return hcp.runs.add_workspace("acme", "network")


async def read(source, run):
    return value(await source.run(RunRef(NETWORK, run.id)))


def document(**attributes):
    given = {"created-at": "2026-11-21T09:05:00Z", "status-timestamps": {"planning-at": "2026-11-21T09:06:00Z"}}
    return Resource("runs", "run-1234", {"attributes": {**given, **attributes}})


# words


@pytest.mark.parametrize("status", [*GOING_ON, "", "some_new_word", None, 7])
def test_a_word_that_is_not_known_to_be_an_end_is_none(status):
    run = run_from(document(status=status), NETWORK, "")

    assert run.phase is not Phase.ENDED
    assert (run.conclusion, run.ended_at) == (None, None)


@pytest.mark.parametrize("status", ENDS)
def test_an_end_whose_own_time_is_not_named_is_not_known_to_be_one(status):
    began, key = {"planning-at": "2026-11-21T09:06:00Z"}, f"{status.replace('_', '-')}-at"
    asked = {"canceled-at": "2026-11-21T09:10:00Z"}

    bare = run_from(document(status=status, **{"status-timestamps": began}, **asked), NETWORK, "")
    whole = run_from(
        document(status=status, **{"status-timestamps": {**began, key: "2026-11-21T09:20:00Z"}}), NETWORK, ""
    )

    assert (bare.phase, bare.ended_at) == (Phase.UNKNOWN, None)
    assert (whole.phase, whole.ended_at) == (Phase.ENDED, THEN + timedelta(minutes=15))


@pytest.mark.parametrize("status", ["finished", "errored", "canceled"])
async def test_a_part_whose_end_has_no_time_has_not_ended(hcp, source, workspace, status):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.runs.finish(run, "errored", at=THEN + timedelta(minutes=5))
    run.plan.status = status
    assert (await read(source, run)).phase is Phase.ENDED
    run.plan.times = {"started-at": THEN}

    seen = await read(source, run)

    assert (seen.phase, seen.jobs[0].phase) == (Phase.UNKNOWN, Phase.UNKNOWN)


def test_every_word_has_the_meaning_that_the_page_says():
    rows = re.findall(r"^\| (`.*`) \| (waiting|running|success|failed|cancelled) \|$", PAGE.read_text(), re.MULTILINE)
    told = {word: meaning for words, meaning in rows for word in re.findall(r"`(\w+)`", words)}
    meant = {word: str(phase) for word, phase in GOING_ON.items()} | {word: str(end) for word, end in ENDS.items()}

    assert told == {word: meaning for word, meaning in meant.items() if word != "force_canceled"}


# jobs


async def test_an_apply_that_has_not_begun_is_no_job_and_one_that_has_is(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.runs.pause(run, THEN + timedelta(minutes=5))
    before = await read(source, run)
    hcp.runs.confirm(run, THEN + timedelta(minutes=9))

    after = await read(source, run)

    assert [(job.name, job.phase) for job in before.jobs] == [("plan", Phase.ENDED)]
    assert [(job.name, job.phase) for job in after.jobs] == [("plan", Phase.ENDED), ("apply", Phase.RUNNING)]
    assert (before.phase, after.phase) == (Phase.WAITING, Phase.RUNNING)


async def test_a_plan_begins_with_the_runs_turn_and_not_when_a_worker_takes_it(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    run.plan.times["started-at"] = THEN + timedelta(hours=3)

    (plan,) = (await read(source, run)).jobs

    assert plan.started_at == THEN


async def test_an_agent_is_named_as_the_host(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN, agent="agent-7")

    assert [job.host for job in (await read(source, run)).jobs] == ["agent-7"]


async def test_a_run_whose_plan_still_runs_is_not_over_whatever_its_own_word_is(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.runs.finish(run, "errored", at=THEN + timedelta(minutes=5))
    assert (await read(source, run)).phase is Phase.ENDED
    run.plan.status = "running"

    assert (await read(source, run)).phase is not Phase.ENDED


async def test_a_run_whose_plan_cannot_be_read_has_not_ended(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.runs.finish(run, "errored", at=THEN + timedelta(minutes=5))
    bare = {"data": hcp._run_json(run)}
    hcp.answer_next(f"/runs/{run.id}", body=json.dumps(bare), times=9)
    assert (await read(source, run)).phase is Phase.ENDED  # the plan was asked for by itself
    hcp.answer_next("/plans/", status=500, times=9)

    seen = await read(source, run)

    assert (seen.phase, seen.jobs) == (Phase.UNKNOWN, None)
    assert seen.jobs_missing


async def test_a_run_that_was_cancelled_and_continues_is_being_ended(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.runs.cancel(run)

    assert (await read(source, run)).phase is Phase.ENDING


@pytest.mark.parametrize("status", ["force_canceled", "canceled"])
async def test_a_forced_end_is_lost_however_the_api_spells_it(hcp, source, workspace, status):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.runs.finish(run, status, at=THEN + timedelta(minutes=5))
    if status == "canceled":
        assert (await read(source, run)).conclusion is Conclusion.CANCELLED
        run.times["force-canceled-at"] = THEN + timedelta(minutes=5)

    seen = await read(source, run)

    assert seen.conclusion is Conclusion.LOST
    assert {job.conclusion for job in seen.jobs} == {Conclusion.LOST}


# ending


async def test_what_waits_is_discarded_what_runs_is_cancelled_and_force_waits_for_the_cool_off(hcp, source, workspace):
    waits, plans = (hcp.runs.start_run(workspace, at=THEN) for _ in range(2))
    hcp.runs.pause(waits)
    hcp.asked.clear()

    discarded = await source.cancel(RunRef(NETWORK, waits.id), force=True)
    cancelled = await source.cancel(RunRef(NETWORK, plans.id), force=True)  # by force only after a cancel
    early = await source.cancel(RunRef(NETWORK, plans.id), force=True)
    plans.canceled_at -= timedelta(minutes=1)
    forced = await source.cancel(RunRef(NETWORK, plans.id), force=True)

    results = [one.result for one in (discarded, cancelled, early, forced)]
    assert results == [
        CancelResult.ACCEPTED,
        CancelResult.NOT_YET,
        CancelResult.NOT_YET,
        CancelResult.ACCEPTED,
    ]
    assert "by force from" in early.detail
    assert [line.rpartition("/")[2] for line in hcp.asked if line.startswith("POST")] == [
        "discard",
        "cancel",
        "force-cancel",
    ]
    assert (waits.status, plans.status) == ("discarded", "force_canceled")


async def test_a_second_polite_cancel_sends_nothing(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    await source.cancel(RunRef(NETWORK, run.id), force=False)
    hcp.asked.clear()

    again = await source.cancel(RunRef(NETWORK, run.id), force=False)

    assert again.result is CancelResult.ACCEPTED
    assert not [line for line in hcp.asked if line.startswith("POST")]


async def test_a_run_that_was_confirmed_after_the_look_is_not_discarded(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.runs.pause(run)
    hcp.answer_next("actions/discard", status=409, body='{"errors":[{"status":"409"}]}')
    hcp.runs.confirm(run)
    run.status = "planned"  # as the look still saw it

    answer = await source.cancel(RunRef(NETWORK, run.id), force=False)

    assert answer.result is CancelResult.NOT_POSSIBLE
    assert not run.has_ended


@pytest.mark.parametrize("force", [False, True])
async def test_the_right_that_is_missing_is_named_though_the_api_says_not_found(hcp, source, workspace, force):
    run = hcp.runs.start_run(workspace, at=THEN)
    if force:
        run.canceled_at = THEN
    hcp.token, hcp.reading_token = "", hcp.token

    answer = await source.cancel(RunRef(NETWORK, run.id), force=force)

    assert answer.result is CancelResult.DENIED
    assert (ADMIN if force else APPLY) in answer.detail
    assert not run.has_ended


async def test_a_token_that_may_end_nothing_is_told_so_before_it_names_a_run(hcp, source):
    assert (await source.cancel(RunRef(NETWORK, "0"), force=False)).result is CancelResult.NOT_FOUND
    hcp.permissions = {"can-queue-apply": False}

    assert (await source.cancel(RunRef(NETWORK, "0"), force=False)).result is CancelResult.DENIED


async def test_a_cancel_whose_answer_was_lost_is_not_known(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    hcp.answer_next("actions/cancel", status=502)

    assert (await source.cancel(RunRef(NETWORK, run.id), force=False)).result is CancelResult.NOT_KNOWN
    assert run.canceled_at is None


# lists


async def test_a_run_that_has_waited_for_months_is_in_the_list_and_one_that_ended_then_is_not(hcp, source, workspace):
    waits, ended = (hcp.runs.start_run(workspace, at=THEN - timedelta(days=90)) for _ in range(2))
    hcp.runs.pause(waits, THEN - timedelta(days=90))
    hcp.runs.finish(ended, "errored", at=THEN - timedelta(days=89))

    assert [run.ref.id for run in value(await source.runs(NETWORK, since=THEN))] == [waits.id]


async def test_a_workspace_of_the_same_name_that_took_the_place_of_a_renamed_one_is_the_one_that_counts(
    hcp, source, workspace
):
    old = hcp.runs.start_run(workspace, at=THEN)
    assert [run.ref.id for run in value(await source.runs(NETWORK, since=THEN))] == [old.id]
    workspace.name = "network-old"
    new = hcp.runs.start_run(hcp.runs.add_workspace("acme", "network"), at=THEN)

    assert [run.ref.id for run in value(await source.runs(NETWORK, since=THEN))] == [new.id]
    assert isinstance(await source.run(RunRef(NETWORK, old.id)), NotFound)


async def test_a_list_that_falls_short_of_its_own_count_is_not_found(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    short = {"data": [hcp._run_json(run)], "meta": {"pagination": {"next-page": None, "total-count": 2}}}
    hcp.answer_next("/runs\\?", body=json.dumps(short), times=9)

    seen = await source.runs(NETWORK, since=THEN)

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


@pytest.mark.parametrize("following", [1, "2", -1, True])
async def test_a_list_that_leads_back_to_where_it_was_is_not_followed(hcp, source, workspace, following):
    run = hcp.runs.start_run(workspace, at=THEN)
    odd = {"data": [hcp._run_json(run)], "meta": {"pagination": {"next-page": following, "total-count": 1}}}
    hcp.answer_next("/runs\\?", body=json.dumps(odd), times=99)

    assert isinstance(await source.runs(NETWORK, since=THEN), Unseen)


# logs


async def test_a_log_is_read_from_its_signed_address_without_the_token(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    run.plan.log = "Terraform v1.11.4\non linux_amd64\n"
    seen = await read(source, run)

    assert value(await source.log(seen, seen.jobs[0])).ran_terraform


@pytest.mark.parametrize("address", ["", "file:///etc/passwd", "ftp://example.com/x", "http://user@example.com/x"])
async def test_a_log_at_an_odd_address_is_not_read(hcp, source, workspace, address):
    run = hcp.runs.start_run(workspace, at=THEN)
    seen = await read(source, run)
    part = hcp._step_json(run, run.plan, "plans")
    part["attributes"]["log-read-url"] = address
    hcp.answer_next("/plans/", body=json.dumps({"data": part}))

    assert isinstance(await source.log(seen, seen.jobs[0]), NotFound | Unseen)


async def test_the_log_of_a_part_with_an_odd_id_is_not_asked_for(hcp, source, workspace):
    run = hcp.runs.start_run(workspace, at=THEN)
    seen = await read(source, run)
    hcp.asked.clear()

    odd = await source.log(seen, replace(seen.jobs[0], id="../../users"))

    assert isinstance(odd, NotFound)
    assert hcp.asked == []


class Heard:
    def __init__(self):
        self.text = b""

    def feed(self, chunk):
        self.text += chunk

    def gap(self):
        self.text += b"<gap>"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_structured_lines_are_their_time_and_message_in_whatever_pieces_they_come(size):
    line = {"@level": "info", "@message": "Apply complete!", "@timestamp": "2026-11-21T10:05:00.5+01:00"}
    raw = b"\x02Terraform v1.11.4\n" + json.dumps(line).encode() + b'\n{"@message": broken\n{"a": 1}\nlast\x03'
    heard = Heard()
    plain = Plain(heard)
    for first in range(0, len(raw), size):
        plain.feed(raw[first : first + size])
    plain.close()

    assert heard.text.decode().splitlines() == [
        "Terraform v1.11.4",
        "2026-11-21T09:05:00.500000Z Apply complete!",
        '{"@message": broken',
        '{"a": 1}',
        "last",
    ]


def test_a_line_without_an_end_is_not_kept_for_ever():
    heard = Heard()
    plain = Plain(heard)
    for _ in range(100):
        plain.feed(b"x" * 32_768)

    assert len(heard.text) > 3_000_000
