"""Which URLs mean a pipeline of the configured GitLab. No request is ever made for it."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.gitlab.source import GitLab
from bot.core.run import Pipeline
from tests.worlds.ci.sources import Nobody, source_of

BASE = "https://gitlab.example.com/api/v4"
NESTED = "https://example.com:8443/gitlab/api/v4"
BASES = (BASE, NESTED)


@cache
def source(base):
    flat = Pipeline("gitlab", (("project", "acme/infra"), ("ref", "main")))
    deep = Pipeline("gitlab", (("project", "acme/cloud/network/core"),))
    foreign = Pipeline("other", (("project", "acme/secret"),))
    return source_of(GitLab, Nobody(base), flat, deep, foreign)


@pytest.mark.parametrize(
    ("base", "url", "project", "run_id"),
    [
        (BASE, "https://gitlab.example.com/acme/infra/-/pipelines/47", "acme/infra", "47"),
        (BASE, "https://gitlab.example.com:443/acme/infra/-/pipelines/47/", "acme/infra", "47"),
        (BASE, "https://GitLab.example.com/Acme/Infra/-/pipelines/47/jobs?x=1#y", "acme/infra", "47"),
        (BASE, "https://gitlab.example.com/acme/infra/pipelines/47", "acme/infra", "47"),
        (BASE, "https://gitlab.example.com/acme/infra/-/jobs/812", "acme/infra", "job:812"),
        (BASE, "https://gitlab.example.com/acme/infra/-/jobs/812/raw#L12", "acme/infra", "job:812"),
        (BASE, "https://gitlab.example.com/acme/infra/builds/812", "acme/infra", "job:812"),
        (BASE, "https://gitlab.example.com/acme/cloud/network/core/-/pipelines/47", "acme/cloud/network/core", "47"),
        (BASE, "https://gitlab.example.com/api/v4/projects/acme%2Finfra/pipelines/47", "acme/infra", "47"),
        (BASE, "https://gitlab.example.com/api/v4/projects/acme%2finfra/jobs/812/trace", "acme/infra", "job:812"),
        (NESTED, "https://example.com:8443/gitlab/acme/infra/-/pipelines/47", "acme/infra", "47"),
    ],
)
def test_pages_and_api_urls_of_this_gitlab_mean_their_pipeline_or_job(base, url, project, run_id):
    ref = source(base).ref_from_url(url)

    assert (ref.id, ref.url, ref.pipeline) == (run_id, url, Pipeline("gitlab", (("project", project),)))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "47",
        "http://gitlab.example.com/acme/infra/-/pipelines/47",
        "https://gitlab.example.com.evil.example/acme/infra/-/pipelines/47",
        "https://evil.example/gitlab.example.com/acme/infra/-/pipelines/47",
        "https://gitlab.example.com@evil.example/acme/infra/-/pipelines/47",
        "https://user@gitlab.example.com/acme/infra/-/pipelines/47",
        "https://gitlab.example.com:444/acme/infra/-/pipelines/47",
        "https://gitlab.example.com:port/acme/infra/-/pipelines/47",
        "https://gitlab.example.com\\@evil.example/acme/infra/-/pipelines/47",
        "https://gitlab.example.com/acme/other/-/pipelines/47",
        "https://gitlab.example.com/acme/secret/-/pipelines/47",
        "https://gitlab.example.com/acme/infra/-/pipelines/0",
        "https://gitlab.example.com/acme/infra/-/pipelines/latest",
        "https://gitlab.example.com/acme/infra/-/pipelines/47/../48",
        "https://gitlab.example.com/acme/infra/-/pipelines/47%2F..",
        "https://gitlab.example.com/acme/infra/-/merge_requests/47",
        "https://gitlab.example.com/acme/../acme/infra/-/pipelines/47",
        "https://gitlab.example.com/infra/-/pipelines/47",
        "https://gitlab.example.com//acme/infra/-/pipelines/47",
        "https://gitlab.example.com/acme/infra/-/pipelines/\u0664\u0667",
        "https://gitlab.example.com/acme/infra/-/pipelines/47 ",
        "https://gitlab.example.com/" + "a/" * 3000 + "-/pipelines/47",
        "https://[gitlab.example.com/acme/infra/-/pipelines/47",
    ],
)
def test_every_other_url_means_nothing(base, url):
    assert source(base).ref_from_url(url) is None


@given(url=st.text() | st.builds("https://gitlab.example.com/{}".format, st.text()))
def test_no_text_makes_the_reading_of_a_url_fail(url):
    ref = source(BASE).ref_from_url(url)

    assert ref is None or ref.pipeline.get("project") in {"acme/infra", "acme/cloud/network/core"}
