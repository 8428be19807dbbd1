"""Which URLs mean a run of the configured GitHub. No request is ever made for it."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.github.source import GitHubActions
from bot.core.run import Pipeline
from tests.worlds.ci.sources import Nobody, source_of

CLOUD = "https://api.github.com"
ENTERPRISE = "https://ghe.example.com:8443/api/v3"
LOCAL = "http://127.0.0.1:4567"
BASES = (CLOUD, ENTERPRISE, LOCAL)
GOOD = "https://github.com/acme/infra/actions/runs/123"


@cache
def source(base):
    pipeline = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")))
    foreign = Pipeline("other", (("repo", "acme/secret"), ("workflow", "deploy.yml")))
    return source_of(GitHubActions, Nobody(base), pipeline, foreign)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (CLOUD, GOOD),
        (CLOUD, "https://github.com:443/acme/infra/actions/runs/123"),
        (CLOUD, "https://GitHub.com/Acme/INFRA/actions/runs/123/"),
        (CLOUD, GOOD + "/attempts/2"),
        (CLOUD, GOOD + "/job/456"),
        (CLOUD, GOOD + "/attempts/2/job/456"),
        (CLOUD, GOOD + "/job/456?pr=7#step:4:19"),
        (CLOUD, "https://api.github.com/repos/acme/infra/actions/runs/123"),
        (CLOUD + "/", "https://api.github.com/repos/acme/infra/actions/runs/123/attempts/1"),
        (ENTERPRISE, "https://ghe.example.com:8443/acme/infra/actions/runs/123"),
        (ENTERPRISE, "https://ghe.example.com:8443/api/v3/repos/acme/infra/actions/runs/123"),
        (LOCAL, "http://127.0.0.1:4567/acme/infra/actions/runs/123"),
        (LOCAL, "http://127.0.0.1:4567/repos/acme/infra/actions/runs/123"),
    ],
)
def test_pages_and_api_urls_of_this_github_mean_their_run(base, url):
    ref = source(base).ref_from_url(url)

    assert (ref.id, ref.url) == ("123", url)
    assert ref.pipeline == Pipeline("github", (("repo", "acme/infra"),))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "123",
        "http://github.com/acme/infra/actions/runs/123",
        "https://github.com.evil.example/acme/infra/actions/runs/123",
        "https://evil.example/github.com/acme/infra/actions/runs/123",
        "https://github.com@evil.example/acme/infra/actions/runs/123",
        "https://user@github.com/acme/infra/actions/runs/123",
        "https://@github.com/acme/infra/actions/runs/123",
        "https://github.com:444/acme/infra/actions/runs/123",
        "https://github.com:0/acme/infra/actions/runs/123",
        "https://github.com:port/acme/infra/actions/runs/123",
        "https://github.com./acme/infra/actions/runs/123",
        "https://www.github.com/acme/infra/actions/runs/123",
        "https://github.com\\@evil.example/acme/infra/actions/runs/123",
        "https://g\u0131thub.com/acme/infra/actions/runs/123",
        "https://github.com/acme/other/actions/runs/123",
        "https://github.com/acme/secret/actions/runs/123",
        "https://github.com/acme/infra/actions/runs/123abc",
        "https://github.com/acme/infra/actions/runs/-1",
        "https://github.com/acme/infra/actions/runs/0",
        "https://github.com/acme/infra/actions/runs/١٢٣",
        "https://github.com/acme/infra/actions/runs/123/cancel",
        "https://github.com/acme/infra/actions/runs/123/../../../../acme/secret/actions/runs/5",
        "https://github.com/acme/infra/actions/runs/12%33",
        "https://github.com/acme/infra/../secret/actions/runs/123",
        "https://github.com//acme/infra/actions/runs/123",
        "https://github.com/acme/infra/actions/runs/123\n",
        " https://github.com/acme/infra/actions/runs/123",
        "https://github.com/acme/infra/actions/runs/123;x",
        "ftp://github.com/acme/infra/actions/runs/123",
        "//github.com/acme/infra/actions/runs/123",
        "https://[::1/acme/infra/actions/runs/123",
        "https://github.com/acme/infra/actions/runs/" + "9" * 5000,
        "https://127.0.0.1:4567/acme/infra/actions/runs/123",
        "http://127.0.0.1/acme/infra/actions/runs/123",
        "https://ghe.example.com/acme/infra/actions/runs/123",
    ],
)
def test_other_urls_mean_nothing(base, url):
    assert source(base).ref_from_url(url) is None


PIECES = (
    *[
        "https:",
        "http:",
        "/",
        "//",
        "\\",
        "@",
        ":",
        "github.com",
        "api.github.com",
        "evil.example",
        "acme",
        "infra",
        "secret",
        "actions",
        "runs",
        "123",
    ],
    *("job", "attempts", "..", "%2f", "?", "#", "127.0.0.1", "4567", "\n", "\t"),
)


@given(
    base=st.sampled_from(BASES),
    url=st.text()
    | st.lists(st.sampled_from(PIECES)).map("".join)
    | st.text().map(lambda tail: GOOD + tail)
    | st.text().map(lambda middle: f"https://{middle}github.com/acme/infra/actions/runs/123"),
)
def test_no_text_ever_raises_or_leads_outside_the_configured_repository(base, url):
    ref = source(base).ref_from_url(url)

    if ref is not None:
        assert ref.id.isascii()
        assert ref.id.isdigit()
        assert ref.pipeline.get("repo") == "acme/infra"
        place = {CLOUD: ("https://github.com/", "https://api.github.com/"), LOCAL: ("http://127.0.0.1:4567/",)}
        assert url.lower().startswith(place[base])
