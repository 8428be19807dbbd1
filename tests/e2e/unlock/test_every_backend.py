"""A real `terraform apply` is killed, and the next one succeeds after the click: once for every backend, through Slack.

The apply is a CI job's. A backend whose folder has a world in which Terraform takes locks (`tests.backends.worlds`) is
found. Where its release has no condition, one member is not enough: an account's lock in HCP Terraform, and any that
the `http` protocol shows. Each test has a state of its own; all of them are locked, and their jobs over, before the
first test begins, so that the time in which a process may live on passes once.
"""

from __future__ import annotations

import getpass
import itertools
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from bot.sandbox.machine.terraform import TerraformWorkspace
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import REPO, SHORT_TIMES, SandboxState
from tests.backends.worlds import MODULES, holds
from tests.e2e.conftest import ELLIOTT, PARKER, QUINN, Scene, new_scene
from tests.worlds.logs import printed
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage
from tests.worlds.terraform import writing

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOLDING = [name for name in MODULES if holds(name)]
STATES = [*itertools.product(("click", "turn"), MODULES), *itertools.product(("hold",), HOLDING)]
POLICY = {**SHORT_TIMES, "clock_skew": "1s"}
"""One machine has one clock, and here Terraform takes its lock less than a second after its job began."""

HOST = socket.gethostname()


@dataclass
class LeftBehind:
    """A state in a backend of its own whose apply was killed, and what the incident channel makes of it.

    `lock_id` is that of the dead lock, as Terraform prints it.
    """

    name: str
    world: Any
    workspace: TerraformWorkspace
    stage: FullStage
    lock_id: str | None = None
    scene: Scene | None = None

    async def is_killed(self) -> None:
        at = datetime.now(UTC).replace(microsecond=0)
        run = self.stage.runs.start_run(REPO, f"{self.name}.yml", at=at, actor="elliott-ci", runner=HOST)
        async with self.workspace.applying() as holder:
            await holder.kill()
        printed(run, holder.lines, path=self.world.section.lock_path, machine=HOST)
        self.stage.runs.finish(run.id, "failure")
        self.lock_id = await self.world.lock_id()

    async def asked_for(self):
        """The message with the button."""
        if self.world.is_persons:
            await self.scene.checklist(f"unlock {self.name}", "Ask the owner to press")
            await self.scene.click(await self.scene.letter(self.name), "owner.dead", user=ELLIOTT)
            await self.scene.letter(self.name, "You said: it's dead")
        button = "[Approve and unlock]" if self.world.needs_two else f"[Unlock {self.name}]"
        return await self.scene.checklist(f"unlock {self.name}", button)

    async def clicked(self, message, action="unlock.confirm"):
        approved = self.world.needs_two
        await self.scene.click(message, "unlock.approve" if approved else action, user=QUINN if approved else PARKER)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory, terraform):
    """What each test of each backend finds, by the two names."""
    directory = tmp_path_factory.mktemp("backends")
    names = {key: "-".join(reversed(key)) for key in STATES}
    states = [SandboxState(name, "unused", workflows=(f"{name}.yml",)) for name in names.values()]
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(
            stage(directory, states=states, policy=POLICY, slack=FullWorkspace(), processes=())
        )
        made.settings["holders"]["ci_hosts"] = [f"{getpass.getuser()}@{HOST}"]

        async def left_behind(test, backend):
            name, module = names[test, backend], MODULES[backend]
            aws = made.aws.beside(bucket=f"acme-{name}", table=f"acme-{name}")
            await aws.create()
            world = await stack.enter_async_context(module.playing(module.APPLIED[0], aws))
            workspace = await stack.enter_async_context(world.terraform(terraform, directory / name))
            suffix = f"_{test.upper()}"
            section = world.section.model_dump(exclude_none=True)
            made.settings["states"][name]["backend"] = {
                key: f"{value}{suffix}" if key.endswith("_env") else value for key, value in section.items()
            }
            made.environment |= {f"{variable}{suffix}": value for variable, value in world.secrets.items()}
            found = LeftBehind(name, world, workspace, made)
            await found.is_killed()
            return found

        found = dict(zip(STATES, [await left_behind(*key) for key in STATES], strict=True))
        await made.start("serve")
        yield found


@pytest.fixture(params=MODULES)
def backend(request):
    return request.param


@pytest.fixture
def left(request, played, backend):
    """The state of this test."""
    found = played[request.function.__name__.split("_")[1], backend]
    found.scene = new_scene(found.stage)
    return found


async def test_click_on_unlock_frees_the_lock_of_a_killed_apply_and_the_next_apply_succeeds(left):
    blocked = await left.workspace.try_apply()

    checklist = await left.asked_for()
    still = await left.world.lock_id()
    await left.clicked(checklist)
    await left.scene.becomes(checklist, f"{left.name} is unlocked")
    freed = await left.world.lock_id()
    done = await left.workspace.apply()

    assert (blocked.exit_code, left.lock_id in blocked.output) == (1, True)
    assert still == left.lock_id
    assert freed is None
    assert "Apply complete" in done.output


async def test_turn_of_the_lock_before_the_click_leaves_the_new_one_whose_apply_ends_well(left):
    checklist = await left.asked_for()
    for kind in left.world.kinds:
        await left.world.clear(kind)

    async with writing(left.workspace) as writer:
        newer = await left.world.lock_id()
        await left.clicked(checklist)
        told = flat(await left.scene.becomes(checklist, f"{left.name} has another lock now"))
        kept_out = await left.workspace.run("plan")
        done = await writer.let_go()

    assert "Nothing was changed." in told
    assert (kept_out.exit_code, newer in kept_out.output) == (1, True)
    assert done.exit_code == 0, done.output
    assert "Apply complete" in done.output
    assert "unlock.releasing" not in await left.scene.kinds()


@pytest.mark.parametrize("backend", HOLDING)
async def test_hold_in_a_dead_locks_place_is_printed_by_a_plan_and_ended_by_force_unlock(left):
    checklist = await left.asked_for()
    await left.clicked(checklist, "unlock.hold")
    await left.scene.becomes(checklist, f"The dead lock of {left.name} is gone", "The lock was swapped in one write")
    kept_out = await left.workspace.run("plan")
    freed = await left.workspace.run("force-unlock", "-force", await left.world.lock_id())
    done = await left.workspace.apply()

    said = " ".join(kept_out.output.split())
    assert kept_out.exit_code == 1
    assert "Operation: tflock hold" in said
    assert "(@parker)" in said
    assert freed.exit_code == 0, freed.output
    assert "Apply complete" in done.output
