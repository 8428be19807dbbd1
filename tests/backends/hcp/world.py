"""HCP Terraform's worlds for the contract of `bot.ports.locks.LockBackend`: a run holds the lock, or a user."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from bot.backends.frame import Means
from bot.backends.hcp.kind import KIND
from bot.backends.hcp.section import Backend
from bot.backends.hcp.store import OF_ACCOUNTS
from bot.backends.remote import RemoteBackend
from bot.core.lock import PlaceKind
from bot.hcp.api import ADMIN, APPLY, READ
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, Matcher, fault_proxy
from bot.sandbox.machine.terraform import write_workspace_in
from tests.worlds.ci.hcp.runs import Workspace, new_id
from tests.worlds.ci.hcp.server import HcpStandIn
from tests.worlds.clocks import WallClock
from tests.worlds.terraform import initialised

WORLDS = [("run",), ("user",)]
APPLIED = [("user", "cloud"), ("user", 'backend "remote"')]
BLOCK = """\
  {kind} {{
    hostname     = "tfe.example.com"
    organization = "{section.organization}"
    workspaces {{
      name = "{section.workspace}"
    }}
  }}
"""
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
TOKEN = "elliotts-own-token"
STATE = {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "b0c5d1f2", "outputs": {}}
ORGANIZATION = "acme"
ODD = {
    "": {"locked-by": {"data": None}},
    "{}": {"locked-by": {"data": {}}},
    "not json": {"locked-by": {"data": {"type": "vcs-events", "id": "ve-1"}}},
}
"""What the API says of a lock that nobody can make out, by the text of the suite."""


@dataclass
class HcpWorld:
    """A workspace behind the fault proxy, and hands that reach past the proxy."""

    hcp: HcpStandIn
    proxy: FaultProxy
    section: Backend
    holder: str
    block: str = "cloud"
    kinds: tuple[PlaceKind, ...] = (PlaceKind.WORKSPACE,)
    means: list[Means] = field(default_factory=list)
    written: str | None = None
    most_signs = 40_000
    needs_two = True
    is_persons = True

    @property
    def secrets(self) -> dict[str, str]:
        return {"TFE_TOKEN": self.hcp.token}

    @property
    def workspace(self) -> Workspace:
        return self.hcp.runs.add_workspace(ORGANIZATION, self.section.workspace)

    def new_means(self, token: str = "") -> Means:
        known = {name: SecretStr(token or value) for name, value in self.secrets.items()}
        self.means.append(Means(clock=WallClock(), records=None, aws=None, secrets=known))
        return self.means[-1]

    @asynccontextmanager
    async def terraform(self, binary, directory):
        """With local execution."""
        self.hcp.tokens, self.hcp.spares_tokens = {TOKEN: "elliott"}, True
        self.hcp.shows = {"execution-mode": "local", "operations": False, "terraform-version": "1.11.4"}
        rc = directory.with_suffix(".rc")
        rc.write_text(RC.format(address=self.hcp.origin, token=TOKEN))
        block, environment = BLOCK.format(kind=self.block, section=self.section), {"TF_CLI_CONFIG_FILE": str(rc)}
        yield await initialised(write_workspace_in(block, binary, directory, environment))

    async def lock_id(self) -> str | None:
        """It is the same for every lock of a workspace."""
        return self.section.lock_path if self.workspace.is_locked else None

    def backend(self, *, timeout: float = 10.0, token: str = "") -> RemoteBackend:
        opened = KIND.open(self.section, self.new_means(token)).backend
        return RemoteBackend(opened._store, OF_ACCOUNTS, WallClock(), address=self.proxy.url, timeout=timeout)

    def lock(self, name: str = "first") -> WrittenLock:
        """Its id is the one that the bot gives it."""
        created = datetime(2026, 11, 21, 9, 5, 0, 116000, tzinfo=UTC) + timedelta(minutes=len(name))
        if self.holder == "run":
            run_id = new_id("run")
            return WrittenLock(run_id, created, self.section.lock_path, who=f"{name}@{run_id}")
        account = self.hcp.runs.account(name)
        lock_id = f"{account}-{int(created.timestamp() * 1000)}"
        return WrittenLock(lock_id, created, self.section.lock_path, who=f"{name}@", operation="")

    async def take(self, lock: WrittenLock) -> None:
        assert not self.workspace.is_locked
        await self.write(PlaceKind.WORKSPACE, lock.text)

    async def take_in_another_workspace(self, _: WrittenLock) -> None:
        other = self.hcp.runs.add_workspace(ORGANIZATION, "another")
        self.hcp.runs.lock(other, self.hcp.runs.account("first"))

    async def put_state(self, content: bytes | None = None) -> None:
        self.hcp.runs.put_state(self.workspace, content or json.dumps(STATE).encode())

    async def everything(self) -> object:
        runs = {run.id: (run.status, run.canceled_at) for run in self.hcp.runs.all.values()}
        return runs, {each.id: repr(each) for each in self.hcp.runs.workspaces.values()}

    async def write(self, _: PlaceKind, text: str) -> None:
        """Whoever has the lock loses it, and whoever the text names has it: a run that waits to be confirmed."""
        await self.clear(PlaceKind.WORKSPACE)
        self.written = text
        try:
            info = json.loads(text)
            created = datetime.fromisoformat(info["Created"])
        except (ValueError, KeyError):
            self.workspace.odd = ODD.get(text, {"locked-by": {"data": {"type": "runs", "id": "../../users"}}})
            return
        name = info["Who"].partition("@")[0]
        if self.holder == "run":
            run = self.hcp.runs.start_run(self.workspace, at=created, user=name, run_id=info["ID"])
            self.hcp.runs.pause(run)
        else:
            self.hcp.runs.lock(self.workspace, self.hcp.runs.account(name), reason="Locked by Terraform", at=created)

    async def clear(self, _: PlaceKind) -> None:
        held = self.workspace.locked_by
        if held is not None and held[0] == "runs":
            self.hcp.runs.finish(self.hcp.runs.all[held[1]], "errored")
        elif self.workspace.is_locked:
            self.hcp.runs.unlock(self.workspace)

    async def stands(self, _: PlaceKind) -> str | None:
        return self.written if self.workspace.is_locked else None

    def reads(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "GET" and "/organizations/" in call.path

    def deletes(self, _: PlaceKind) -> Matcher:
        return lambda call: call.method == "POST"

    def forbid_deletes(self, _: PlaceKind) -> None:
        self.hcp.permissions = {"can-queue-apply" if self.holder == "run" else "can-force-unlock": False}

    def read_right(self, _: PlaceKind) -> str:
        return READ

    def delete_right(self, _: PlaceKind) -> str:
        return APPLY if self.holder == "run" else ADMIN


@asynccontextmanager
async def playing(param, aws=None):
    async with HcpStandIn() as hcp, fault_proxy(hcp.origin) as proxy:
        section = Backend(type="hcp", organization=ORGANIZATION, workspace="network", endpoint_url=proxy.url)
        world = HcpWorld(hcp, proxy, section, *param)
        hcp.runs.add_workspace(ORGANIZATION, "network")
        yield world
        for means in world.means:
            for close in means.closing:
                await close()


@pytest.fixture(name="hcp_world")
async def made(world_param):
    async with playing(world_param) as world:
        yield world
