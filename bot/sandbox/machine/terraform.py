"""Real Terraform on a loopback backend: it takes real locks, and can be killed while it holds one."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bot.sandbox.machine.aws import CREDENTIALS, REGION

_S3 = """\
  backend "s3" {{
    bucket                      = "{bucket}"
    key                         = "{key}"
    region                      = "{region}"
    {locks}
    endpoints                   = {{ s3 = "{endpoint}", dynamodb = "{endpoint}" }}
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_s3_checksum            = true
  }}
"""
_RESOURCES = """\
variable "hold" {
  type    = number
  default = 0
}

resource "terraform_data" "deployment" {
  triggers_replace = [var.hold]

  provisioner "local-exec" {
    command = "echo deploying && sleep ${var.hold}"
  }
}
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended, with everything that it printed."""

    exit_code: int
    output: str


class TerraformFailed(Exception):
    """A command ended with another exit code than 0, or not in time."""


class Holder:
    """A `terraform apply` that is running and holds the lock."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._output: list[bytes] = []
        self._times: list[datetime] = []
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return b"".join(self._output).decode(errors="replace")

    @property
    def lines(self) -> list[tuple[datetime, str]]:
        """What it has printed so far, each line with the time at which it came, as a CI's runner writes it down."""
        found, rest = list[tuple[datetime, str]](), b""
        for at, chunk in zip(self._times, self._output, strict=True):
            *whole, rest = (rest + chunk).split(b"\n")
            found += [(at, line.decode(errors="replace")) for line in whole]
        return found

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def holds(self, *, within: float = 60.0) -> None:
        """Returns when it has the lock and is running. Raises TerraformFailed if it ends before, or takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while b"deploying" not in b"".join(self._output):
                    if self._reader.done():
                        break
                    await asyncio.sleep(0.05)
                else:
                    return
        await self.kill()
        raise TerraformFailed(self.output)

    async def ended(self) -> Finished:
        """Its own end."""
        await self._process.wait()
        await self._reader
        return Finished(self._process.returncode or 0, self.output)

    async def kill(self) -> None:
        """Kills it and all its children with SIGKILL, as a lost runner does: the lock stays."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        if self._process.stdout is not None:
            while chunk := await self._process.stdout.read(4096):
                self._output.append(chunk)
                self._times.append(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class TerraformWorkspace:
    """A directory with a configuration whose state and lock live in a backend on this machine.

    `environment` is what the command needs in addition to the AWS credentials of the sandbox.
    """

    binary: Path
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    async def init(self, *options: str) -> Finished:
        """Whatever the directory was initialised for, unless other options are given."""
        return await self.checked("init", *(options or ("-reconfigure",)))

    async def apply(self, *, hold: int = 0) -> Finished:
        """Applies; raises TerraformFailed with the output if that fails."""
        return await self.checked("apply", "-auto-approve", f"-var=hold={hold}")

    async def try_apply(self) -> Finished:
        """Applies, and returns the exit code and what was printed, also if the lock is taken."""
        return await self.run("apply", "-auto-approve")

    @asynccontextmanager
    async def applying(self, *, hold: int = 600) -> AsyncIterator[Holder]:
        """An apply that holds the lock for `hold` seconds; whatever is left of it is killed at the end."""
        holder = Holder(await self._start("apply", "-auto-approve", f"-var=hold={hold}"))
        try:
            await holder.holds()
            yield holder
        finally:
            await holder.kill()

    async def checked(self, *words: str) -> Finished:
        """Runs a command; raises TerraformFailed with the output if that fails."""
        done = await self.run(*words)
        if done.exit_code != 0:
            raise TerraformFailed(f"terraform {words[0]} exited with {done.exit_code}\n{done.output}")
        return done

    async def run(self, *words: str, within: float = 120.0) -> Finished:
        """The exit code of a command, and what it printed. Raises TerraformFailed if it takes longer."""
        process = await self._start(*words)
        try:
            async with asyncio.timeout(within):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise TerraformFailed(f"terraform {words[0]} took longer than {within:.0f} s") from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return Finished(process.returncode or 0, output.decode(errors="replace"))

    async def _start(self, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            self.binary,
            *words,
            cwd=self.directory,
            env={**_environment(self.directory), **self.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )


def find_terraform() -> Path | None:
    """The `terraform` on PATH, or None."""
    found = shutil.which("terraform")
    return Path(found) if found else None


def write_workspace(
    binary: Path,
    directory: Path,
    *,
    endpoint: str,
    bucket: str,
    key: str,
    table: str | None,
    lockfile: bool,
) -> TerraformWorkspace:
    """Writes the configuration of a state in S3 into a directory, which is made. It is not initialised yet."""
    locks = [f'dynamodb_table = "{table}"'] if table else []
    locks += ["use_lockfile = true"] if lockfile else []
    backend = _S3.format(bucket=bucket, key=key, region=REGION, locks="\n    ".join(locks), endpoint=endpoint)
    return write_workspace_in(backend, binary, directory)


def write_workspace_in(
    backend: str, binary: Path, directory: Path, environment: Mapping[str, str] | None = None
) -> TerraformWorkspace:
    """The same for a state in any backend, by its block."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "main.tf").write_text(f"terraform {{\n{backend}}}\n\n{_RESOURCES}")
    (directory / "terraform.rc").write_text("")
    return TerraformWorkspace(binary, directory, environment or {})


def _environment(directory: Path) -> dict[str, str]:
    """Nothing of the caller's own AWS or Terraform settings reaches the command."""
    return {
        **CREDENTIALS,
        "CHECKPOINT_DISABLE": "1",
        "HOME": str(directory),
        "PATH": os.environ.get("PATH", os.defpath),
        "TF_CLI_ARGS": "-no-color",
        "TF_CLI_CONFIG_FILE": str(directory / "terraform.rc"),
        "TF_INPUT": "0",
        "TF_IN_AUTOMATION": "1",
    }
