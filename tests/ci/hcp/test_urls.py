"""Which URLs mean a run of the configured installation. No request is ever made for it."""

from __future__ import annotations

import pytest

from bot.ci.hcp.source import HcpTerraform
from bot.ci.hcp.urls import run_in
from bot.core.run import Pipeline
from tests.worlds.ci.sources import Nobody, source_of

HOST = "https://app.terraform.io"
RUN = "run-CZcmD7eagjhyX0vN"
NETWORK = Pipeline("hcp", (("organization", "acme"), ("workspace", "network")))


@pytest.mark.parametrize(
    "url",
    [
        f"{HOST}/app/acme/workspaces/network/runs/{RUN}",
        f"{HOST}:443/app/acme/workspaces/network/runs/{RUN}/",
        f"{HOST}/app/acme/network/runs/{RUN}",
        f"{HOST}/app/acme/workspaces/network/runs/{RUN}/apply?x=1#y",
    ],
)
def test_pages_of_this_installation_mean_their_run(url):
    ref = source_of(HcpTerraform, Nobody(HOST), NETWORK).ref_from_url(url)

    assert (ref.id, ref.pipeline) == (RUN, NETWORK)


@pytest.mark.parametrize(
    "url",
    [
        f"http://app.terraform.io/app/acme/workspaces/network/runs/{RUN}",
        f"{HOST}.evil.example/app/acme/workspaces/network/runs/{RUN}",
        f"https://app.terraform.io@evil.example/app/acme/workspaces/network/runs/{RUN}",
        f"https://user@app.terraform.io/app/acme/workspaces/network/runs/{RUN}",
        f"{HOST}/app/acme/workspaces/network/runs/{RUN}/../../x",
        f"{HOST}/app/acme/workspaces/network/runs/run-1%2F..%2Fusers",
        f"{HOST}/app/acme/workspaces/network",
        RUN,
        "",
    ],
)
def test_every_other_url_means_nothing(url):
    assert run_in(url, HOST) is None


@pytest.mark.parametrize("place", ["acme/production", "globex/network"])
def test_the_runs_of_a_workspace_that_is_not_configured_mean_nothing(place):
    organization, workspace = place.split("/")
    url = f"{HOST}/app/{organization}/workspaces/{workspace}/runs/{RUN}"

    assert run_in(url, HOST) is not None
    assert source_of(HcpTerraform, Nobody(HOST), NETWORK).ref_from_url(url) is None
