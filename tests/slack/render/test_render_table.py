"""A lock table in trouble, in words: throttling is the table's trouble and never a lock's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.gate.inspection import Crowd, StateName
from bot.core.gate.stages import UnlockStage
from bot.core.lock import (
    Billing,
    LockPlace,
    LockSeen,
    PlaceKind,
    Refusals,
    TableCapacity,
    TableSeen,
    TimeToLive,
)
from bot.core.reports.report import Overview, StatusReport
from bot.core.reports.unlock import UnlockReport
from bot.slack.render import overview_message, status_message, unlock_message
from bot.slack.render.plain import overview_lines, status_lines, to_json

LATELY = timedelta(minutes=5)


@pytest.fixture
def table(scene):
    return TableSeen(
        name="acme-tf-locks",
        capacity=Found(TableCapacity(Billing.PROVISIONED, 5, 1, "ACTIVE"), scene.now),
        ttl=Found(TimeToLive(enabled=False), scene.now),
        refused=Found(Refusals(0, 12, LATELY), scene.now),
    )


@pytest.fixture
def denied(scene):
    detail = "CloudWatch denies cloudwatch:GetMetricData on table acme-tf-locks"
    return Unseen("CloudWatch", Trouble.DENIED, detail, scene.now)


@pytest.fixture
def mute(scene):
    detail = "DynamoDB throttles dynamodb:GetItem on table acme-tf-locks (ProvisionedThroughputExceededException)"
    why = Unseen("DynamoDB", Trouble.THROTTLED, detail, scene.now)
    return LockSeen((), (), ((PlaceKind.ITEM, why),), scene.now)


@pytest.fixture
def throttled(scene, table, mute):
    return replace(scene.inspection(mute), table=table)


def told(inspection):
    return "\n".join(status_lines(StatusReport(inspection, None)))


def test_a_throttled_read_is_told_as_a_throttled_table_and_what_to_do(throttled, sound, written, snapshot):
    message = status_message(StatusReport(throttled, None))

    sound(message)
    assert written(message) == snapshot
    assert told(throttled) == snapshot
    assert "DynamoDB is throttling the lock table of staging" in message.text


def test_a_readable_lock_on_a_table_that_refused_others_is_still_told_first(scene, table):
    words = told(replace(scene.inspection(), table=table))

    assert words.startswith("■ staging is locked")
    assert "12 requests were refused in the last 5 min (12 to write)" in words
    assert "PROVISIONED with 5 read units and 1 write unit" in words
    assert "47 runs want it" in words


def test_a_table_without_trouble_is_not_mentioned(scene, table):
    calm = replace(table, refused=Found(Refusals(0, 0, LATELY), scene.now))

    assert told(replace(scene.inspection(), table=calm)) == told(scene.inspection())


def test_a_part_that_nobody_may_look_at_is_said_and_hides_not_the_others(throttled, table, denied):
    words = told(replace(throttled, table=replace(table, refused=denied)))

    assert "it refused our own request (we don't know how many others: CloudWatch denies" in words
    assert "PROVISIONED with 5 read units and 1 write unit" in words


def test_an_unknown_capacity_is_said_with_its_reason(throttled, table, denied):
    words = told(replace(throttled, table=replace(table, capacity=denied)))

    assert "its capacity could not be read: CloudWatch denies" in words
    assert "12 requests were refused" in words


def test_a_throttled_table_on_demand_is_not_to_be_switched_to_on_demand(scene, throttled, table):
    on_demand = Found(TableCapacity(Billing.ON_DEMAND, 0, 0, "ACTIVE"), scene.now)

    words = told(replace(throttled, table=replace(table, capacity=on_demand)))

    assert "it is on demand (PAY_PER_REQUEST)" in words
    assert "switch the table" not in words


def test_the_crowd_of_all_states_on_the_table_is_counted_with_their_loops(scene, throttled):
    crowd = Crowd(("staging", "dev", "qa", "perf"), scene.contenders(49), (("dev", scene.loop),))
    lonely = replace(throttled, contention=scene.inspection(contended=False).contention)

    words = told(replace(lonely, crowd=crowd))

    assert "49 runs want it across the states that share it (staging, dev, qa and 1 more)" in words
    assert "Loop on the same table:" in words
    assert "Stop it: /tflock kill-job dev (in Slack)" in words


def test_a_ttl_is_a_warning_that_names_its_attribute_and_what_it_does(scene, table):
    forgetful = replace(
        table,
        ttl=Found(TimeToLive(enabled=True, attribute="expires_at"), scene.now),
        refused=Found(Refusals(0, 0, LATELY), scene.now),
    )

    words = told(replace(scene.inspection(), table=forgetful))

    assert "! Lock table: acme-tf-locks deletes items automatically (TTL by expires_at)" in words
    assert "deleted under a running apply" in words
    assert "Not a lock problem" not in words


def test_a_request_to_unlock_tells_the_tables_trouble_too(scene, mute, table, written):
    file = LockPlace(PlaceKind.FILE, "s3://acme-tfstate/x.tflock", "fence", scene.lock)
    inspection = replace(scene.inspection(replace(mute, held=(file,))), table=table)
    report = UnlockReport(scene.unlock_request, UnlockStage.CHECKED, inspection, scene.verdict(inspection))

    words = written(unlock_message(report))

    assert "the lock table is throttled, so the lock can't be read" in words
    assert "12 requests were refused" in words
    assert "can't be unlocked yet" in words


def test_the_overview_calls_it_throttled_too(scene, mute, written):
    overview = Overview(((StateName("staging", "", protected=False), mute),), scene.now)

    assert "lock table throttled" in written(overview_message(overview))
    assert "its lock table is throttled" in "\n".join(overview_lines(overview))


def test_the_document_has_each_part_with_whether_it_was_seen(scene, throttled, table, denied):
    crowd = Crowd(("staging", "dev"), scene.contenders(2), (("dev", scene.loop),), (denied,))
    inspection = replace(throttled, table=replace(table, ttl=denied), crowd=crowd)

    document = to_json(StatusReport(inspection, None))["table"]

    assert (document["name"], document["throttled"]) == ("acme-tf-locks", True)
    assert document["capacity"] == {
        "seen": True,
        "billing": "PROVISIONED",
        "read_units": 5,
        "write_units": 1,
        "status": "ACTIVE",
    }
    assert document["ttl"] == {
        "seen": False,
        "system": "CloudWatch",
        "trouble": "denied",
        "detail": denied.detail,
    }
    assert document["refused"] == {"seen": True, "reads": 0, "writes": 12, "within_seconds": 300.0}
    assert (len(document["crowd"]["active"]), document["crowd"]["loops"][0]["state"]) == (2, "dev")
    assert to_json(StatusReport(scene.inspection(), None))["table"] is None
