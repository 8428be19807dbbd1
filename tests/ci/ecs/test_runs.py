"""ECS's words row by row (states, stop codes, exit codes), and that nothing odd ever makes a task ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.ecs.runs import family_of, host_of, run_from, source_of, with_job
from bot.core.run import Conclusion, Phase, Pipeline
from bot.http.client import Failed
from tests.worlds.odd import anything, mangled

PIPELINE = Pipeline("ecs", (("cluster", "terraform"), ("family", "production")))
CREATED = datetime(2024, 11, 21, 18, 0, tzinfo=UTC)
STARTED, STOPPED = CREATED + timedelta(minutes=1), CREATED + timedelta(minutes=15)
GOING_ON = {
    "PROVISIONING": Phase.WAITING,
    "PENDING": Phase.WAITING,
    "ACTIVATING": Phase.RUNNING,
    "RUNNING": Phase.RUNNING,
    "DEACTIVATING": Phase.ENDING,
    "STOPPING": Phase.ENDING,
    "DEPROVISIONING": Phase.ENDING,
}
NETWORK = [
    {"name": "subnetId", "value": "subnet-1"},
    {"name": "privateDnsName", "value": "ip-10-0-1-23.eu-west-1.compute.internal"},
    {"name": "privateIPv4Address", "value": "10.0.1.23"},
]


def container(**changes):
    return {"name": "terraform", "lastStatus": "STOPPED", "exitCode": 1, **changes}


def task(**changes):
    return {
        "taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/terraform/0123456789abcdef0123456789abcdef",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/production:7",
        "attachments": [{"type": "ElasticNetworkInterface", "details": NETWORK}],
        "containers": [container()],
        "createdAt": CREATED,
        "startedAt": STARTED,
        "stoppedAt": STOPPED,
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "startedBy": "events-rule/deploy-nightly",
        "group": "family:production",
        "tags": [{"key": "Actor", "value": "quinn"}],
        **changes,
    }


def going(status, **changes):
    return task(
        lastStatus=status,
        **{"desiredStatus": "RUNNING", "stoppedAt": None, "stopCode": None, "containers": [], **changes},
    )


def run(body):
    return run_from(body, PIPELINE, "https://example.com/task")


def test_a_documented_task_is_read_whole():
    seen = with_job(run(task()), task())

    assert (seen.ref.id, seen.title) == ("0123456789abcdef0123456789abcdef", "production:7")
    assert (seen.actor, seen.trigger) == ("quinn", "events-rule/deploy-nightly")
    assert (seen.created_at, seen.started_at, seen.ended_at) == (CREATED, STARTED, STOPPED)
    assert (seen.phase, seen.conclusion, seen.attempt) == (Phase.ENDED, Conclusion.FAILED, 1)
    assert seen.reported == ("STOPPED, EssentialContainerExited, Essential container in task exited, terraform: exit 1")
    (job,) = seen.jobs
    assert (job.id, job.name, job.host) == (seen.ref.id, "terraform", "ip-10-0-1-23.eu-west-1.compute.internal")
    assert (job.phase, job.conclusion, job.started_at, job.ended_at) == (
        Phase.ENDED,
        Conclusion.FAILED,
        STARTED,
        STOPPED,
    )


@pytest.mark.parametrize(("status", "phase"), GOING_ON.items())
def test_every_status_but_stopped_still_goes_on_even_with_exit_codes_and_a_time(status, phase):
    waiting = going(status, startedAt=None)
    odd = task(lastStatus=status, desiredStatus="RUNNING")

    assert (run(waiting).phase, run(waiting).conclusion) == (phase, None)
    assert run(odd).phase is (Phase.RUNNING if phase is Phase.WAITING else phase)
    assert (run(odd).conclusion, run(odd).ended_at) == (None, None)


@pytest.mark.parametrize("status", GOING_ON)
def test_a_desired_stop_is_only_intent(status):
    assert run(going(status, desiredStatus="STOPPED")).phase is Phase.ENDING


@pytest.mark.parametrize(
    "begun",
    [
        {"startedAt": STARTED},
        {"pullStartedAt": CREATED},
        {"containers": [container(lastStatus="RUNNING", exitCode=None)]},
    ],
)
def test_a_pending_task_whose_first_container_may_run_is_not_merely_waiting(begun):
    assert run(going("PENDING", **{"startedAt": None, **begun})).phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("changes", "conclusion"),
    [
        ({"containers": [container(exitCode=0)]}, Conclusion.SUCCESS),
        ({"containers": [container(exitCode=1)]}, Conclusion.FAILED),
        ({"containers": [container(exitCode=137)]}, Conclusion.FAILED),
        ({"containers": [container(exitCode=0), container(exitCode=1)]}, Conclusion.FAILED),
        ({"containers": [container(exitCode=0), container(exitCode=None)]}, Conclusion.LOST),
        ({"containers": [container(exitCode=None, reason="OutOfMemoryError")]}, Conclusion.LOST),
        ({"containers": [{"name": "terraform", "lastStatus": "STOPPED"}]}, Conclusion.LOST),
        ({"containers": [container(exitCode="0")]}, Conclusion.LOST),
        ({"containers": [container(exitCode=False)]}, Conclusion.LOST),
        ({"containers": [container(exitCode=0.0)]}, Conclusion.LOST),
        ({"containers": []}, Conclusion.LOST),
        ({"stopCode": "UserInitiated"}, Conclusion.CANCELLED),
        ({"stopCode": "UserInitiated", "containers": [container(exitCode=None)]}, Conclusion.CANCELLED),
        ({"stopCode": "ServiceSchedulerInitiated"}, Conclusion.CANCELLED),
        ({"stopCode": "SpotInterruption", "containers": [container(exitCode=None)]}, Conclusion.LOST),
        ({"stopCode": "TerminationNotice", "containers": [container(exitCode=None)]}, Conclusion.LOST),
        ({"stopCode": "InfrastructureHealth", "containers": [container(exitCode=None)]}, Conclusion.LOST),
        ({"stopCode": "SomethingNew", "containers": [container(exitCode=None)]}, Conclusion.LOST),
        ({"stopCode": "TaskFailedToStart", "containers": [container(exitCode=None)]}, Conclusion.LOST),
        ({"stopCode": "TaskFailedToStart", "startedAt": None, "containers": [container()]}, Conclusion.FAILED),
        (
            {"stopCode": "TaskFailedToStart", "startedAt": None, "containers": [container(exitCode=None)]},
            Conclusion.SKIPPED,
        ),
        (
            {
                "stopCode": "TaskFailedToStart",
                "startedAt": None,
                "containers": [container(exitCode=0), container(exitCode=None)],
            },
            Conclusion.LOST,
        ),
    ],
)
def test_how_a_stopped_task_ended_takes_a_number_from_every_container(changes, conclusion):
    seen = run(task(**changes))

    assert (seen.phase, seen.conclusion, seen.ended_at) == (Phase.ENDED, conclusion, STOPPED)


@pytest.mark.parametrize(
    "changes",
    [
        {"lastStatus": "stopped"},
        {"lastStatus": "DELETED"},
        {"lastStatus": ["STOPPED"]},
        {"lastStatus": None},
        {"stoppedAt": None},
        {"stoppedAt": "2024-11-21T18:15:00Z"},
        {"stoppedAt": datetime(2024, 11, 21, 18, 15)},  # noqa: DTZ001 - that is the case
        {"containers": None},
        {"containers": {}},
        {"containers": [None]},
        {"containers": [container(lastStatus="RUNNING")]},
        {"containers": [container(), container(lastStatus="PENDING")]},
        {"containers": [container(lastStatus=None)]},
        {"stoppedReason": "Container instance deregistered forcibly by user"},
    ],
)
def test_a_stopped_task_of_which_something_does_not_fit_is_not_known(changes):
    seen = run(task(**changes))

    assert (seen.phase, seen.conclusion, seen.ended_at) == (Phase.UNKNOWN, None, None)


@pytest.mark.parametrize("changes", [{"taskArn": None}, {"taskArn": 5}, {"createdAt": None}, {"createdAt": 5}])
def test_a_task_without_its_arn_or_time_is_garbled(changes):
    with pytest.raises(Failed):
        run(task(**changes))


def test_instants_of_another_zone_are_read_as_utc():
    zone = timezone(timedelta(hours=2))

    assert run(task(createdAt=CREATED.astimezone(zone))).created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("attachments", "host"),
    [
        ([{"details": NETWORK}], "ip-10-0-1-23.eu-west-1.compute.internal"),
        ([{"details": NETWORK[2:]}], "ip-10-0-1-23"),
        ([{"details": NETWORK[:1]}], None),
        ([{"details": [{"name": "privateDnsName", "value": ""}, NETWORK[2]]}], "ip-10-0-1-23"),
        ([{"details": "odd"}, None], None),
        ([], None),
        (None, None),
    ],
)
def test_the_host_is_the_name_of_the_tasks_own_network_interface(attachments, host):
    assert host_of(task(attachments=attachments)) == host


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({}, "the EventBridge rule deploy-nightly: disable that rule"),
        ({"startedBy": "chronos-schedule/nightly"}, "the EventBridge schedule nightly: disable that schedule"),
        (
            {"startedBy": "ecs-svc/9223370545345641169", "group": "service:runner"},
            "the ECS service runner: set its desired count to 0",
        ),
        ({"startedBy": "jenkins/deploy"}, "jenkins/deploy: stop them there"),
        ({"startedBy": None}, None),
        ({"startedBy": 5}, None),
    ],
)
def test_what_starts_the_tasks_is_named_with_what_to_do(changes, source):
    assert source_of(task(**changes)) == source


@pytest.mark.parametrize(
    ("arn", "family"),
    [
        ("arn:aws:ecs:eu-west-1:123456789012:task-definition/production:7", "production"),
        ("arn:aws:ecs:eu-west-1:123456789012:task-definition/production", ""),
        (None, ""),
    ],
)
def test_the_family_is_read_from_the_task_definition(arn, family):
    assert family_of(task(taskDefinitionArn=arn)) == family


ANYTHING = anything(
    *GOING_ON,
    "STOPPED",
    "UserInitiated",
    "TaskFailedToStart",
    STOPPED,
    more=st.datetimes() | st.datetimes(timezones=st.just(UTC)),
)


@given(
    body=mangled(task(lastStatus="RUNNING", desiredStatus="RUNNING", stoppedAt=None), ANYTHING),
    part=mangled(container(lastStatus="RUNNING", exitCode=None), ANYTHING),
    with_part=st.booleans(),
)
def test_only_a_stopped_task_with_a_time_and_stopped_containers_is_ended(body, part, with_part):
    if with_part:
        body = {**body, "containers": [part]}
    try:
        seen = with_job(run(body), body)
    except Failed:
        return

    if seen.phase is Phase.ENDED:
        assert body["lastStatus"] == "STOPPED"
        assert seen.ended_at is not None
        assert all(one.get("lastStatus", "STOPPED") == "STOPPED" for one in body["containers"]) or not body.get(
            "startedAt"
        )
        codes = [one.get("exitCode") for one in body["containers"]]
        assert seen.conclusion is not Conclusion.SUCCESS or (codes and all(code == 0 for code in codes))
