"""A real Terraform as a witness of a backend: what its configuration is, and an apply that ends when a test lets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.sandbox.machine.terraform import Finished, Holder, TerraformWorkspace

_WAIT = "wait"
_UNTIL_LET_GO = """\
resource "terraform_data" "patience" {
  triggers_replace = [timestamp()]

  provisioner "local-exec" {
    command = "echo deploying && while [ -e wait ]; do sleep 0.05; done"
  }
}
"""


async def initialised(made: TerraformWorkspace, workspace: str = "default") -> TerraformWorkspace:
    """Ready to apply, in that workspace of Terraform's."""
    await made.init("-input=false")
    if workspace != "default":
        await made.checked("workspace", "select", "-or-create", workspace)
    return made


@dataclass(frozen=True, slots=True)
class Writer:
    """An apply that has the lock and works until it is let go."""

    workspace: TerraformWorkspace
    holder: Holder

    async def let_go(self) -> Finished:
        """It comes to its own end."""
        (self.workspace.directory / _WAIT).unlink()
        return await self.holder.ended()


@asynccontextmanager
async def writing(workspace: TerraformWorkspace) -> AsyncIterator[Writer]:
    """Whatever is left of it at the end is killed."""
    (workspace.directory / "patience.tf").write_text(_UNTIL_LET_GO)
    (workspace.directory / _WAIT).touch()
    try:
        async with workspace.applying(hold=0) as holder:
            yield Writer(workspace, holder)
    finally:
        (workspace.directory / _WAIT).unlink(missing_ok=True)
