"""Which URLs mean a build of the configured Jenkins. No request is ever made for it."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.jenkins.source import Jenkins
from bot.ci.jenkins.urls import job_of, job_path
from bot.core.run import Pipeline
from tests.worlds.ci.sources import Nobody, source_of

BASE = "https://jenkins.example.com"
NESTED = "http://ci.example.com:8080/jenkins"
DEPLOY, BRANCH, TOP = "infra/deploy", "infra/app/feature%2Fx", "plan all"


def pipeline(job, ci="jenkins"):
    return Pipeline(ci, (("job", job),))


@cache
def source(base):
    return source_of(Jenkins, Nobody(base), *map(pipeline, (DEPLOY, BRANCH, TOP)), pipeline("secret", "other"))


@pytest.mark.parametrize(
    ("base", "url", "job"),
    [
        (BASE, "https://jenkins.example.com/job/infra/job/deploy/123/", DEPLOY),
        (BASE, "https://jenkins.example.com:443/job/infra/job/deploy/123", DEPLOY),
        (BASE, "https://Jenkins.example.com/job/infra/job/deploy/123/console#x", DEPLOY),
        (BASE, "https://jenkins.example.com/job/infra/job/deploy/123/pipeline-overview/?selected-node=4", DEPLOY),
        (BASE, "https://jenkins.example.com/job/infra/job/deploy/123/display/redirect?page=changes", DEPLOY),
        (BASE, "https://jenkins.example.com/view/all/job/infra/view/x/job/deploy/123/", DEPLOY),
        (BASE, "https://jenkins.example.com/job/infra/job/app/job/feature%252Fx/123/", BRANCH),
        (BASE, "https://jenkins.example.com/job/plan%20all/123/", TOP),
        (BASE, "https://jenkins.example.com/blue/organizations/jenkins/infra%2Fdeploy/detail/deploy/123/", DEPLOY),
        (
            BASE,
            "https://jenkins.example.com/blue/organizations/jenkins/infra%2Fapp/detail/feature%2Fx/123/pipeline/",
            BRANCH,
        ),
        (NESTED, "http://ci.example.com:8080/jenkins/job/infra/job/deploy/123/", DEPLOY),
    ],
)
def test_pages_of_this_jenkins_mean_their_build(base, url, job):
    ref = source(base).ref_from_url(url)

    assert (ref.id, ref.url, ref.pipeline) == ("123", url, pipeline(job))


@pytest.mark.parametrize("base", [BASE, NESTED])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "123",
        "http://jenkins.example.com/job/infra/job/deploy/123/",
        "https://jenkins.example.com.evil.example/job/infra/job/deploy/123/",
        "https://evil.example/job/infra/job/deploy/123/",
        "https://jenkins.example.com@evil.example/job/infra/job/deploy/123/",
        "https://user@jenkins.example.com/job/infra/job/deploy/123/",
        "https://jenkins.example.com:444/job/infra/job/deploy/123/",
        "https://jenkins.example.com:port/job/infra/job/deploy/123/",
        "https://jenkins.example.com\\@evil.example/job/infra/job/deploy/123/",
        "https://jenkins.example.com/job/infra/job/deploy/",
        "https://jenkins.example.com/job/infra/job/deploy/lastBuild/",
        "https://jenkins.example.com/job/infra/job/deploy/0/",
        "https://jenkins.example.com/job/infra/job/other/123/",
        "https://jenkins.example.com/job/secret/123/",
        "https://jenkins.example.com/job/infra%2Fdeploy/123/",
        "https://jenkins.example.com/job/infra/job/../job/deploy/123/",
        "https://jenkins.example.com/job/infra/job/deploy/123/stop",
        "https://jenkins.example.com/job/infra/job/app/job/feature%2Fx/123/",
        "https://jenkins.example.com/job/infra/job/deploy/123 ",
        "https://jenkins.example.com/job/infra/job/deploy/\u0661",
        "https://jenkins.example.com/" + "job/a/" * 1000 + "123/",
        "https://[jenkins.example.com/job/infra/job/deploy/123/",
        "http://ci.example.com:8080/job/infra/job/deploy/123/",
        "http://ci.example.com:8080/jenkinsx/job/infra/job/deploy/123/",
    ],
)
def test_every_other_url_means_nothing(base, url):
    assert source(base).ref_from_url(url) is None


@given(url=st.text() | st.builds("https://jenkins.example.com/{}".format, st.text()))
def test_no_text_makes_the_reading_of_a_url_fail(url):
    ref = source(BASE).ref_from_url(url)

    assert ref is None or ref.pipeline.get("job") in {DEPLOY, BRANCH, TOP}


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("deploy", "/job/deploy"),
        ("infra/deploy", "/job/infra/job/deploy"),
        ("/infra/deploy/", "/job/infra/job/deploy"),
        ("infra/app/feature%2Fx", "/job/infra/job/app/job/feature%252Fx"),
        ("plan all", "/job/plan%20all"),
        ("a?b#c", "/job/a%3Fb%23c"),
    ],
)
def test_a_job_is_asked_for_under_its_escaped_path(job, path):
    assert job_path(job) == path
    assert job_of(f"https://elsewhere.example/root{path}/") == job.strip("/")


@pytest.mark.parametrize(
    "url", ["", "x", "https://x/", "https://x/job/a/12/", "https://x/job//a/", "https://[x/job/a/", "https://x/job/"]
)
def test_a_url_that_is_no_jobs_means_none(url):
    assert job_of(url) is None
