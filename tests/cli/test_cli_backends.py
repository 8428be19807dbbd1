"""Every backend that is not S3, by way of the command line: what `status` shows, and that the doctor finds all well."""

import pytest

from bot.core.lock import PlaceKind
from tests.backends.worlds import each_but
from tests.worlds.gitlab_states import Account

SECRET = "store-distinctive-4712"
every = each_but("s3", "http", more=[("hcp", ("user",))])


@pytest.fixture
def world(chosen_world, terminal):
    found, name = chosen_world, chosen_world.section.type
    if name == "gcs":
        found.storage.token, variable = SECRET, {"GCS_TOKEN": SECRET}
    elif name == "hcp":
        found.hcp.token, variable = SECRET, {"TFE_TOKEN": SECRET}
    elif name == "gitlab":
        found.storage.accounts, variable = {SECRET: Account("tflock-bot")}, {"GITLAB_TOKEN": SECRET}
    else:
        found.storage.signature = SECRET
        variable = {"AZURE_SAS": found.storage.sas_token}
    backend = found.section.model_dump(exclude_none=True)
    terminal.settings["states"]["staging"]["backend"] = backend
    terminal.environ |= variable
    return found


@every
async def test_status_shows_the_lock_and_its_holder(terminal, world):
    lock = world.lock()
    await world.take(lock)
    await world.put_state()

    ended = await terminal.run("status", "staging", "--json")

    assert ended.code == 0, ended.err
    assert lock.id in ended.out
    assert lock.who in ended.out
    assert ended.document["state"] is not None


@every
async def test_the_doctor_finds_all_well_and_leaves_everything_as_it_was(terminal, world):
    await world.take(world.lock())
    await world.put_state()
    before = await world.everything()

    ended = await terminal.run("doctor", "--json")

    mine = [one for one in ended.document["checks"] if one["area"] == "staging"]
    checks = [(one["subject"], one["level"], one["detail"]) for one in mine]
    assert {subject for subject, *_ in checks} >= {"lock", "state", "versions", f"release of the {world.kinds[0]}"}
    can_hold = world.kinds[0] in {PlaceKind.FILE, PlaceKind.LEASE}
    assert (f"hold in the {world.kinds[0]}" in {subject for subject, *_ in checks}) is can_hold
    assert [check for check in checks if check[1] != "ok" and check[0] != "logs"] == []
    assert await world.everything() == before


@every
async def test_the_doctor_names_the_right_that_a_release_lacks(terminal, world):
    (kind,) = world.kinds
    await world.take(world.lock())
    world.forbid_deletes(kind)

    ended = await terminal.run("doctor", "--json")

    mine = [one for one in ended.document["checks"] if one["subject"] == f"release of the {kind}"]
    (found,) = [one for one in mine if one["level"] == "fail"]
    assert world.delete_right(kind) in found["detail"]
    assert await world.stands(kind) is not None
    assert ended.code == 1


@every
@pytest.mark.usefixtures("world")
async def test_a_missing_variable_is_a_problem_of_the_configuration(terminal):
    terminal.environ.pop("GCS_TOKEN", None)
    terminal.environ.pop("GITLAB_TOKEN", None)
    terminal.environ.pop("AZURE_SAS", None)
    terminal.environ.pop("TFE_TOKEN", None)

    ended = await terminal.run("status", "staging")

    assert ended.code == 2
    assert "is not set" in ended.err


@pytest.fixture
def unshown(chosen_world, terminal):
    """A state of which nobody sees the lock who only looks."""
    terminal.settings["states"]["staging"]["backend"] = chosen_world.section.model_dump(exclude_none=True)
    user, _, password = chosen_world.storage.credentials.partition(":")
    terminal.environ |= {"STATE_USER": user, "STATE_PASSWORD": password}
    return chosen_world


@pytest.mark.parametrize("chosen", [("http", ("LOCK",))])
async def test_no_command_takes_a_lock_to_see_it(terminal, unshown):
    await unshown.take(unshown.lock())
    await unshown.put_state()

    shown = await terminal.run("status", "staging", "--json")
    checked = await terminal.run("doctor", "--json")
    waited = await terminal.run("wait", "staging", "--timeout", "1m")
    allowed = await terminal.run("policy")

    assert "no request that only reads a lock" in shown.out
    mine = {one["subject"]: one["level"] for one in checked.document["checks"] if one["area"] == "staging"}
    assert (mine["lock"], mine["state"], mine["release of the lock record"]) == ("warn", "ok", "warn")
    assert (waited.code, "no request that only reads a lock" in waited.err) == (1, True)
    assert "the right to unlock" in allowed.out
    assert {method for method, *_ in unshown.storage.asked} == {"GET"}
