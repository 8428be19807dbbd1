"""Which URLs mean a build of the configured Azure DevOps. No request is ever made for it."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.azure.source import AzureDevOps
from bot.core.run import Pipeline
from tests.worlds.ci.sources import Nobody, source_of

CLOUD = "https://dev.azure.com/acme"
SERVER = "https://tfs.example.com:8443/tfs/DefaultCollection"
LOCAL = "http://127.0.0.1:4567/acme"
BASES = (CLOUD, SERVER, LOCAL)
GOOD = "https://dev.azure.com/acme/infra/_build/results?buildId=123"


@cache
def source(base):
    mine = [
        Pipeline("azure", (("project", project), ("definition", "42"))) for project in ("infra", "Platform Team (EU)")
    ]
    foreign = Pipeline("other", (("project", "secret"), ("definition", "42")))
    return source_of(AzureDevOps, Nobody(base), *mine, foreign)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (CLOUD, GOOD),
        (CLOUD + "/", GOOD),
        (CLOUD, GOOD + "&view=results"),
        (CLOUD, GOOD + "&view=logs&j=12f1170f-54f2-53f3-20dd-22fc7dff55f9&t=1#x"),
        (CLOUD, "https://dev.azure.com/acme/infra/_build/results?view=results&buildId=123"),
        (CLOUD, "https://dev.azure.com/acme/infra/_build?buildId=123"),
        (CLOUD, "https://dev.azure.com/acme/infra/_build/index?buildid=123"),
        (CLOUD, "https://DEV.azure.com:443/Acme/INFRA/_build/results?buildId=123"),
        (CLOUD, "https://acme.visualstudio.com/infra/_build/results?buildId=123"),
        (CLOUD, "https://acme.visualstudio.com/DefaultCollection/infra/_build/results?buildId=123"),
        (CLOUD, "https://dev.azure.com/acme/infra/_apis/build/Builds/123"),
        (CLOUD, "https://dev.azure.com/acme/infra/_apis/build/builds/123?api-version=7.1"),
        (SERVER, "https://tfs.example.com:8443/tfs/DefaultCollection/infra/_build/results?buildId=123"),
        (SERVER, "https://tfs.example.com:8443/tfs/defaultcollection/infra/_apis/build/builds/123"),
        (LOCAL, "http://127.0.0.1:4567/acme/infra/_build/results?buildId=123"),
    ],
)
def test_pages_and_api_urls_of_this_azure_devops_mean_their_build(base, url):
    ref = source(base).ref_from_url(url)

    assert (ref.id, ref.url) == ("123", url)
    assert ref.pipeline == Pipeline("azure", (("project", "infra"),))


def test_the_name_of_a_project_may_have_spaces_and_brackets():
    url = "https://dev.azure.com/acme/Platform%20Team%20(EU)/_build/results?buildId=9"

    assert source(CLOUD).ref_from_url(url).pipeline.get("project") == "Platform Team (EU)"


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "123",
        "http://dev.azure.com/acme/infra/_build/results?buildId=123",
        "https://dev.azure.com/other/infra/_build/results?buildId=123",
        "https://dev.azure.com/acme2/infra/_build/results?buildId=123",
        "https://dev.azure.com/infra/_build/results?buildId=123",
        "https://dev.azure.com.evil.example/acme/infra/_build/results?buildId=123",
        "https://dev.azure.com@evil.example/acme/infra/_build/results?buildId=123",
        "https://user@dev.azure.com/acme/infra/_build/results?buildId=123",
        "https://dev.azure.com:444/acme/infra/_build/results?buildId=123",
        "https://dev.azure.com:port/acme/infra/_build/results?buildId=123",
        "https://evil.visualstudio.com/infra/_build/results?buildId=123",
        "https://acme.visualstudio.com.evil.example/infra/_build/results?buildId=123",
        "https://dev.azure.com/acme/secret/_build/results?buildId=123",
        "https://dev.azure.com/acme/other/_build/results?buildId=123",
        "https://dev.azure.com/acme/6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c/_build/results?buildId=123",
        "https://dev.azure.com/acme/infra/_build/results",
        "https://dev.azure.com/acme/infra/_build/results?buildId=",
        "https://dev.azure.com/acme/infra/_build/results?buildId=0",
        "https://dev.azure.com/acme/infra/_build/results?buildId=-1",
        "https://dev.azure.com/acme/infra/_build/results?buildId=12a",
        "https://dev.azure.com/acme/infra/_build/results?buildId=1&buildId=2",
        "https://dev.azure.com/acme/infra/_build/results?buildId=1&BUILDID=2",
        "https://dev.azure.com/acme/infra/_build/results?buildId=%D9%A1",
        "https://dev.azure.com/acme/infra/_build/results/../../../secret?buildId=123",
        "https://dev.azure.com/acme/../secret/_build/results?buildId=123",
        "https://dev.azure.com/acme/%2e%2e/_build/results?buildId=123",
        "https://dev.azure.com/acme/infra%2Fsecret/_build/results?buildId=123",
        "https://dev.azure.com/acme/%ff/_build/results?buildId=123",
        "https://dev.azure.com/acme/infra/_release?releaseId=123",
        "https://dev.azure.com/acme//infra/_build/results?buildId=123",
        "https://dev.azure.com\\@evil.example/acme/infra/_build/results?buildId=123",
        "https://dev.azure.com/acme/infra/_build/results?buildId=123\n",
        " https://dev.azure.com/acme/infra/_build/results?buildId=123",
        "//dev.azure.com/acme/infra/_build/results?buildId=123",
        "https://[::1/acme/infra/_build/results?buildId=123",
        "https://dev.azure.com/acme/infra/_build/results?buildId=" + "9" * 5000,
        "https://127.0.0.1:4567/acme/infra/_build/results?buildId=123",
        "https://tfs.example.com/tfs/DefaultCollection/infra/_build/results?buildId=123",
    ],
)
def test_other_urls_mean_nothing(base, url):
    assert source(base).ref_from_url(url) is None


PIECES = (
    "https:",
    "/",
    "//",
    "\\",
    "@",
    "dev.azure.com",
    "evil.example",
    "acme",
    "infra",
    "secret",
    "_build",
    "results",
)
MORE = ("?buildId=", "&buildId=", "123", "_apis/build/builds", "..", "%2f", "%20", "#", "127.0.0.1", ":4567", "\n")


@given(
    base=st.sampled_from(BASES),
    url=st.text()
    | st.lists(st.sampled_from((*PIECES, *MORE))).map("".join)
    | st.text().map(lambda tail: GOOD + tail)
    | st.text().map(lambda middle: f"https://{middle}dev.azure.com/acme/infra/_build/results?buildId=123"),
)
def test_no_text_ever_raises_or_leads_outside_the_configured_projects(base, url):
    ref = source(base).ref_from_url(url)

    if ref is not None:
        assert ref.id.isascii()
        assert ref.id.isdigit()
        assert ref.pipeline.get("project") in {"infra", "Platform Team (EU)"}
        assert url.lower().startswith((base.lower() + "/", "https://acme.visualstudio.com/"))
