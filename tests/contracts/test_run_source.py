"""What every `bot.ports.runs.RunSource` promises, put to each adapter of `bot/ci` against its own stand-in.

An adapter `bot/ci/NAME/source.py` joins with one file beside this one, `test_run_source_world_NAME.py`, that has an
async context manager `world()`. What it yields drives the adapter's stand-in:

    source                          the adapter, asking the stand-in
    pipeline, other, unknown        two configured pipelines, and one that the system has never heard of
    start(at) -> id                 a run of `pipeline` that is going on since then
    start_waiting(at) -> id         a run of `pipeline` that waits for a runner
    finish(id, conclusion, at)      its newest attempt ends, its runner reporting it
    rerun(id, at)                   it is started again under the same id, and goes on
    url(id)                         the page of a run
    write_log(id, lines)            what the newest job that runs Terraform writes: pairs of a time and a line
    stall_logs()                    from now on logs take half a minute
    fail(trouble)                   from now on the system answers every question with this trouble
    forbid_writes()                 from now on the adapter's credentials may only read
    is_on(pipeline) -> bool         whether the pipeline may be started, as the stand-in knows it
    has_ended(id) -> bool           whether the run has ended, as the stand-in knows it

What a system cannot do at all its file names in `LACKS`, and is not asked for: "reruns" under the same id, "time-outs"
as an end of their own, a "switch" for a pipeline, the "tails" of logs that are too long to be read whole.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bot.ci
from bot.core.evidence import NotFound, Trouble, Unseen
from bot.core.joblog.changes import Fate
from bot.core.joblog.values import LogEnd
from bot.core.run import CancelResult, Conclusion, Phase, RunRef, SwitchResult
from tests.worlds.ci.sources import value

HERE = Path(__file__).parent
ADAPTERS = sorted(path.parent.name for path in Path(bot.ci.__file__).parent.glob("*/source.py"))
ENDS = (Conclusion.SUCCESS, Conclusion.FAILED, Conclusion.CANCELLED)
NOW = datetime.now(UTC).replace(microsecond=0)


def ago(**span):
    return NOW - timedelta(**span)


def load(adapter):
    path = HERE / f"test_run_source_world_{adapter}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def able(*needs):
    """The adapters of the systems that can do all of this."""
    worlds = ((name, HERE / f"test_run_source_world_{name}.py") for name in ADAPTERS)
    return [name for name, path in worlds if not path.exists() or not set(needs) & getattr(load(name), "LACKS", set())]


@pytest.fixture(params=ADAPTERS)
async def world(request):
    async with load(request.param).world() as made:
        yield made
        await made.source.aclose()


async def listed(world, **since):
    return value(await world.source.runs(world.pipeline, since=ago(**since)))


async def full(world, run_id):
    return value(await world.source.run(RunRef(world.pipeline, run_id)))


async def test_a_source_has_a_name_a_system_and_observes_on_the_clock_it_was_given(world):
    seen = await world.source.runs(world.pipeline, since=ago(hours=1))

    assert world.source.name == world.pipeline.ci
    assert world.source.system
    assert seen.at.tzinfo is not None


async def test_a_pipeline_that_was_never_started_has_no_runs(world):
    assert await listed(world, hours=1) == ()


async def test_the_list_is_newest_first_and_has_no_jobs(world):
    started = [world.start(ago(minutes=minutes)) for minutes in (50, 40, 30)]

    runs = await listed(world, hours=1)

    assert [run.ref.id for run in runs] == started[::-1]
    assert [(run.phase, run.jobs) for run in runs] == [(Phase.RUNNING, None)] * 3


async def test_runs_that_ended_before_are_left_out_and_those_that_still_go_on_never_are(world):
    gone, overlapping, going = world.start(ago(hours=9)), world.start(ago(hours=8)), world.start(ago(hours=7))
    world.finish(gone, Conclusion.FAILED, ago(hours=6))
    world.finish(overlapping, Conclusion.FAILED, ago(hours=4))

    assert [run.ref.id for run in await listed(world, hours=5)] == [going, overlapping]


async def test_the_runs_of_another_pipeline_are_not_mixed_in(world):
    world.start(ago(minutes=5))

    assert value(await world.source.runs(world.other, since=ago(hours=1))) == ()


async def test_two_hundred_and_fifty_runs_are_all_there(world):
    started = [world.start(ago(minutes=minutes)) for minutes in range(250)]

    assert [run.ref.id for run in await listed(world, hours=5)] == started


@pytest.mark.parametrize(
    ("world", "conclusion"),
    [(name, end) for name in ADAPTERS for end in ENDS] + [(name, Conclusion.TIMED_OUT) for name in able("time-outs")],
    indirect=["world"],
)
async def test_every_end_is_told_with_its_time_and_its_jobs(world, conclusion):
    run_id = world.start(ago(hours=2))
    world.finish(run_id, conclusion, ago(hours=1))

    run = await full(world, run_id)

    assert (run.phase, run.conclusion, run.ended_at) == (Phase.ENDED, conclusion, ago(hours=1))
    assert [(job.phase, job.conclusion, job.ended_at) for job in run.jobs] == [
        (Phase.ENDED, conclusion, ago(hours=1))
    ] * len(run.jobs)
    assert run.jobs


async def test_a_running_run_has_no_end_and_names_the_host_of_its_job(world):
    run = await full(world, world.start(ago(minutes=5)))

    assert (run.phase, run.conclusion, run.ended_at) == (Phase.RUNNING, None, None)
    assert all(job.phase is Phase.RUNNING and job.host for job in run.jobs)


async def test_a_waiting_run_has_not_ended(world):
    run = await full(world, world.start_waiting(ago(minutes=5)))

    assert (run.phase, run.conclusion, run.ended_at) == (Phase.WAITING, None, None)


@pytest.mark.parametrize("world", able("reruns"), indirect=True)
async def test_a_run_that_is_started_again_goes_on_and_keeps_the_jobs_of_both_attempts(world):
    run_id = world.start(ago(hours=4))
    world.finish(run_id, Conclusion.FAILED, ago(hours=3))
    (stale,) = await listed(world, hours=5)
    world.rerun(run_id, ago(hours=1))

    run = value(await world.source.with_jobs(stale))

    assert (stale.phase, run.phase, run.attempt) == (Phase.ENDED, Phase.RUNNING, 2)
    assert [(job.attempt, job.phase) for job in run.jobs] == [(1, Phase.ENDED), (2, Phase.RUNNING)]
    assert [listed_run.ref.id for listed_run in await listed(world, hours=2)] == [run_id]


@pytest.mark.parametrize("world", able("reruns"), indirect=True)
async def test_a_run_of_weeks_ago_that_was_started_again_is_in_the_list(world):
    run_id = world.start(ago(days=29))
    world.finish(run_id, Conclusion.FAILED, ago(days=29))
    world.rerun(run_id, ago(minutes=5))

    assert [run.ref.id for run in await listed(world, hours=1)] == [run_id]


async def test_a_pipeline_that_the_system_does_not_know_is_not_found(world):
    assert isinstance(await world.source.runs(world.unknown, since=ago(hours=1)), NotFound)


async def test_a_run_that_the_system_does_not_know_is_not_found(world):
    assert isinstance(await world.source.run(RunRef(world.pipeline, "99999999")), NotFound)


@pytest.mark.parametrize("trouble", [Trouble.SERVER_ERROR, Trouble.THROTTLED, Trouble.DENIED, Trouble.GARBLED])
async def test_troubles_are_kept_apart_and_never_look_like_an_empty_list(world, trouble):
    run_id = world.start(ago(hours=1))
    world.fail(trouble)

    seen = [
        await world.source.runs(world.pipeline, since=ago(hours=2)),
        await world.source.run(RunRef(world.pipeline, run_id)),
    ]

    assert [type(one) for one in seen] == [Unseen, Unseen]
    assert {one.trouble for one in seen} == {trouble}
    assert all(one.detail and one.system == world.source.system for one in seen)


async def test_a_run_is_found_by_the_url_of_its_page_and_belongs_to_its_pipeline(world):
    run_id = world.start(ago(minutes=5))

    ref = world.source.ref_from_url(world.url(run_id))
    run = value(await world.source.run(ref))

    assert (run.ref.id, run.ref.pipeline) == (run_id, world.pipeline)


async def test_the_url_that_a_run_gives_leads_back_to_it(world):
    run = await full(world, world.start(ago(minutes=5)))

    assert world.source.ref_from_url(run.ref.url).id == run.ref.id


@pytest.mark.parametrize("url", ["", "nonsense", "https://example.org/", "https://example.org/a/b/actions/runs/1"])
async def test_urls_of_other_systems_mean_nothing(world, url):
    assert world.source.ref_from_url(url) is None


async def test_a_cancel_is_accepted_and_the_run_then_ends_cancelled(world):
    run_id = world.start(ago(minutes=5))

    assert (await world.source.cancel(RunRef(world.pipeline, run_id), force=False)).result is CancelResult.ACCEPTED

    while (run := await full(world, run_id)).phase is not Phase.ENDED:
        assert run.phase in {Phase.RUNNING, Phase.ENDING}
    assert run.conclusion is Conclusion.CANCELLED
    assert world.has_ended(run_id)


async def test_a_run_that_ended_cannot_be_cancelled(world):
    run_id = world.start(ago(hours=2))
    world.finish(run_id, Conclusion.FAILED, ago(hours=1))

    assert (await world.source.cancel(RunRef(world.pipeline, run_id), force=False)).result is CancelResult.ALREADY_ENDED


async def test_a_run_that_is_not_there_cannot_be_cancelled(world):
    assert (await world.source.cancel(RunRef(world.pipeline, "99999999"), force=True)).result is CancelResult.NOT_FOUND


@pytest.mark.parametrize("world", able("switch"), indirect=True)
async def test_a_pipeline_is_stopped_and_started_again_on_purpose(world):
    assert (await world.source.switch(world.pipeline, on=False)).result is SwitchResult.DONE
    assert (world.is_on(world.pipeline), world.is_on(world.other)) == (False, True)
    assert (await world.source.switch(world.pipeline, on=True)).result is SwitchResult.DONE
    assert world.is_on(world.pipeline)


@pytest.mark.parametrize("world", able("switch"), indirect=True)
async def test_stopping_what_is_stopped_already_is_done(world):
    await world.source.switch(world.pipeline, on=False)

    assert (await world.source.switch(world.pipeline, on=False)).result is SwitchResult.DONE


async def test_without_the_right_to_write_nothing_changes_and_the_detail_says_what_to_grant(world):
    run_id = world.start(ago(minutes=5))
    world.forbid_writes()

    cancelled = await world.source.cancel(RunRef(world.pipeline, run_id), force=False)
    switched = await world.source.switch(world.pipeline, on=False)

    assert (cancelled.result, switched.result) == (CancelResult.DENIED, SwitchResult.DENIED)
    assert cancelled.detail
    assert switched.detail
    assert not world.has_ended(run_id)
    assert world.is_on(world.pipeline)


async def test_writes_without_an_answer_are_not_known(world):
    run_id = world.start(ago(minutes=5))
    world.fail(Trouble.SERVER_ERROR)

    assert (await world.source.cancel(RunRef(world.pipeline, run_id), force=False)).result is CancelResult.NOT_KNOWN
    assert (await world.source.switch(world.pipeline, on=False)).result is SwitchResult.NOT_KNOWN


LOCK = "6f0a7b12-0a3c-4d55-9c1e-2b7d1c9d4e10"
WORK = "aws_db_instance.staging: Still creating... [10s elapsed]"
REFUSED = (
    "Error: Error acquiring the state lock",
    "Error message: ConditionalCheckFailedException",
    "Lock Info:",
    f"  ID:        {LOCK}",
    "  Path:      acme-tfstate/staging.tfstate",
)


def written(world, *lines, conclusion=Conclusion.FAILED):
    """A run that ended an hour ago, and whose job wrote these lines, a second apart."""
    run_id = world.start(ago(hours=2))
    world.write_log(run_id, [(ago(minutes=90) + timedelta(seconds=n), line) for n, line in enumerate(lines)])
    world.finish(run_id, conclusion, ago(hours=1))
    return run_id


async def log_of(world, run_id):
    run = await full(world, run_id)
    return await world.source.log(run, run.jobs[-1])


async def test_the_log_of_a_job_shows_terraform_at_work_at_its_own_times(world):
    log = value(await log_of(world, written(world, "+ terraform apply", WORK, WORK)))

    (span,) = log.shows(ago(minutes=90), lock_id=LOCK)
    assert ago(minutes=90) <= span.first < span.last <= ago(minutes=90) + timedelta(seconds=3)
    assert not log.shows(ago(minutes=80), lock_id=LOCK)


async def test_the_log_of_a_job_that_was_refused_a_lock_names_it(world):
    log = value(await log_of(world, written(world, "+ terraform apply", *REFUSED)))

    assert log.was_refused(LOCK)
    assert not log.shows(ago(hours=2), lock_id=LOCK)


async def test_a_log_without_a_line_of_terraform_s_at_work_shows_nothing(world):
    log = value(await log_of(world, written(world, "+ npm test", "ok")))

    assert (log.work, log.refused, log.end is LogEnd.DECLARED) == ((), (), False)


async def test_only_the_log_of_a_job_that_ended_in_order_can_say_that_terraform_never_ran(world):
    ended, broken_off = (
        written(world, "+ npm test", conclusion=end) for end in (Conclusion.FAILED, Conclusion.CANCELLED)
    )

    first, second = [value(await log_of(world, run_id)) for run_id in (ended, broken_off)]

    assert (first.is_whole, first.is_read) == (True, True)
    assert second.is_whole == (second.end is LogEnd.REPORTED)


async def test_the_changes_of_a_job_are_told_by_address_and_id_whatever_stands_before_its_lines(world):
    made = "aws_instance.web: Creation complete after 3s [id=i-0aa]"
    run = await full(world, written(world, "+ terraform apply", "aws_instance.web: Creating...", made))

    changes = value(await world.source.changes(run, run.jobs[-1]))

    (command,) = changes.commands
    (one,) = command.changes.changes
    assert (one.address, one.fate, one.id) == ("aws_instance.web", Fate.DONE, "i-0aa")
    assert command.work is not None


async def test_of_a_log_larger_than_what_a_look_reads_the_changes_in_its_middle_are_found(world):
    padding = ["x" * 60_000] * 170
    made = "aws_instance.web: Creation complete after 3s [id=i-0aa]"
    run = await full(world, written(world, "+ terraform apply", WORK, *padding, made, *padding, "the end"))

    changes = value(await world.source.changes(run, run.jobs[-1]))

    found = [one.address for command in changes.commands for one in command.changes.changes]
    assert "aws_instance.web" in found


async def test_changes_that_may_not_be_read_are_unseen(world):
    run = await full(world, written(world, "+ terraform apply", WORK))
    world.fail(Trouble.DENIED)

    seen = await world.source.changes(run, run.jobs[-1])

    assert (type(seen), seen.trouble) == (Unseen, Trouble.DENIED)


async def test_a_log_that_is_not_kept_is_not_found(world):
    run = await full(world, world.start(ago(minutes=5)))
    strange = replace(run, ref=RunRef(run.ref.pipeline, "99999999", ""), title="")

    seen = await world.source.log(strange, replace(run.jobs[-1], id="99999999", url=""))

    assert isinstance(seen, NotFound | Unseen)


async def test_a_log_that_may_not_be_read_is_unseen_and_decides_nothing(world):
    run = await full(world, written(world, "+ terraform apply", WORK))
    world.fail(Trouble.DENIED)

    seen = await world.source.log(run, run.jobs[-1])

    assert (type(seen), seen.trouble) == (Unseen, Trouble.DENIED)
    assert seen.detail


async def test_a_log_that_takes_too_long_is_unseen(world):
    run = await full(world, written(world, "+ terraform apply", WORK))
    usual = world.source.ci.configured
    world.source.ci.configured = replace(usual, limits=replace(usual.limits, overall=0.5))
    world.stall_logs()

    seen = await world.source.log(run, run.jobs[-1])

    assert (type(seen), seen.trouble) == (Unseen, Trouble.TIMED_OUT)


async def test_of_a_huge_log_the_beginning_and_the_end_are_read_and_it_is_not_whole(world):
    padding = ["x" * 60_000] * 170
    run_id = written(world, "+ terraform apply", WORK, *padding, "the end", *REFUSED)

    log = value(await log_of(world, run_id))

    assert (log.is_whole, len(log.shows(ago(minutes=90)))) == (False, 1)
    assert {one.lock_id for one in log.refused} == ({LOCK} if world.source.name in able("tails") else set())


async def test_the_log_of_a_job_that_is_over_is_read_once(world):
    run = await full(world, written(world, "+ terraform apply", WORK))
    first = value(await world.source.log(run, run.jobs[-1]))
    world.fail(Trouble.SERVER_ERROR)

    assert value(await world.source.log(run, run.jobs[-1])) == first


async def test_an_answer_tells_how_far_the_system_s_clock_is_from_ours(world):
    world.stand_in.offset = timedelta(minutes=-10)
    run_id = world.start(ago(hours=2))

    seen = await world.source.run(RunRef(world.pipeline, run_id))

    assert abs(seen.offset.ahead + timedelta(minutes=10)) <= seen.offset.within < timedelta(seconds=5)
