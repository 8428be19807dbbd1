"""A lock that a real `terraform apply` with local execution took in a workspace, and left behind when it was killed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.backends.hcp.store import OF_ACCOUNTS
from bot.core.lock import ReleaseResult
from bot.sandbox.machine.terraform import write_workspace_in
from tests.backends.hcp.world import ORGANIZATION

TOKEN = "elliotts-own-token"
BACKENDS = {
    "cloud": """\
  cloud {{
    hostname     = "tfe.example.com"
    organization = "{organization}"
    workspaces {{
      name = "network"
    }}
  }}
""",
    "remote": """\
  backend "remote" {{
    hostname     = "tfe.example.com"
    organization = "{organization}"
    workspaces {{
      name = "network"
    }}
  }}
""",
}
# the services of a host can be given instead of being discovered over TLS: "Explicit Installation Method Configuration"
RC = """\
host "tfe.example.com" {{
  services = {{
    "tfe.v2"   = "{address}/api/v2/"
    "tfe.v2.1" = "{address}/api/v2/"
    "state.v2" = "{address}/api/v2/"
  }}
}}
credentials "tfe.example.com" {{
  token = "{token}"
}}
"""


@pytest.fixture(params=BACKENDS)
async def workspace(hcp, terraform, tmp_path, request):
    hcp.hcp.tokens, hcp.hcp.spares_tokens = {TOKEN: "elliott"}, True
    hcp.hcp.shows = {"execution-mode": "local", "operations": False, "terraform-version": "1.11.4"}
    rc = tmp_path / "terraform.rc"
    rc.write_text(RC.format(address=hcp.hcp.origin, token=TOKEN))
    block = BACKENDS[request.param].format(organization=ORGANIZATION)
    made = write_workspace_in(block, terraform, tmp_path / "network")
    made = replace(made, environment={**made.environment, "TF_CLI_CONFIG_FILE": str(rc)})
    await made.init("-input=false")  # there is nothing to reconfigure of a cloud block, says Terraform
    return made


async def test_a_killed_apply_leaves_an_accounts_lock_that_is_released_and_taken_again(hcp, workspace):
    async with workspace.applying() as holder:
        running = await hcp.backend().read_lock()
        await holder.kill()
    left = await hcp.backend().read_lock()
    blocked = await workspace.try_apply()

    (place,) = left.held
    outcome = await hcp.backend().release(place)
    freed = await hcp.backend().read_lock()
    await workspace.apply()
    state = (await hcp.backend().read_state()).state.value

    assert left.lock == running.lock
    assert (left.lock.who, left.lock.info, place.can) == ("elliott@", "Locked by Terraform", OF_ACCOUNTS)
    assert blocked.exit_code == 1
    assert f'lock ID: "{hcp.section.lock_path}"' in blocked.output.replace("\n│ ", " ")
    assert (outcome.result, freed.is_free) == (ReleaseResult.RELEASED, True)
    assert (state.fault, bool(state.lineage)) == (None, True)
    assert (await hcp.backend().read_lock()).is_free


async def test_a_real_lock_taken_after_the_look_survives_the_release(hcp, workspace):
    async with workspace.applying() as holder:
        await holder.kill()
    (first,) = (await hcp.backend().read_lock()).held
    await hcp.backend().release(first)
    async with workspace.applying() as holder:
        late = await hcp.backend().release(first)
        now = await hcp.backend().read_lock()
        await holder.kill()

    assert late.result is ReleaseResult.HOLDER_CHANGED
    assert now.lock.id != first.info.id
    assert hcp.workspace.is_locked
