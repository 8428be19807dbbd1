"""Which console pages and ARNs mean a task of a configured cluster. No request is ever made for it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ci.ecs.source import Ecs
from bot.ci.ecs.urls import page_of
from bot.core.run import Pipeline
from tests.worlds.ci.sources import made_of

ID = "0123456789abcdef0123456789abcdef"
ARN = f"arn:aws:ecs:eu-west-1:123456789012:task/terraform/{ID}"
PAGE = f"https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/terraform/tasks/{ID}/configuration?region=eu-west-1"


def never():
    raise AssertionError("no request is made for a URL")


def make(*clusters):
    return made_of(
        Ecs,
        *(Pipeline("ecs", (("cluster", cluster), ("family", "production"))) for cluster in clusters),
        Pipeline("other", (("cluster", "secret"), ("family", "production"))),
        region="eu-west-1",
        client=never,
        logs=never,
        run=asyncio.to_thread,
    )


SOURCE = make("terraform")


@pytest.mark.parametrize(
    "url",
    [
        ARN,
        PAGE,
        PAGE.partition("?")[0],
        f"https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/terraform/tasks/{ID}",
        f"https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/terraform/tasks/{ID}/logs?region=eu-west-1",
        f"https://console.aws.amazon.com/ecs/v2/clusters/terraform/tasks/{ID}?region=eu-west-1",
        f"https://eu-west-1.console.aws.amazon.com/ecs/home?region=eu-west-1#/clusters/terraform/tasks/{ID}/details",
        f"https://eu-west-1.console.aws.amazon.com/ecs/home?region=eu-west-1#!/clusters/terraform/tasks/{ID}",
    ],
)
def test_pages_and_arns_of_this_region_mean_their_task(url):
    ref = SOURCE.ref_from_url(url)

    assert (ref.id, ref.url) == (ID, url)
    assert ref.pipeline == Pipeline("ecs", (("cluster", "terraform"),))


def test_a_cluster_that_is_configured_by_its_arn_is_known_by_its_name():
    cluster = "arn:aws:ecs:eu-west-1:123456789012:cluster/terraform"

    assert make(cluster).ref_from_url(PAGE).pipeline.get("cluster") == cluster


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_every_partition_has_a_console_of_its_own(region, host):
    assert page_of(region, "terraform", ID).startswith(f"https://{host}/ecs/v2/clusters/terraform/tasks/{ID}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        ID,
        ARN.replace("eu-west-1", "us-east-1"),
        ARN.replace("terraform", "secret"),
        ARN.replace("task/", "task-definition/"),
        ARN.replace("task/terraform/", "task/"),
        ARN + "/x",
        ARN + "\n",
        PAGE.replace("https", "http"),
        PAGE.replace("clusters/terraform", "clusters/secret"),
        PAGE.replace("clusters/terraform", "clusters/terraform/../secret"),
        PAGE.replace("?region=eu-west-1", "?region=us-east-1"),
        PAGE.replace("?region=eu-west-1", "?region=eu-west-1&region=us-east-1"),
        PAGE.replace("eu-west-1.console", "us-east-1.console"),
        PAGE.replace("amazon.com", "amazon.com.evil.example"),
        PAGE.replace("https://", "https://user@"),
        PAGE.replace("amazon.com", "amazon.com:8443"),
        PAGE.replace("amazon.com", "amazon.com:port"),
        PAGE.replace("tasks", "services"),
        PAGE.replace(ID, ""),
        PAGE.replace(ID, "%2e%2e"),
        PAGE.replace(ID, "a" * 5000),
        f"https://console.aws.amazon.com/ecs/v2/clusters/terraform/tasks/{ID}",
        f"https://evil.example/ecs/v2/clusters/terraform/tasks/{ID}?region=eu-west-1",
        f"https://[::1/ecs/v2/clusters/terraform/tasks/{ID}",
        " " + PAGE,
    ],
)
def test_other_texts_mean_nothing(url):
    assert SOURCE.ref_from_url(url) is None


PIECES = (
    "https://",
    "eu-west-1.",
    "console.aws.amazon.com",
    "evil.example",
    "/ecs/v2/clusters/",
    "terraform",
    "secret",
)
MORE = ("/tasks/", ID, "?region=", "eu-west-1", "us-east-1", "#", "@", "..", "\\", "\n", "arn:aws:ecs:", "task/")


@given(
    st.text()
    | st.lists(st.sampled_from((*PIECES, *MORE))).map("".join)
    | st.text().map(lambda tail: PAGE + tail)
    | st.text().map(lambda middle: PAGE.replace("//", f"//{middle}"))
)
def test_no_text_ever_raises_or_leads_outside_the_configured_clusters(url):
    ref = SOURCE.ref_from_url(url)

    if ref is not None:
        assert ref.id.isascii()
        assert ref.pipeline.get("cluster") == "terraform"
        assert url.lower().startswith(("arn:aws", "https://eu-west-1.console.", "https://console."))
