"""The stand-in keeps GitLab's documented habits: paging, hidden retries and children, scopes, limits, cancels."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from tests.worlds.ci.gitlab.server import GitLabStandIn


@pytest.fixture
async def gitlab():
    async with GitLabStandIn() as standing:
        standing.runs.add_project("acme/infra")
        yield standing


@pytest.fixture
async def api(gitlab):
    headers = {"PRIVATE-TOKEN": gitlab.token}
    base = f"{gitlab.base_url}/projects/acme%2Finfra"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


async def test_lists_have_twenty_entries_a_page_and_say_where_the_next_one_is(gitlab, api):
    for _ in range(25):
        gitlab.runs.start_pipeline("acme/infra")

    first = await api.get("/pipelines")
    second = await api.get(first.links["next"]["url"])

    assert (len(first.json()), first.headers["x-next-page"], first.headers["x-total"]) == (20, "2", "25")
    assert (len(second.json()), second.headers["x-next-page"], "next" in second.links) == (5, "", False)


async def test_retried_jobs_and_child_pipelines_are_hidden_unless_asked_for(gitlab, api):
    pipeline = gitlab.runs.start_pipeline("acme/infra")
    child = gitlab.runs.start_child(pipeline.id)
    gitlab.runs.finish(pipeline.id, "failed")
    gitlab.runs.retry(pipeline.id)

    jobs = f"/pipelines/{pipeline.id}/jobs"
    assert len((await api.get(jobs)).json()) == 1
    assert len((await api.get(jobs, params={"include_retried": "true"})).json()) == 2
    assert [each["id"] for each in (await api.get("/pipelines")).json()] == [pipeline.id]
    children = await api.get("/pipelines", params={"source": "parent_pipeline"})
    assert [each["id"] for each in children.json()] == [child.id]
    (bridge,) = (await api.get(f"/pipelines/{pipeline.id}/bridges")).json()
    assert bridge["downstream_pipeline"]["id"] == child.id


async def test_pipelines_are_filtered_by_status_ref_and_time(gitlab, api):
    old = gitlab.runs.start_pipeline("acme/infra", at=gitlab.now() - timedelta(hours=2))
    gitlab.runs.start_pipeline("acme/infra", "plans", queued=True)

    async def ids(**params):
        return [each["id"] for each in (await api.get("/pipelines", params=params)).json()]

    assert await ids(status="running") == await ids(ref="main") == [old.id]
    assert len(await ids(updated_after=(gitlab.now() - timedelta(hours=1)).isoformat())) == 1
    assert (await api.get("/pipelines", params={"status": "melting"})).status_code == 400


async def test_a_cancel_is_answered_with_200_even_when_the_pipeline_has_ended(gitlab, api):
    pipeline = gitlab.runs.start_pipeline("acme/infra")
    gitlab.runs.finish(pipeline.id, "failed")

    answer = await api.post(f"/pipelines/{pipeline.id}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "failed")


@pytest.mark.parametrize(("token", "status"), [("", 401), ("wrong", 401), ("sandbox-gitlab-narrow-token", 403)])
async def test_tokens_are_refused_for_what_they_lack(api, token, status):
    assert (await api.get("/pipelines", headers={"PRIVATE-TOKEN": token})).status_code == status


async def test_every_answer_counts_down_the_limit_and_the_last_is_refused(gitlab, api):
    gitlab.remaining = 1

    last, refused = await api.get("/pipelines"), await api.get("/pipelines")

    assert (last.status_code, last.headers["ratelimit-remaining"]) == (200, "0")
    assert (refused.status_code, "retry-after" in refused.headers) == (429, False)


@pytest.mark.parametrize("path", ["/pipelines/1", "/jobs/1", "/jobs/1/trace", "/pipelines/1/bridges"])
async def test_what_is_not_there_is_not_found(api, path):
    assert (await api.get(path)).status_code == 404


async def test_the_page_of_a_pipeline_can_be_opened_without_a_token(gitlab):
    pipeline = gitlab.runs.start_pipeline("acme/infra", title="Deploy to staging")

    async with httpx.AsyncClient(trust_env=False) as visitor:
        page = await visitor.get(f"{gitlab.origin}/acme/infra/-/pipelines/{pipeline.id}")

    assert (page.status_code, "Deploy to staging" in page.text, "running" in page.text) == (200, True, True)
