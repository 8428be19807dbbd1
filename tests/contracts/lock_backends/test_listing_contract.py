"""What every backend keeps to whose states can be listed, over real HTTP: a pattern finds, follows and loses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from bot.app import stores
from bot.app.discovery import Discovery, LivePipelines, LiveStates, LiveSweep
from bot.app.metrics import Metrics
from bot.aws.clients import AwsClients
from bot.backends import NAMES
from bot.config.load import load
from bot.config.models import BACKEND_SECTIONS as BACKENDS
from bot.sandbox.machine.aws import CREDENTIALS
from tests.contracts.lock_backends.conftest import WORLDS
from tests.worlds.clocks import WallClock
from tests.worlds.memory.journal import MemoryRecords
from tests.worlds.proxy import Deny

KEYS = {"s3": "key", "azurerm": "key", "gcs": "prefix", "gitlab": "state", "hcp": "workspace"}
"""Where a section of each kind has the variables."""

FIRST = {name: next(world for world in WORLDS.values() if world[0] == name) for name in KEYS}
pytestmark = pytest.mark.parametrize("chosen", list(FIRST.values()), ids=FIRST)


def test_every_backend_that_says_where_its_states_are_listed_is_played(chosen):
    assert set(KEYS) == {name for name in NAMES if "listing" in vars(BACKENDS[name])}
    assert chosen[0] in KEYS


@dataclass
class Many:
    """Many states in one place of a world."""

    name: str
    world: Any

    def backend(self, text: str) -> dict[str, Any]:
        """A section, as the file has it."""
        given: dict[str, Any] = (
            {
                "type": "s3", "bucket": self.world.aws.bucket, "region": self.world.address.access.region,
                "endpoint_url": self.world.proxy.url, "dynamodb_table": self.world.aws.table,
            }
            if self.name == "s3"
            else self.world.section.model_dump(exclude_defaults=True)
        )  # fmt: skip
        return given | {KEYS[self.name]: text}

    def section(self, text: str) -> Any:
        return BACKENDS[self.name].model_validate(self.backend(text))

    def means(self, records: MemoryRecords, config: Any) -> Any:
        if self.name != "s3":
            return self.world.new_means()
        self.world.opened.append(AwsClients())
        return stores.means(config, self.world.opened[-1], records, WallClock())

    async def put(self, text: str) -> None:
        section, content = self.section(text), json.dumps({"version": 4, "serial": 1, "lineage": "x"}).encode()
        match self.name:
            case "s3":
                await self.world.aws.put_state(section.object_key)
            case "gcs":
                self.world.storage.put(f"{section.object_base}.tfstate", content)
            case "azurerm":
                self.world.storage.put(section.blob, content, {}, lease="")
            case "gitlab":
                self.world.storage.put(section.state, content, 1)
            case "hcp":
                self.world.hcp.runs.add_workspace(section.organization, section.workspace)

    async def drop(self, text: str) -> None:
        section = self.section(text)
        match self.name:
            case "s3":
                await self.world.aws.delete_object(section.object_key)
            case "gcs":
                self.world.storage.drop(f"{section.object_base}.tfstate")
            case "azurerm":
                self.world.storage.drop(section.blob)
            case "gitlab":
                del self.world.storage.states[section.state]
            case "hcp":
                runs = self.world.hcp.runs
                del runs.workspaces[runs.add_workspace(section.organization, section.workspace).id]


@pytest.fixture
def many(chosen, world):
    return Many(chosen[0], world)


@pytest.fixture
def looking(many, tmp_path):
    """Makes the discovery of one pattern, as a process has it that starts now."""
    records = MemoryRecords(WallClock())

    def looking(key="app-{env}-{service}", name="{env}-{service}"):
        entry = {"discover": True, "protected": {"env": "prod"}, "backend": many.backend(key)}
        path = tmp_path / "tflock.yml"
        path.write_text(yaml.safe_dump({"states": {name: entry}}), encoding="utf-8")
        section = many.section(key)
        variables = {value for field, value in section if field.endswith("_env") and value}
        config = load(path, CREDENTIALS | dict.fromkeys(variables, "x"), need_slack=False)
        means = many.means(records, config)
        states = LiveStates({})
        sweep = LiveSweep(stores.lock_sweep(config, means))
        return Discovery(config, means, records, Metrics(), states, sweep, LivePipelines(config))

    return looking


async def test_the_states_of_a_pattern_are_found_with_their_protection_and_others_are_not(many, looking):
    for text in ("app-dev-shop", "app-prod-shop", "other"):
        await many.put(text)

    discovery = looking()
    await discovery.start()

    found = {name: state.name.protected for name, state in discovery.states.items()}
    assert found == {"dev-shop": False, "prod-shop": True}
    assert discovery.problems == ()
    assert all(lock.is_free for lock in (await discovery.sweep.read_locks(tuple(found))).values())


async def test_a_new_state_is_picked_up_and_one_that_is_gone_is_retired_and_can_end_what_was_begun(many, looking):
    await many.put("app-dev-old")
    discovery = looking()
    await discovery.start()
    before = discovery.states["dev-old"]

    await many.put("app-dev-new")
    await many.drop("app-dev-old")
    await discovery.look()

    assert list(discovery.states) == ["dev-new"]
    assert discovery.states["dev-old"] is before


async def test_while_the_list_is_refused_the_states_stay_also_for_the_next_process(many, looking):
    await many.put("app-dev-shop")
    await looking().start()
    many.world.proxy.fault(lambda _: True, Deny())

    discovery = looking()
    await discovery.start()

    assert list(discovery.states) == ["dev-shop"]
    (problem,) = discovery.problems
    assert problem.startswith("the states of {env}-{service} could not be listed: ")
    assert "tflock_patterns_unlisted 1.0" in discovery.metrics.exposition().decode()
    many.world.proxy.lift_all()
    await discovery.look()
    assert discovery.problems == ()
    assert "tflock_patterns_unlisted 0.0" in discovery.metrics.exposition().decode()


async def test_a_name_that_can_be_read_in_two_ways_is_left_out_and_said(many, looking):
    await many.put("app-dev-shop")
    await many.put("app-prod-pay-api")
    discovery = looking()
    await discovery.start()

    assert list(discovery.states) == ["dev-shop"]
    (problem,) = discovery.problems
    assert "env=prod-pay, service=api or env=prod, service=pay-api" in problem
    assert "tflock_states_left_out 1.0" in discovery.metrics.exposition().decode()
