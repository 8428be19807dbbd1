"""ECS over real HTTP, with botocore's own client, against its stand-in: lists, forgetting, troubles and stops."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.ci.ecs.source import Ecs
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.run import CancelResult, Conclusion, Phase, Pipeline, RunRef, SwitchResult
from bot.http.client import Limits
from tests.worlds.ci.ecs.server import EcsStandIn
from tests.worlds.ci.sources import SESSION, ecs_client, made_of, value

CLUSTER = "terraform"
DEPLOY = Pipeline("ecs", (("cluster", CLUSTER), ("family", "production")))
UPDATE = Pipeline("ecs", (("cluster", CLUSTER), ("family", "updates")))
NOW = datetime.now(UTC).replace(microsecond=0)


def ago(**span):
    return NOW - timedelta(**span)


def ids(observation):
    return [run.ref.id for run in value(observation)]


def ref_of(task, pipeline=DEPLOY):
    return RunRef(pipeline, task.id)


@pytest.fixture
async def ecs():
    async with EcsStandIn(stop_delay=timedelta(0)) as standing:
        for pipeline in (DEPLOY, UPDATE):
            standing.runs.add_family(CLUSTER, pipeline.get("family"))
        yield standing


@pytest.fixture
def make_source(ecs):
    clients = []

    def make(*, key=ecs.access_key, base_url=ecs.base_url, patience=20, **changes):
        client_of = partial(ecs_client, base_url, key, connect_timeout=patience, read_timeout=patience)
        clients.append(client_of())
        usual = {
            "region": "eu-west-1",
            "client": lambda client=clients[-1]: client,
            "logs": lambda _: clients.append(client_of("logs")) or clients[-1],
            "run": asyncio.to_thread,
            "relist_delay": timedelta(0),
        }
        return made_of(Ecs, DEPLOY, UPDATE, **{**usual, **changes})

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def task(ecs):
    return ecs.runs.start_run(CLUSTER, "production")


async def test_running_and_stopped_tasks_are_listed_and_those_that_are_only_to_stop_as_well(source, ecs):
    running = ecs.runs.start_run(CLUSTER, "production", at=ago(days=9))
    stopped = ecs.runs.start_run(CLUSTER, "production", at=ago(minutes=40))
    ecs.runs.finish(stopped.id, 1, at=ago(minutes=10))
    stopping = ecs.runs.start_run(CLUSTER, "production", at=ago(minutes=30), stubborn=True)
    ecs.runs.stop(stopping.id)
    queued = ecs.runs.start_run(CLUSTER, "production", at=ago(minutes=1), queued=True)

    listed = await source.runs(DEPLOY, since=ago(minutes=45))

    assert [(run.ref.id, run.phase) for run in value(listed)] == [
        (queued.id, Phase.WAITING),
        (stopping.id, Phase.ENDING),
        (stopped.id, Phase.ENDED),
        (running.id, Phase.RUNNING),
    ]


async def test_a_task_that_the_first_list_does_not_show_yet_is_in_the_second(source, ecs):
    ecs.runs.list_lag = timedelta(hours=1)
    late = ecs.runs.start_run(CLUSTER, "production")
    before = await source.runs(DEPLOY, since=ago(hours=1))

    late.seen_from = ecs.now()
    ecs.answer_next("ListTasks", body='{"taskArns": []}', times=2)  # one for each desired status: the first list
    after = await source.runs(DEPLOY, since=ago(hours=1))

    assert (ids(before), ids(after)) == ([], [late.id])


async def test_a_task_that_stops_between_the_two_lists_is_there_once(source, ecs, task):
    body = json.dumps({"taskArns": [f"arn:aws:ecs:eu-west-1:123456789012:task/{CLUSTER}/{task.id}"]})
    ecs.answer_next('ListTasks .*"STOPPED"', body=body)

    assert ids(await source.runs(DEPLOY, since=ago(hours=1))) == [task.id]


async def test_a_task_that_is_forgotten_is_not_found_and_never_ended(source, ecs):
    old = ecs.runs.start_run(CLUSTER, "production", at=ago(hours=3))
    ecs.runs.finish(old.id, 1, at=ago(minutes=90))
    fresh = ecs.runs.start_run(CLUSTER, "production", at=ago(hours=3))
    ecs.runs.finish(fresh.id, 1, at=ago(minutes=20))

    seen = await source.run(ref_of(old))

    assert isinstance(seen, NotFound)
    assert seen.what == (
        f"task {old.id} in cluster terraform: it never existed, or it ended more than an hour ago "
        "and ECS has forgotten it"
    )
    assert ids(await source.runs(DEPLOY, since=ago(hours=4))) == [fresh.id]


@pytest.mark.parametrize("failures", [[], [{"arn": "", "reason": "MISSING"}]])
async def test_an_answer_without_the_task_that_was_asked_for_is_not_found_but_a_list_is_then_garbled(
    source, ecs, task, failures
):
    ecs.answer_next("DescribeTasks", body=json.dumps({"tasks": [], "failures": failures}), times=2)

    one, listed = await source.run(ref_of(task)), await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(one, NotFound)
    assert isinstance(listed, Unseen)
    assert listed.trouble is Trouble.GARBLED


async def test_a_task_that_is_forgotten_between_list_and_reading_is_left_out(source, ecs, task):
    gone = "arn:aws:ecs:eu-west-1:123456789012:task/terraform/00000000000000000000000000000000"
    ecs.answer_next('ListTasks .*"STOPPED"', body=json.dumps({"taskArns": [gone]}))

    assert ids(await source.runs(DEPLOY, since=ago(hours=1))) == [task.id]


async def test_lists_are_read_to_their_last_page_and_described_a_hundred_at_a_time(source, ecs):
    ecs.page_size = 30
    started = [ecs.runs.start_run(CLUSTER, "updates", at=ago(minutes=minute)).id for minute in range(230)]

    assert ids(await source.runs(UPDATE, since=ago(hours=6))) == started


async def test_a_list_without_an_end_is_too_much(source, ecs):
    ecs.answer_next("ListTasks", body=json.dumps({"taskArns": [], "nextToken": "again"}), times=999)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.TOO_MUCH


async def test_a_cluster_and_a_family_that_ecs_does_not_know_are_not_found(source):
    cluster = Pipeline("ecs", (("cluster", "gone"), ("family", "production")))
    family = Pipeline("ecs", (("cluster", CLUSTER), ("family", "produktion")))

    seen = [await source.runs(pipeline, since=ago(hours=1)) for pipeline in (cluster, family)]

    assert [type(one) for one in seen] == [NotFound, NotFound]
    assert [one.what for one in seen] == [
        "the tasks of production in cluster gone: there is no such cluster in this region and account",
        "family produktion: no task definition was ever registered under this name",
    ]


async def test_a_family_that_cannot_be_checked_has_no_tasks(source, ecs):
    body = '{"__type": "AccessDeniedException", "message": "no"}'
    ecs.answer_next("ListTaskDefinitionFamilies", status=400, body=body, times=9)

    assert value(await source.runs(DEPLOY, since=ago(hours=1))) == ()


async def test_the_task_is_the_one_job_of_its_run_with_its_own_address(source, ecs):
    task = ecs.runs.start_run(CLUSTER, "production", at=ago(minutes=5), address="10.0.7.9", tags={"actor": "quinn"})

    run = value(await source.run(ref_of(task)))

    assert [(job.id, job.name, job.host, job.started_at) for job in run.jobs] == [
        (task.id, "terraform", "ip-10-0-7-9.eu-west-1.compute.internal", ago(minutes=5))
    ]
    assert (run.actor, run.trigger, run.title) == ("quinn", "events-rule/deploy-nightly", "production:7")
    assert run.ref.url == ecs.url(task)


@pytest.mark.parametrize(
    ("changes", "host"),
    [({"with_dns": False}, "ip-10-0-1-23"), ({"launch_type": "EC2"}, None)],
)
async def test_without_a_name_the_address_stands_for_the_host_and_without_an_address_nothing(
    source, ecs, changes, host
):
    task = ecs.runs.start_run(CLUSTER, "production", **changes)

    assert [job.host for job in value(await source.run(ref_of(task))).jobs] == [host]


async def test_the_ends_that_ecs_knows_are_told_apart(source, ecs):
    ends = {}
    for name in ("interrupt", "fail_to_start", "orphan"):
        started = ecs.runs.start_run(CLUSTER, "production", queued=name == "fail_to_start")
        getattr(ecs.runs, name)(started.id)
        ends[name] = value(await source.run(ref_of(started)))
    silent = ecs.runs.start_run(CLUSTER, "production")
    ecs.runs.finish(silent.id, None)
    ends["silent"] = value(await source.run(ref_of(silent)))

    assert {name: (run.phase, run.conclusion) for name, run in ends.items()} == {
        "interrupt": (Phase.ENDED, Conclusion.LOST),
        "fail_to_start": (Phase.ENDED, Conclusion.SKIPPED),
        "orphan": (Phase.UNKNOWN, None),
        "silent": (Phase.ENDED, Conclusion.LOST),
    }


async def test_a_task_of_another_family_belongs_to_that_ones_pipeline(source, ecs):
    task = ecs.runs.start_run(CLUSTER, "updates")

    assert value(await source.run(ref_of(task, DEPLOY))).ref.pipeline == UPDATE


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "a b", "\u0667", "a" * 65])
async def test_an_id_that_cannot_be_a_tasks_is_never_sent(source, ecs, run_id):
    assert isinstance(await source.run(RunRef(DEPLOY, run_id)), NotFound)
    assert (await source.cancel(RunRef(DEPLOY, run_id), force=True)).result is CancelResult.NOT_FOUND
    assert ecs.asked == []


async def test_an_id_that_ecs_itself_refuses_is_not_found(source, ecs, task):
    body = '{"__type": "InvalidParameterException", "message": "Invalid identifier: Unexpected number of separators"}'
    ecs.answer_next("DescribeTasks", status=400, body=body)

    assert isinstance(await source.run(ref_of(task)), NotFound)


@pytest.mark.parametrize(
    ("code", "status", "trouble", "detail"),
    [
        (
            "AccessDeniedException",
            400,
            Trouble.DENIED,
            (
                "ECS denies the tasks of production in cluster terraform (AccessDeniedException): "
                "the bot's role needs ecs:ListTasks"
            ),
        ),
        (
            "ExpiredTokenException",
            400,
            Trouble.DENIED,
            "ECS does not accept the AWS credentials (ExpiredTokenException)",
        ),
        ("ThrottlingException", 400, Trouble.THROTTLED, "ECS throttles ecs:ListTasks (ThrottlingException)"),
        ("", 429, Trouble.THROTTLED, "ECS throttles ecs:ListTasks (429)"),
        ("ServerException", 500, Trouble.SERVER_ERROR, "ECS returned an error (ServerException)"),
        (
            "ClientException",
            400,
            Trouble.GARBLED,
            "ECS refused ecs:ListTasks on the tasks of production in cluster terraform (ClientException)",
        ),
    ],
)
async def test_refusals_are_told_apart_and_name_the_mend(source, ecs, code, status, trouble, detail):
    body = json.dumps({"__type": code, "message": "no"} if code else {})
    ecs.answer_next("ListTasks ", status=status, body=body, times=99)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (trouble, detail)


async def test_a_wrong_key_is_denied(make_source):
    seen = await make_source(key="AKIAWRONG").runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert (seen.trouble, seen.detail) == (
        Trouble.DENIED,
        "ECS does not accept the AWS credentials (UnrecognizedClientException)",
    )


async def test_passing_troubles_are_sat_out(source, ecs, task):
    ecs.answer_next("DescribeTasks", status=500, body='{"__type": "ServerException"}')
    ecs.answer_next("DescribeTasks", status=400, body='{"__type": "ThrottlingException"}')

    assert ids(await source.runs(DEPLOY, since=ago(hours=1))) == [task.id]


async def test_a_slow_answer_is_timed_out_by_the_look_up_or_by_the_client(make_source, ecs):
    ecs.answer_next("ListTasks", delay=3, times=99)

    whole = await make_source(limits=Limits(overall=0.2)).runs(DEPLOY, since=ago(hours=1))
    call = await make_source(patience=1).runs(DEPLOY, since=ago(hours=1))

    assert isinstance(whole, Unseen)
    assert isinstance(call, Unseen)
    assert (whole.trouble, whole.detail) == (Trouble.TIMED_OUT, "ECS did not give the whole answer within 0.2 s")
    assert (call.trouble, call.detail) == (Trouble.TIMED_OUT, "ECS did not answer ecs:ListTasks in time")


async def test_a_server_that_is_not_there_is_no_connection(make_source):
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    seen = await make_source(base_url=f"http://127.0.0.1:{port}").run(RunRef(DEPLOY, "abc"))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.NO_CONNECTION


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        "null",
        "{}",
        '{"taskArns": null}',
        '{"taskArns": [5]}',
        '{"taskArns": "arn:aws:ecs"}',
        '{"taskArns": ["arn:aws',
        "[" * 100_000,
        "\x00\xff",
    ],
)
async def test_a_garbled_list_is_unseen(source, ecs, body):
    ecs.answer_next("ListTasks", body=body, times=99)

    seen = await source.runs(DEPLOY, since=ago(hours=1))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"tasks": null, "failures": []}',
        '{"tasks": [null]}',
        '{"tasks": [5], "failures": []}',
        '{"tasks": [], "failures": [null]}',
        '{"tasks": [{}], "failures": []}',
        '{"tasks": [{"taskArn": "arn:aws:ecs:eu-west-1:1:task/terraform/other", "createdAt": 1}], "failures": []}',
        '{"tasks": [{"taskArn": "TASK", "createdAt": "soon"}], "failures": []}',
        '{"tasks": [{"taskArn": "TASK", "createdAt": 1e300}], "failures": []}',
        '{"tasks": [{"taskArn": "TASK"}], "failures": []}',
        '{"tasks": [], "failures": [{"arn": "TASK", "reason": "ACCESS_DENIED"}]}',
    ],
)
async def test_an_answer_that_does_not_say_what_became_of_a_task_is_garbled(source, ecs, task, body):
    arn = f"arn:aws:ecs:eu-west-1:123456789012:task/terraform/{task.id}"
    ecs.answer_next("DescribeTasks", body=body.replace("TASK", arn), times=9)

    seen = await source.run(ref_of(task))

    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.GARBLED


async def test_a_client_that_cannot_be_made_is_unseen(make_source):
    def broken():
        return SESSION.create_client("ecs", region_name="not a region", endpoint_url="nonsense")

    seen = await make_source(client=broken).run(RunRef(DEPLOY, "abc"))

    assert isinstance(seen, Unseen)


async def test_neither_repr_nor_details_nor_logs_show_a_key(make_source, ecs):
    with structlog.testing.capture_logs() as logs:
        source = make_source(key="AKIAWRONG")
        seen = [await source.runs(DEPLOY, since=ago(hours=1)), await source.cancel(RunRef(DEPLOY, "abc"), force=True)]

    shown = repr(source) + repr(seen) + repr(logs)
    assert "AKIA" not in shown
    assert "verysecret" not in shown
    assert {entry["event"] for entry in logs} >= {"ci.unseen"}


async def test_a_stop_is_intent_and_asking_again_changes_nothing(source, ecs):
    ecs.runs.stop_timeout = timedelta(hours=1)
    stubborn = ecs.runs.start_run(CLUSTER, "production", stubborn=True)

    answers = [await source.cancel(ref_of(stubborn), force=force) for force in (False, True, True)]
    going = value(await source.run(ref_of(stubborn)))

    assert {answer.result for answer in answers} == {CancelResult.ACCEPTED}
    assert "SIGKILL" in answers[0].detail
    assert (going.phase, going.conclusion) == (Phase.ENDING, None)
    stubborn.due = ago(seconds=1)
    assert value(await source.run(ref_of(stubborn))).conclusion is Conclusion.CANCELLED


async def test_a_stop_whose_answer_was_lost_is_asked_for_again(source, ecs, task):
    ecs.answer_next("StopTask", status=500, body='{"__type": "ServerException"}')

    assert (await source.cancel(ref_of(task), force=False)).result is CancelResult.ACCEPTED
    assert value(await source.run(ref_of(task))).phase is Phase.ENDED


async def test_an_ended_an_orphaned_and_a_forgotten_task_are_not_stopped(source, ecs, task):
    ecs.runs.finish(task.id, 1)
    orphan = ecs.runs.start_run(CLUSTER, "production")
    ecs.runs.orphan(orphan.id)

    answers = [await source.cancel(ref, force=False) for ref in (ref_of(task), ref_of(orphan), RunRef(DEPLOY, "abc"))]

    assert [answer.result for answer in answers] == [
        CancelResult.ALREADY_ENDED,
        CancelResult.NOT_POSSIBLE,
        CancelResult.NOT_FOUND,
    ]
    assert "look at its machine" in answers[1].detail
    assert not any(line.startswith("StopTask") for line in ecs.asked)


async def test_without_the_right_nothing_is_stopped_and_the_action_is_named(make_source, ecs, task):
    cancelled = await make_source(key=ecs.reading_key).cancel(ref_of(task), force=False)

    assert (cancelled.result, cancelled.detail) == (
        CancelResult.DENIED,
        (f"ECS denies task {task.id} in cluster terraform (AccessDeniedException): the bot's role needs ecs:StopTask"),
    )
    assert not task.has_ended


@pytest.mark.parametrize(
    ("started_by", "result", "words"),
    [
        ("events-rule/nightly", SwitchResult.DENIED, "the EventBridge rule nightly: disable that rule"),
        ("ecs-svc/1234", SwitchResult.DENIED, "the ECS service runner: set its desired count to 0"),
        ("", SwitchResult.NOT_FOUND, "ECS starts no tasks on its own"),
    ],
)
async def test_ecs_has_no_switch_and_the_answer_says_what_to_stop_instead(source, ecs, started_by, result, words):
    ecs.runs.start_run(
        CLUSTER, "production", started_by=started_by, group="service:runner" if "svc" in started_by else ""
    )

    switched = await source.switch(DEPLOY, on=False)

    assert switched.result is result
    assert words in switched.detail


async def test_a_switch_without_an_answer_is_not_known_and_one_of_an_unknown_cluster_not_found(source, ecs):
    gone = await source.switch(Pipeline("ecs", (("cluster", "gone"), ("family", "production"))), on=False)
    ecs.answer_next("ListTasks", status=500, body="{}", times=9)
    lost = await source.switch(DEPLOY, on=False)

    assert (gone.result, lost.result) == (SwitchResult.NOT_FOUND, SwitchResult.NOT_KNOWN)


async def test_a_loop_starts_tasks_until_what_starts_them_is_stopped(source, ecs):
    ecs.loop(CLUSTER, "updates", every=0.02, lasts=0.05)
    found = ()
    while len(found) < 3:
        found = value(await source.runs(UPDATE, since=ago(hours=1)))
    ecs.stop_loop(CLUSTER, "updates")
    while any(run.phase is not Phase.ENDED for run in found):
        found = value(await source.runs(UPDATE, since=ago(hours=1)))

    assert {(run.conclusion, run.trigger) for run in found} == {(Conclusion.FAILED, "events-rule/dependency-bot")}


async def test_a_stopped_task_of_a_loop_stops_contending(source, ecs):
    contending = set()

    async def contend(started):
        contending.add(started.id)
        try:
            await asyncio.Event().wait()
        finally:
            contending.discard(started.id)

    ecs.loop(CLUSTER, "updates", every=60, contend=contend)
    found = ()
    while not found or not contending:
        found = value(await source.runs(UPDATE, since=ago(hours=1)))

    await source.cancel(found[0].ref, force=False)
    while contending:
        await source.run(found[0].ref)

    assert value(await source.run(found[0].ref)).conclusion is Conclusion.CANCELLED


async def test_without_a_desired_status_a_list_shows_only_what_is_to_run(ecs, task):
    stopped = ecs.runs.start_run(CLUSTER, "production")
    ecs.runs.finish(stopped.id)
    client = ecs_client(ecs.base_url, ecs.access_key)

    shown = await asyncio.to_thread(client.list_tasks, cluster=CLUSTER, family="production")
    client.close()

    assert [arn.rpartition("/")[2] for arn in shown["taskArns"]] == [task.id]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    cut=st.sampled_from([0, 0, 1, 2]) | st.integers(0, 2500),
    tail=st.sampled_from(["", "", "}", "}]}", '"STOPPED"', "\x00", ', "lastStatus": "STOPPED"}', '"}]}']),
    swap=st.sampled_from(
        [
            ("", ""),
            ('"RUNNING"', '"STOPPED"'),
            ('"RUNNING"', "null"),
            ('"RUNNING"', "5"),
            ('"containers"', '"boxes"'),
            ('"desiredStatus": "RUNNING"', '"desiredStatus": "STOPPED", "stoppedAt": 1795349130'),
            ('"createdAt": ', '"createdAt": -'),
        ]
    ),
)
async def test_no_cut_or_changed_answer_makes_a_running_task_ended_or_raises(make_source, ecs, cut, tail, swap):
    task = ecs.runs.start_run(CLUSTER, "production")
    body = json.dumps({"tasks": [ecs._task_json(task, with_tags=True)], "failures": []}).replace(*swap)
    ecs.answer_next("DescribeTasks", body=(body[: max(0, len(body) - cut)] + tail) or " ")

    seen = await make_source().run(ref_of(task))

    assert not (isinstance(seen, Found) and seen.value.phase is Phase.ENDED)
