"""What real Terraform prints while it holds a lock, and when it is refused one, is read as that."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import PIPE, STDOUT
from datetime import UTC, datetime

import pytest

from bot.core.joblog.reader import LogReader

MAIN = """
resource "terraform_data" "it" {
  for_each         = toset(["a b"])
  triggers_replace = [timestamp()]
  provisioner "local-exec" {
    command = "while [ ! -e go ]; do sleep 0.1; done"
  }
}
"""


async def printed(process):
    """Its lines, each with the time at which it came, as a runner writes them down."""
    found = []
    while line := await process.stdout.readline():
        found.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z {line.decode()}")
    await process.wait()
    return "".join(found)


def read(text):
    reader = LogReader()
    reader.feed(text.encode())
    return reader.close(is_whole=True)


@pytest.mark.parametrize("form", [[], ["-json"], ["-no-color"]])
async def test_who_holds_a_lock_is_shown_and_who_was_refused_it_is_ruled_out(terraform, tmp_path, form):
    (tmp_path / "main.tf").write_text(MAIN)

    async def begin(*words):
        return await asyncio.create_subprocess_exec(str(terraform), *words, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)

    await printed(await begin("init"))
    holder = asyncio.create_task(printed(await begin("apply", "-auto-approve", *form)))
    lock = tmp_path / ".terraform.tfstate.lock.info"
    while not lock.exists() or not lock.read_text().endswith("}"):  # noqa: ASYNC110 - a file gives no event
        await asyncio.sleep(0.05)
    info = json.loads(lock.read_text())
    refused = read(await printed(await begin("apply", "-auto-approve", *form)))
    (tmp_path / "go").touch()
    whole = await holder

    created = datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", info["Created"]))
    done = whole.partition("Apply complete!")[0]
    assert read(done[: done.rindex("\n")]).shows(created, lock_id=info["ID"])
    assert not read(whole).shows(created, lock_id=info["ID"])
    assert not read(whole).was_refused(info["ID"])
    assert refused.was_refused(info["ID"])
    assert not refused.shows(created, lock_id=info["ID"])
