"""`recover`, on what a real `terraform apply` left behind that was killed: at many points, and with real imports."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox.github.runs import log_of
from bot.sandbox.machine.proxy import operation
from bot.sandbox.machine.terraform import Holder, write_workspace
from tests.cli.conftest import KEY
from tests.worlds.proxy import Delay

OBJECTS = """
locals { waits = { "a b" = 0, "c" = %(c)s, "d/e" = %(d)s } }

resource "terraform_data" "each" {
  for_each = local.waits
  provisioner "local-exec" { command = "sleep ${each.value}" }
}

module "inner" { source = "./inner" }
"""
INNER = 'resource "terraform_data" "one" { count = 1 }\n'
DONE = {'terraform_data.each["a b"]', "module.inner.terraform_data.one[0]"}


@pytest.fixture
async def workspace(around, terraform, tmp_path):
    made = write_workspace(
        terraform, tmp_path / "tf", endpoint=around.proxy.url, bucket=around.aws.bucket, key=KEY,
        table=around.aws.table, lockfile=True,
    )  # fmt: skip
    main = (made.directory / "main.tf").read_text()
    (made.directory / "main.tf").write_text(main[: main.index('variable "hold"')])
    (made.directory / "inner").mkdir()
    (made.directory / "inner" / "main.tf").write_text(INNER)
    return made


def write(workspace, **waits):
    (workspace.directory / "objects.tf").write_text(OBJECTS % ({"c": 0, "d": 0} | waits))


async def killed_apply(around, workspace, *, when, as_json=False):
    """An apply of a GitHub run that is killed as soon as `when` is in what it printed; its log is the job's."""
    await around.aws.delete_versions(KEY)
    await around.aws.delete_item(f"{around.aws.bucket}/{KEY}-md5")
    await workspace.init()
    run = around.github.runs.start_run("acme/infra", "deploy.yml", at=datetime.now(UTC) - timedelta(seconds=5))
    words = ["apply", "-auto-approve", *(["-json"] if as_json else [])]
    holder = Holder(await workspace._start(*words))
    try:
        async with asyncio.timeout(60):
            while not when(holder.output):
                assert holder.is_running, holder.output
                await asyncio.sleep(0.05)
    finally:
        await holder.kill()
    around.github.runs.finish(run.id, "timed_out", at=datetime.now(UTC))
    init = f"terraform init -backend-config=bucket={around.aws.bucket} -backend-config=key={KEY}"
    run.jobs[-1].log = log_of(holder.lines, begun=run.started_at, commands=[init, "terraform apply"])
    return holder


def has_made(number):
    return lambda output: output.count("Creation complete") >= number


async def unlocked(workspace, lock):
    await workspace.checked("force-unlock", "-force", lock)


async def imported(workspace, document):
    blocks = "\n".join(one["import"] for one in document["made_not_recorded"])
    (workspace.directory / "imports.tf").write_text(blocks)
    done = await workspace.checked("apply", "-auto-approve")
    return done, await workspace.run("plan", "-detailed-exitcode")


@pytest.mark.parametrize("as_json", [False, True], ids=["lines", "json"])
async def test_what_was_made_and_never_saved_is_imported_and_the_next_plan_is_empty(
    around, terminal, workspace, as_json
):
    write(workspace, c=600, d=600)
    await killed_apply(around, workspace, when=has_made(2), as_json=as_json)

    ended = await terminal.run("recover", "staging", "--json")

    assert ended.code == 0, ended.err
    found = ended.document
    assert {one["address"] for one in found["made_not_recorded"]} == DONE
    assert {one["address"] for one in found["unknown"]} == {
        'terraform_data.each["c"]',
        'terraform_data.each["d/e"]',
    }
    assert found["recorded"] == found["destroyed_still_recorded"] == []
    assert found["locked"]
    assert found["run"]["url"]
    assert 'terraform_data.each["c"]' in found["provisioned"]

    write(workspace)
    await unlocked(workspace, found["lock_id"])
    done, after = await imported(workspace, found)
    assert "2 imported, 2 added, 0 changed, 0 destroyed" in done.output
    assert after.exit_code == 0, after.output


async def test_killed_while_saving_what_was_not_saved_is_told(around, terminal, workspace):
    write(workspace)
    around.proxy.fault(operation("s3:PutObject", suffix="terraform.tfstate"), Delay(600))
    await killed_apply(around, workspace, when=has_made(4))

    found = (await terminal.run("recover", "staging", "--json")).document

    assert len(found["made_not_recorded"]) == 4
    assert not found["unknown"]


async def test_killed_while_it_released_the_lock_all_is_recorded(around, terminal, workspace):
    write(workspace)
    around.proxy.fault("dynamodb:DeleteItem", Delay(600))

    async def saved():
        return await around.aws.object(KEY) is not None

    await killed_apply(around, workspace, when=lambda output: has_made(4)(output) and "Releasing" in output)
    assert await saved()

    ended = await terminal.run("recover", "staging")

    assert ended.code == 0
    assert "Nothing was left behind in staging" in ended.out
    assert "Nothing was changed." in ended.out


async def test_it_still_answers_after_the_unlock_and_says_what_it_rests_on(around, terminal, workspace):
    write(workspace, c=600)
    await killed_apply(around, workspace, when=has_made(3))
    lock = (await terminal.run("status", "staging", "--json")).document["lock"]["id"]
    await unlocked(workspace, lock)

    ended = await terminal.run("recover", "staging")

    assert ended.code == 0
    assert "made and not recorded" in ended.out
    assert 'to = terraform_data.each["a b"]' in ended.out
    assert "whether it held the lock is not known" in ended.out


async def test_the_versions_are_told_with_what_changed(around, terminal, workspace):
    write(workspace)
    await around.aws.delete_versions(KEY)
    await around.aws.delete_item(f"{around.aws.bucket}/{KEY}-md5")
    await workspace.init()
    await workspace.checked("apply", "-auto-approve")
    (workspace.directory / "objects.tf").write_text('resource "terraform_data" "new" {}\n')
    await workspace.checked("apply", "-auto-approve")

    found = (await terminal.run("recover", "staging", "--json")).document

    newest, older = found["versions"][:2]
    assert newest["added"] == ["terraform_data.new"]
    assert set(newest["removed"]) >= DONE
    assert (newest["resources"], older["resources"]) == (1, 4)
    assert newest["serial"] > older["serial"]
    assert found["digest"]["right"] == found["digest"]["item"]


async def test_a_state_that_nobody_ran_is_said_to_be_unknown(around, terminal):
    ended = await terminal.run("recover", "staging")

    assert ended.code == 1
    assert "We can't tell what was left behind in staging" in ended.out


async def test_a_run_of_no_configured_pipeline_is_named(around, terminal):
    ended = await terminal.run("recover", "staging", "https://ci.example.com/runs/1")

    assert ended.code == 1
    assert "https://ci.example.com/runs/1" in ended.err
