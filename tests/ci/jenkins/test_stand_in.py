"""The stand-in keeps Jenkins' habits: `tree` and its ranges, the queue, crumbs, rights, redirects after a POST."""

from __future__ import annotations

import httpx
import pytest

from tests.worlds.ci.jenkins.server import JenkinsStandIn

JOB = "/job/infra/job/deploy"


@pytest.fixture
async def jenkins():
    async with JenkinsStandIn() as standing:
        standing.runs.add_job("infra/deploy")
        yield standing


@pytest.fixture
async def api(jenkins):
    auth = (jenkins.user, jenkins.token)
    async with httpx.AsyncClient(base_url=jenkins.base_url, auth=auth, trust_env=False) as client:
        yield client


async def test_a_tree_leaves_what_it_names_in_the_range_that_it_gives(jenkins, api):
    for _ in range(5):
        jenkins.runs.start_build("infra/deploy")

    tree = "builds[number,actions[causes[userId]]]{1,3}"
    body = (await api.get(f"{JOB}/api/json", params={"tree": tree})).json()

    assert [build["number"] for build in body["builds"]] == [4, 3]
    assert set(body["builds"][0]) == {"_class", "number", "actions"}
    assert body["builds"][0]["actions"][0]["causes"] == [
        {"_class": "hudson.model.Cause$UserIdCause", "userId": "quinn"}
    ]


async def test_builds_are_the_newest_hundred_and_all_builds_are_all(jenkins, api):
    for _ in range(105):
        jenkins.runs.start_build("infra/deploy")

    body = (await api.get(f"{JOB}/api/json", params={"tree": "builds[number],allBuilds[number]"})).json()

    assert (len(body["builds"]), len(body["allBuilds"]), body["builds"][0]["number"]) == (100, 105, 105)


async def test_an_item_waits_in_the_queue_until_it_is_a_build(jenkins, api):
    item = jenkins.runs.queue("infra/deploy")

    assert [each["id"] for each in (await api.get("/queue/api/json")).json()["items"]] == [item.id]
    build = jenkins.runs.begin(item.id)
    assert (await api.get("/queue/api/json")).json()["items"] == []
    left = (await api.get(f"/queue/item/{item.id}/api/json")).json()
    assert (left["cancelled"], left["executable"]["number"]) == (False, build.number)


@pytest.mark.parametrize("verb", ["stop", "term", "kill"])
async def test_a_post_is_answered_with_a_redirect_even_when_the_build_has_ended(jenkins, api, verb):
    build = jenkins.runs.start_build("infra/deploy")
    jenkins.runs.finish(build, "FAILURE")

    assert (await api.post(f"{JOB}/{build.number}/{verb}")).status_code == 302
    assert build.result == "FAILURE"


async def test_a_crumb_is_wanted_if_so_set_up(jenkins, api):
    jenkins.wants_crumb = True

    refused = await api.post(f"{JOB}/disable")
    crumb = (await api.get("/crumbIssuer/api/json")).json()
    taken = await api.post(f"{JOB}/disable", headers={crumb["crumbRequestField"]: crumb["crumb"]})

    assert (refused.status_code, "No valid crumb" in refused.text, taken.status_code) == (403, True, 302)


async def test_a_reader_may_read_and_nobody_else_may(jenkins, api):
    reader = (jenkins.reader, jenkins.token)

    assert (await api.get(f"{JOB}/api/json", auth=reader)).status_code == 200
    assert (await api.post(f"{JOB}/disable", auth=reader)).status_code == 403
    assert (await api.get(f"{JOB}/api/json", auth=("nobody", "x"))).status_code == 401


@pytest.mark.parametrize(
    "path", ["/job/gone/api/json", f"{JOB}/7/api/json", f"{JOB}/7/consoleText", "/queue/item/1/api/json", "/x/"]
)
async def test_what_is_not_there_is_not_found(api, path):
    assert (await api.get(path)).status_code == 404


async def test_the_page_of_a_build_can_be_opened_without_a_login(jenkins):
    build = jenkins.runs.start_build("infra/deploy")

    async with httpx.AsyncClient(trust_env=False) as visitor:
        page = await visitor.get(f"{jenkins.base_url}{JOB}/{build.number}/")

    assert (page.status_code, "infra/deploy #1" in page.text) == (200, True)
