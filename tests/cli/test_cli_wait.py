"""`wait`: pipelines queue for a state instead of failing on its lock."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from bot.cli.wait import timeout_of
from bot.sandbox.machine.aws import WrittenLock
from tests.worlds.proxy import Deny
from tests.worlds.slack.workspace import FullWorkspace

KEY = "environments/staging/terraform.tfstate"


@pytest.fixture
def started(around):
    """A run at work since some minutes ago."""

    def started(ago):
        at = datetime.now(UTC) - timedelta(minutes=ago)
        return around.github.runs.start_run("acme/infra", "deploy.yml", at=at, actor="elliott-ci")

    return started


@pytest.fixture
def job_of(around):
    """The variables of a job of a run."""
    return lambda run: {
        "GITHUB_SERVER_URL": around.github.base_url,
        "GITHUB_REPOSITORY": "acme/infra",
        "GITHUB_RUN_ID": str(run.id),
    }


async def taken(around):
    path = f"{around.aws.bucket}/{KEY}"
    lock = WrittenLock(secrets.token_hex(16), datetime.now(UTC), path)
    await around.aws.hold(KEY, lock.text, item=True, file=False)
    return lock


async def test_a_free_state_without_runs_is_free_at_once(terminal):
    ended = await terminal.run("wait", "staging", "--timeout", "2m")

    assert ended.code == 0
    assert ended.out == ""
    assert "staging is free" in ended.err


async def test_a_lock_is_waited_for_until_the_time_is_over_and_is_left_alone(around, terminal):
    lock = await taken(around)

    ended = await terminal.run("wait", "staging", "--timeout", "6s")

    assert ended.code == 3
    assert "waiting: locked by runner@fv-az881-525" in ended.err
    assert "timed out after 6 s" in ended.err
    assert (await around.aws.lock_ids(KEY))["item"] == lock.id


async def test_wait_returns_when_the_lock_goes(around, terminal):
    lock = await taken(around)
    waiting = asyncio.create_task(terminal.run("wait", "staging", "--timeout", "2m"))
    await FullWorkspace.wait_for(lambda: len(around.proxy.calls("dynamodb:GetItem")) > 1, 60)
    assert not waiting.done()

    await around.aws.delete_item(lock.path)

    assert (await waiting).code == 0


@pytest.mark.parametrize("ago", [1, 30])
async def test_a_run_at_work_is_waited_for_though_the_lock_is_free(around, terminal, started, job_of, ago):
    own, other = started(10), started(ago)

    held_up = await terminal.run("wait", "staging", "--timeout", "2s", **job_of(own))
    around.github.runs.finish(other.id, "success")
    free = await terminal.run("wait", "staging", "--timeout", "2m", **job_of(own))

    assert held_up.code == 3
    assert f"#{other.id} is running" in held_up.err
    assert free.code == 0


async def test_the_run_that_asks_does_not_wait_for_itself_but_anybody_else_does(terminal, started, job_of):
    own = started(10)

    assert (await terminal.run("wait", "staging", "--timeout", "2m", **job_of(own))).code == 0
    assert (await terminal.run("wait", "staging", "--timeout", "1s")).code == 3


async def test_a_ci_system_that_cannot_be_reached_is_never_taken_for_free(around, terminal):
    around.github.answer_next("/runs", status=502, times=100)

    ended = await terminal.run("wait", "staging", "--timeout", "2s")

    assert ended.code == 3
    assert "could not be read" in ended.err


async def test_what_will_never_be_answered_fails_at_once(around, terminal):
    around.proxy.fault("dynamodb:GetItem", Deny())

    ended = await terminal.run("wait", "staging", "--timeout", "10m")

    assert ended.code == 1


async def test_an_unknown_state_and_a_wrong_timeout_are_usage_errors(terminal):
    unknown = await terminal.run("wait", "stagin")
    wrong = await terminal.run("wait", "staging", "--timeout", "soon")

    assert (unknown.code, wrong.code) == (2, 2)
    assert "Did you mean staging?" in unknown.err
    assert "--timeout must be a whole number with its unit" in wrong.err


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("0s", 0)])
def test_a_timeout_is_a_number_with_its_unit(text, seconds):
    assert timeout_of(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "1.5h", "5 m", "9" * 20 + "s"])
def test_any_other_timeout_is_refused(text):
    with pytest.raises(ValueError, match="whole number"):
        timeout_of(text)
