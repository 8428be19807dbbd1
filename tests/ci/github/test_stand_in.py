"""The stand-in keeps GitHub's documented habits: ranges, paging, caps, headers, refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from bot.core.joblog.reader import LogReader
from bot.sandbox.github.runs import log_of

REPO = "acme/infra"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNS = f"/repos/{REPO}/actions/workflows/deploy.yml/runs"


@pytest.fixture
async def api(github) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {github.token}"}
    async with httpx.AsyncClient(base_url=github.base_url, headers=headers, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("created", "hours"),
    [
        (">=2026-11-22T11:00:00Z", [12, 11]),
        (">2026-11-22T11:00:00Z", [12]),
        ("<=2026-11-22T10:00:00Z", [10, 9]),
        ("<2026-11-22T10:00:00Z", [9]),
        ("2026-11-22T10:00:00Z..2026-11-22T11:00:00Z", [11, 10]),
        ("*..2026-11-22T09:00:00Z", [9]),
        ("2026-11-22T12:00:00Z..*", [12]),
        ("2026-11-22", [12, 11, 10, 9]),
        ("2026-11-21", []),
    ],
)
async def test_created_takes_the_ranges_of_githubs_search_syntax(github, api, created, hours):
    for hour in (9, 10, 11, 12):
        github.runs.start_run(REPO, "deploy.yml", at=NOON.replace(hour=hour))

    answer = (await api.get(RUNS, params={"created": created})).json()

    shown = [datetime.fromisoformat(run["created_at"]).hour for run in answer["workflow_runs"]]
    assert (shown, answer["total_count"]) == (hours, len(hours))


async def test_an_unreadable_range_is_refused(github, api):
    github.runs.start_run(REPO, "deploy.yml")

    assert (await api.get(RUNS, params={"created": ">=yesterday"})).status_code == 422


async def test_runs_are_filtered_by_status_or_conclusion_branch_and_actor(github, api):
    run = github.runs.start_run(REPO, "deploy.yml", actor="quinn")
    github.runs.finish(run.id, "failure")
    github.runs.start_run(REPO, "deploy.yml", branch="side")

    async def count(**params):
        return (await api.get(RUNS, params=params)).json()["total_count"]

    assert await count() == 2
    assert (await count(status="failure"), await count(status="completed"), await count(status="in_progress")) == (
        1,
        1,
        1,
    )
    assert (await count(branch="side"), await count(actor="quinn"), await count(actor="nobody")) == (1, 1, 0)


async def test_pages_are_linked_and_a_filtered_list_ends_after_a_thousand(github, api):
    for minute in range(1005):
        github.runs.start_run(REPO, "deploy.yml", at=NOON - timedelta(minutes=minute))

    everything = await api.get(RUNS, params={"per_page": 100, "page": 11})
    tenth = await api.get(RUNS, params={"per_page": 100, "page": 10, "branch": "main"})
    eleventh = await api.get(RUNS, params={"per_page": 100, "page": 11, "branch": "main"})

    assert len(everything.json()["workflow_runs"]) == 5
    assert (len(tenth.json()["workflow_runs"]), tenth.json()["total_count"]) == (100, 1005)
    assert eleventh.json()["workflow_runs"] == []
    assert "next" not in tenth.links
    first = await api.get(RUNS)
    assert len(first.json()["workflow_runs"]) == 30
    assert (await api.get(first.links["next"]["url"])).json()["workflow_runs"][0]["run_number"] == 31


async def test_jobs_are_the_latest_attempts_unless_all_are_asked_for(github, api):
    run = github.runs.start_run(REPO, "deploy.yml", runner="a")
    github.runs.finish(run.id, "failure")
    github.runs.rerun(run.id, runner="b")

    async def runners(path, **params):
        return [job["runner_name"] for job in (await api.get(path, params=params)).json()["jobs"]]

    jobs = f"/repos/{REPO}/actions/runs/{run.id}/jobs"
    assert (await runners(jobs), await runners(jobs, filter="all")) == (["b"], ["a", "b"])
    assert await runners(f"/repos/{REPO}/actions/runs/{run.id}/attempts/1/jobs") == ["a"]


async def test_every_answer_counts_down_the_rate_limit_and_the_last_is_refused(github, api):
    github.remaining = 1

    last, refused = await api.get(RUNS), await api.get(RUNS)

    assert (last.status_code, last.headers["x-ratelimit-remaining"]) == (200, "0")
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert int(refused.headers["x-ratelimit-reset"]) > github.now().timestamp()


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic abc"])
async def test_a_bad_token_is_refused(api, token):
    assert (await api.get(RUNS, headers={"Authorization": token})).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/repos/acme/infra/actions/workflows/gone.yml/runs",
        "/repos/acme/other/actions/workflows/deploy.yml/runs",
        "/repos/acme/infra/actions/runs/1",
        "/repos/acme/other",
        "/nowhere",
    ],
)
async def test_what_is_not_there_is_not_found(api, path):
    assert (await api.get(path)).status_code == 404


async def test_the_clock_can_be_moved(github, api):
    github.offset = timedelta(hours=-3)
    github.runs.start_run(REPO, "deploy.yml")

    (run,) = (await api.get(RUNS)).json()["workflow_runs"]

    assert datetime.now(UTC) - datetime.fromisoformat(run["created_at"]) > timedelta(hours=2, minutes=59)


async def test_the_page_of_a_run_can_be_opened_without_a_token(github):
    run = github.runs.start_run(REPO, "deploy.yml", title="Deploy to staging")

    async with httpx.AsyncClient(trust_env=False) as visitor:
        page = await visitor.get(f"{github.base_url}/{REPO}/actions/runs/{run.id}")

    assert page.status_code == 200
    assert "Deploy to staging" in page.text
    assert "in_progress" in page.text


def test_the_log_of_a_lost_deployment_shows_the_state_that_it_was_at_work_on():
    begun = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)
    commands = ["terraform init -backend-config=bucket=acme -backend-config=key=staging.tfstate", "terraform apply"]
    work = [(begun + timedelta(seconds=9), "terraform_data.deployment: Creating...")]
    reader = LogReader()
    reader.feed(log_of(work, begun=begun, commands=commands).encode())

    (span,) = reader.close(is_whole=True).shows(begun + timedelta(seconds=8))

    assert span.state == "acme/staging.tfstate"
