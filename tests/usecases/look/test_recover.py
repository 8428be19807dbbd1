"""`recover`: which run it is about, while the lock stands and after it was released; what it writes down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.account.story import Story
from bot.core.hold import OPERATION
from bot.core.phrase import plain
from bot.core.record.timeline import Kind, canonical
from bot.core.recovery.recovery import HowFound, dont, next_steps
from bot.errors import NoSuchRun, UnknownState
from bot.sandbox.machine.aws import WrittenLock
from bot.slack.render.recovery import recovery_json, recovery_lines
from bot.usecases.look.recover import Asked, recover, write_down
from tests.usecases.conftest import KEY
from tests.worlds.logs import printed
from tests.worlds.proxy import Cut, Deny

MADE = "aws_instance.web: Creation complete after 3s [id=i-0aa]"


async def dead_with(scene, *lines, **how):
    """A dead run behind a lock, whose log has these lines after the lock was taken."""
    lock, run = await scene.dead_lock(**how)
    told = [(lock.created + timedelta(seconds=n + 1), line) for n, line in enumerate(lines)]
    printed(run, told, path=lock.path)
    return lock, run


def steps(found):
    return " ".join(plain(step) for step in (*next_steps(found), *dont(found)))


async def test_while_the_lock_stands_it_is_about_the_run_that_holds_it(scene):
    lock, run = await dead_with(scene, "aws_instance.web: Creating...", MADE)

    found = await recover(scene.ports, "staging")

    assert found.found is HowFound.HOLDS
    assert found.run.ref.id == str(run.id)
    assert [one.address for one in found.difference.made] == ["aws_instance.web"]
    assert found.is_locked
    assert "Do not apply before the import" in steps(found)
    assert await scene.stands(lock)


async def test_after_the_release_the_timeline_says_whose_lock_it_was(scene):
    lock, run = await dead_with(scene, MADE)
    report = await scene.ask()
    await scene.confirm(report)
    await scene.work()
    assert not await scene.stands(lock)

    found = await recover(scene.ports, "staging", Asked(incident=report.request.incident))

    assert found.found is HowFound.HELD
    assert (found.run.ref.id, found.lock.id) == (str(run.id), lock.id)
    assert [one.address for one in found.difference.made] == ["aws_instance.web"]
    assert not found.is_locked


async def test_the_next_run_that_holds_the_state_by_now_is_not_taken_for_the_dead_one(scene):
    lock, run = await dead_with(scene, MADE)
    report = await scene.ask()
    await scene.confirm(report)
    await scene.work()
    next_lock, next_run = await scene.running_lock(ago=5)

    by_button = await recover(scene.ports, "staging", Asked(lock_id=lock.id, incident=report.request.incident))
    typed = await recover(scene.ports, "staging", Asked(incident=report.request.incident))

    assert by_button.run.ref.id == typed.run.ref.id == str(run.id) != str(next_run.id)
    assert by_button.is_locked
    assert await scene.stands(next_lock)


async def test_under_a_hold_the_step_is_to_end_the_hold_and_not_to_unlock(scene):
    lock, run = await dead_with(scene, MADE)
    report = await scene.ask()
    await scene.confirm(report)
    await scene.work()
    hold = WrittenLock("hold-1", scene.clock.now(), lock.path, who="tflock@inc (@quinn)", operation=OPERATION)
    await scene.aws.hold(KEY, hold.text, item=True, file=True)

    found = await recover(scene.ports, "staging", Asked(lock_id=lock.id, incident=report.request.incident))

    assert (found.run.ref.id, found.is_locked) == (str(run.id), True)
    assert "/tflock hold staging off" in steps(found)
    assert "/tflock unlock" not in steps(found)
    assert await scene.stands(hold)


async def test_what_was_found_is_written_down_with_its_blocks_and_becomes_a_follow_up(scene):
    await dead_with(scene, MADE)
    report = await scene.ask()

    await write_down(scene.ports, report.request.incident, await recover(scene.ports, "staging"), "U0QUINN")

    (entry,) = await scene.entries(Kind.RECOVERY_LOOKED)
    assert entry.actor == "U0QUINN"
    assert entry.facts["made"] == ["aws_instance.web"]
    assert 'id = "i-0aa"' in entry.facts["import_blocks"]
    assert len(canonical(dict(entry.facts))) < 32_000
    story = Story(await scene.ports.journal.find(report.request.incident))
    async for each in scene.ports.journal.entries(report.request.incident):
        story.learn(each)
    followups = story.account(now=scene.ports.clock.now(), names={}).followups
    assert "Import 1 resource into staging" in [one.title for one in followups]


async def test_a_log_that_cannot_be_read_is_said_and_nothing_is_made_up(scene):
    lock, _ = await dead_with(scene, MADE)
    scene.github.answer_next(".*/logs", status=403, times=9)

    found = await recover(scene.ports, "staging")

    assert found.difference is None
    assert "log could not be read" in plain(found.why_not)
    assert "Read what it did in the run's own log" in steps(found)
    assert await scene.stands(lock)


async def test_a_state_that_cannot_be_read_is_said(scene):
    await dead_with(scene, MADE)
    scene.proxy.fault("s3:GetObject", Deny())

    found = await recover(scene.ports, "staging")

    assert found.difference is None
    assert "state could not be read" in plain(found.why_not)


async def test_versions_that_may_not_be_listed_do_not_stop_the_answer(scene):
    await dead_with(scene, MADE)
    scene.proxy.fault("s3:ListObjectVersions", Deny())

    found = await recover(scene.ports, "staging")

    assert found.difference is not None
    assert "ListBucketVersions" in found.no_versions
    assert not found.versions


async def test_a_state_that_terraform_could_not_save_comes_first(scene):
    await dead_with(scene, MADE, "│ Error: Failed to save state")

    found = await recover(scene.ports, "staging")

    assert found.left_state
    assert plain(next_steps(found)[0]).startswith("Its log says that Terraform could not save the state")
    assert "Do not apply before that state is saved" in steps(found)


async def test_a_digest_that_differs_is_told_with_the_right_one(scene):
    lock, _ = await dead_with(scene, MADE)
    await scene.aws.put_item(f"{lock.path}-md5", Digest="0" * 32)
    state = replace(scene.ports.states["staging"], table=scene.aws.table)

    found = await recover(replace(scene.ports, states={"staging": state}), "staging")

    assert found.newest.md5 in steps(found)
    assert "put-item" in steps(found)


async def test_an_unknown_state_and_an_address_of_no_pipeline_are_named(scene):
    with pytest.raises(UnknownState):
        await recover(scene.ports, "stagin")
    with pytest.raises(NoSuchRun):
        await recover(scene.ports, "staging", Asked("https://ci.example.com/1"))


async def test_a_run_of_which_nothing_is_known_is_none(scene):
    found = await recover(scene.ports, "staging")

    assert (found.run, found.found) == (None, None)
    assert "not known which run" in plain(found.why_not)


async def test_without_the_store_it_says_so_and_not_that_the_state_is_locked(scene):
    await dead_with(scene, MADE)
    scene.proxy.fault(lambda _: True, Cut())

    found = await recover(scene.ports, "staging")

    assert found.difference is None
    assert found.is_locked is None
    assert recovery_json(found)["locked"] is None
    assert "Whether the state is locked could not be read" in steps(found)
    assert "still locked" not in steps(found)


SECRET = "ghp_" + "a1B2" * 9


async def test_no_secret_in_a_key_comes_out_whole_or_in_part_and_blocks_are_kept_whole(scene):
    made = [f'aws_instance.web["{n:04d}"]: Creation complete after 1s [id=i-{n}]' for n in range(400)]
    hidden = [f'aws_instance.key["{SECRET}"]: Creation complete after 1s [id=i-{n}]' for n in range(3)]
    await dead_with(scene, *hidden, *made)
    report = await scene.ask()

    found = await recover(scene.ports, "staging")
    await write_down(scene.ports, report.request.incident, found, "U0QUINN")

    (entry,) = await scene.entries(Kind.RECOVERY_LOOKED)
    said = [*recovery_lines(found), json.dumps(recovery_json(found)), canonical(dict(entry.facts)), entry.text]
    assert not any("ghp_" in text for text in said)
    assert len(found.difference.made) == 403
    assert not any(one.block for one in found.difference.made[:3])
    kept = entry.facts["import_blocks"]
    assert found.blocks.startswith(f"{kept}\n\nimport")
    assert kept.endswith('"\n}')


@pytest.mark.parametrize(
    ("made", "said", "warns"),
    [
        ("null_resource.one: Creation complete after 0s [id=12]", "Leave 1 object to the next apply", False),
        ("aws_ecs_service.one: Creation complete after 0s [id=arn:x]", "Import or remove 1 object by hand", True),
    ],
)
async def test_what_the_next_apply_makes_again_is_left_to_it_and_what_has_to_be_imported_is_not(
    scene, made, said, warns
):
    await dead_with(scene, made)

    told = steps(await recover(scene.ports, "staging"))

    assert said in told
    assert ("Do not apply before the import" in told) is warns


async def test_what_a_later_run_removed_is_not_called_not_recorded(scene):
    lock, _ = await dead_with(scene, MADE, "aws_instance.two: Creation complete after 3s [id=i-0bb]")
    key = lock.path.partition("/")[2]
    await scene.aws.put_state(key, state_with("i-0aa"))
    await scene.aws.put_state(key, state_with("i-0cc"))

    found = await recover(scene.ports, "staging")

    assert [one.address for one in found.difference.made] == ["aws_instance.two"]
    assert [one.address for one in found.difference.unsure] == ["aws_instance.web"]
    assert "saved again after the run ended" in " ".join(plain(gap) for gap in found.gaps)
    assert "Do not take this list for complete" in steps(found)


def state_with(name):
    one = {"schema_version": 0, "attributes": {"id": name}}
    resource = {"mode": "managed", "type": "aws_instance", "name": "web", "provider": "p", "instances": [one]}
    return json.dumps(
        {
            "version": 4,
            "terraform_version": "1.9.8",
            "serial": 9,
            "lineage": "l",
            "outputs": {},
            "resources": [resource],
        }
    ).encode()
