"""What `/tflock kill-job` finds, ends and starts again, with GitHub's stand-in as the truth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.gate.stages import KillStage
from bot.core.reports.kill import KillReport, Stake
from bot.core.run import Pipeline
from bot.errors import NoSuchRun, NotPermitted, UnknownState
from bot.sandbox.stage import DEPLOY, REPO, UPDATE
from bot.usecases.kill import carry_out as killing
from bot.usecases.kill import kill_job
from tests.worlds.memory.ci import MemoryCI
from tests.worlds.memory.world import CHANNEL as PAPER_CHANNEL
from tests.worlds.proxy import Deny, Throttle

CHANNEL = "C0STAGING"


async def ask(scene, target, user="U0QUINN"):
    return await kill_job.ask(scene.ports, kill_job.KillCommand(target, user, CHANNEL, scene.incident))


async def wish(scene, report, key=None, *, stop=True, user="U0QUINN"):
    """One member's click."""
    key = key or report.chosen.key
    await kill_job.confirm(scene.ports, report.request.id, key, user=user, stop_source=stop)


async def confirm(scene, report, key=None, *, stop=True, user="U0QUINN"):
    """As many members' clicks as it takes."""
    await wish(scene, report, key, stop=stop, user=user)
    target = next(target for target in report.targets if target.key == (key or report.chosen.key))
    if target.needs_second:
        await kill_job.approve(scene.ports, report.request.id, target.key, user="U0PARKER")


async def looping(scene, count=6):
    """A workflow that was started again and again, its newest runs still going on."""
    lock, holder = await scene.running_lock()
    runs = [scene.github.runs.start_run(REPO, UPDATE, actor="dependency-bot") for _ in range(count)]
    return lock, holder, runs


def active(scene):
    return scene.github.runs.workflow(REPO, UPDATE).state == "active"


async def test_the_run_that_holds_the_lock_is_found_by_its_state_and_ended(scene):
    lock, run = await scene.running_lock()
    report = await ask(scene, "staging")
    await confirm(scene, report)
    await scene.work()
    scene.forward(5)

    await scene.work()

    assert (report.stage, report.chosen.tie) == (KillStage.FOUND, Stake.HOLDS)
    assert scene.github.runs.run(run.id).has_ended
    (ended,) = await scene.entries("kill.confirmed")
    assert ended.facts["ended"] is True
    assert await scene.stands(lock)


@pytest.mark.parametrize("spelled", ["id", "url"])
async def test_a_run_is_found_by_its_id_and_by_its_page(scene, spelled):
    _, run = await scene.running_lock()
    target = str(run.id) if spelled == "id" else f"{scene.github.base_url}/{REPO}/actions/runs/{run.id}"

    report = await ask(scene, target)

    assert [[each.ref.id for each in found.runs] for found in report.targets] == [[str(run.id)]]


async def test_a_run_that_could_be_read_while_its_pipeline_could_not_be_listed_may_hold_the_lock(scene):
    lock, run = await scene.running_lock()
    scene.github.answer_next("GET .*/workflows/.*/runs", status=404, times=100)

    report = await ask(scene, str(run.id))

    assert (report.chosen.tie, report.chosen.needs_second) == (Stake.HOLDS, True)
    assert await scene.stands(lock)


def test_a_choice_among_runs_of_two_pipelines_with_the_same_id_means_the_one_that_was_shown(make_paper):
    """Jenkins counts the builds of each job from 1."""
    paper = make_paper()
    jobs = [Pipeline(name, (("job", f"infra/{name}"),)) for name in ("deploy", "update")]
    for job in jobs:
        ci = MemoryCI(paper.clock, (job,), name=job.ci)
        ci.start("47", job, host=None)
        paper.ports.sources[job.ci] = ci
    state = replace(paper.ports.states["staging"], pipelines=tuple(jobs))
    world = replace(paper.ports, states={"staging": state})
    wish = kill_job.KillCommand("staging", "U0QUINN", PAPER_CHANNEL, paper.incident.id)
    report = paper.run(kill_job.ask(world, wish))

    for target in report.targets:
        paper.run(kill_job.choose(world, report.request.id, target.key, user="U0QUINN"))
        assert paper.messenger.all(KillReport)[-1].chosen.runs[0].ref == target.runs[0].ref
    assert {target.runs[0].ref.pipeline for target in report.targets} == set(jobs)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("https://github.example.org/evil/repo/actions/runs/1", NoSuchRun),
        ("../etc", NoSuchRun),
        ("stagin", UnknownState),
    ],
)
async def test_what_is_no_run_of_ours_is_refused_without_a_request(scene, target, error):
    await scene.running_lock()
    asked = len(scene.github.asked)

    with pytest.raises(error):
        await ask(scene, target)

    assert len(scene.github.asked) == asked


async def test_where_nothing_runs_there_is_nothing_to_end(scene):
    await scene.dead_lock()

    report = await ask(scene, "staging")

    assert report.stage is KillStage.NOTHING
    assert scene.jobs.waiting == {}


async def test_a_loop_is_stopped_at_its_source_first_and_its_newest_runs_are_ended_too(scene):
    lock, holder, runs = await looping(scene)
    report = await ask(scene, "staging")
    await confirm(scene, report, report.targets[0].key)
    late = scene.github.runs.start_run(REPO, UPDATE, actor="dependency-bot")
    await scene.work()
    scene.forward(5)

    await scene.work()

    assert report.stage is KillStage.CHOOSE
    assert not active(scene)
    assert all(scene.github.runs.run(run.id).has_ended for run in [*runs, late])
    assert not scene.github.runs.run(holder.id).has_ended
    assert await scene.stands(lock)


async def test_new_runs_of_a_loop_are_found_even_if_the_first_listing_failed(scene):
    await looping(scene)
    report = await ask(scene, "staging")
    await confirm(scene, report, report.targets[0].key)
    late = scene.github.runs.start_run(REPO, UPDATE, actor="dependency-bot")
    scene.github.answer_next("GET .*/workflows/.*/runs", status=404, times=1)
    for _ in range(3):
        await scene.work()
        scene.forward(5)

    assert scene.github.runs.run(late.id).has_ended


async def test_only_the_runs_are_cancelled_if_the_source_is_to_go_on(scene):
    _, _, runs = await looping(scene)
    report = await ask(scene, "staging")
    await confirm(scene, report, report.targets[0].key, stop=False)
    await scene.work()

    assert active(scene)
    assert scene.github.runs.run(runs[0].id).has_ended


async def test_a_loop_that_was_stopped_is_started_again_on_purpose(scene):
    await looping(scene)
    report = await ask(scene, "staging")
    await confirm(scene, report, report.targets[0].key)
    await scene.work()
    stopped = not active(scene)

    await kill_job.restart(scene.ports, report.request.id, user="U0PARKER")

    assert stopped
    assert active(scene)


async def test_the_channel_is_reminded_of_a_stopped_source_until_somebody_starts_it_again(scene):
    await looping(scene)
    report = await ask(scene, "staging")
    await confirm(scene, report, report.targets[0].key)
    await scene.work()

    def reminders():
        return [text for text in scene.said() if "is still disabled" in text]

    scene.forward(3601)
    await scene.work()
    await killing.remind(scene.ports, report.request.id, 0)  # delivered twice
    assert len(reminders()) == 1
    assert "dependency-update.yml" in reminders()[0]
    assert "[Re-enable workflow]" in reminders()[0]

    scene.forward(86_401)
    await scene.work()
    assert len(reminders()) == 2

    await kill_job.restart(scene.ports, report.request.id, user="U0PARKER")
    scene.forward(86_401)
    await scene.work()
    assert len(reminders()) == 2


async def test_a_cancel_that_is_not_allowed_fails_at_once_and_says_so(scene):
    _, run = await scene.running_lock()
    report = await ask(scene, "staging")
    await confirm(scene, report)
    scene.github.answer_next("POST .*/cancel", status=403, times=10)

    await scene.work()

    assert not scene.github.runs.run(run.id).has_ended
    (failed,) = await scene.entries("kill.confirmed")
    assert failed.facts["ended"] is False
    assert scene.jobs.waiting == {}


async def test_a_stubborn_run_is_ended_by_force_after_five_minutes(scene):
    lock = await scene.lock()
    run = scene.github.runs.start_run(REPO, DEPLOY, at=lock.created, stubborn=True)
    report = await ask(scene, "staging")
    await confirm(scene, report)
    await scene.work()
    scene.forward(60)
    await scene.work()
    alive = not scene.github.runs.run(run.id).has_ended
    scene.forward(300)

    await scene.work()
    scene.forward(5)
    await scene.work()

    assert alive
    assert scene.github.runs.run(run.id).has_ended
    assert len([asked for asked in scene.github.asked if "force-cancel" in asked]) == 1


async def test_slack_being_away_does_not_stop_a_kill(scene):
    lock = await scene.lock()
    run = scene.github.runs.start_run(REPO, DEPLOY, at=lock.created, stubborn=True)
    report = await ask(scene, "staging")
    await confirm(scene, report)
    scene.slack.refuse("chat.update", "internal_error", times=None)
    await scene.work()
    scene.slack.heal()
    scene.github.runs.finish(run.id, "cancelled")
    scene.forward(5)

    await scene.work()

    assert scene.failures == []
    assert len(await scene.entries("kill.confirmed")) == 1


@pytest.mark.parametrize("user", ["U0GUEST", "U0STRANGER", "U0OUTSIDE"])
async def test_who_may_not_act_here_ends_nothing(scene, user):
    _, run = await scene.running_lock()
    with pytest.raises(NotPermitted):
        await ask(scene, "staging", user)
    report = await ask(scene, "staging")

    with pytest.raises(NotPermitted):
        await confirm(scene, report, user=user)

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended


async def test_a_second_click_on_a_kill_is_told_that_it_is_under_way(scene):
    await scene.running_lock()
    report = await ask(scene, "staging")
    await confirm(scene, report)

    with pytest.raises(NotPermitted):
        await confirm(scene, report, user="U0PARKER")

    assert len(await scene.entries("kill.requested")) == 1


async def other_loop(scene, starts):
    """Another workflow becomes the loop with the most starts."""
    return [scene.github.runs.start_run(REPO, DEPLOY, actor="dependency-bot") for _ in range(starts)]


async def test_a_click_ends_the_loop_that_was_shown_even_if_another_has_more_starts_by_then(scene):
    _, _, runs = await looping(scene)
    report = await ask(scene, "staging")
    others = await other_loop(scene, 12)

    await confirm(scene, report, report.targets[0].key)
    await scene.work()

    assert report.targets[0].loop.pipeline.get("workflow") == UPDATE
    assert not active(scene)
    assert scene.github.runs.workflow(REPO, DEPLOY).state == "active"
    assert all(scene.github.runs.run(run.id).has_ended for run in runs)
    assert not any(scene.github.runs.run(run.id).has_ended for run in others)


async def test_a_loop_of_which_a_run_may_hold_the_lock_is_not_said_to_only_want_it(scene):
    lock = await scene.lock(ago=300)
    for _ in range(6):
        scene.github.runs.start_run(REPO, UPDATE, at=lock.created, actor="dependency-bot")

    report = await ask(scene, "staging")

    assert report.targets[0].loop is not None
    assert report.targets[0].tie is Stake.HOLDS


async def test_a_run_may_hold_a_lock_that_cannot_be_read(scene):
    await scene.running_lock(file=False)
    scene.proxy.fault("dynamodb:GetItem", Deny())

    report = await ask(scene, "staging")

    assert report.request.lock_id == ""
    assert report.chosen.tie is Stake.HOLDS


async def test_a_click_on_a_kill_is_refused_once_the_lock_has_changed_hands(scene):
    lock, run = await scene.running_lock()
    report = await ask(scene, "staging")
    await scene.aws.delete_item(lock.path)
    await scene.aws.delete_object(f"{lock.path.partition('/')[2]}.tflock")
    newer, _ = await scene.running_lock(ago=60)

    with pytest.raises(NotPermitted, match="changed hands"):
        await confirm(scene, report)

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended
    assert await scene.stands(newer)


# what may hold the lock takes two


async def test_the_askers_click_on_a_holder_ends_nothing_and_asks_for_a_second_member(scene):
    lock, run = await scene.running_lock()
    report = await ask(scene, "staging")

    await wish(scene, report, user="U0QUINN")

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended
    assert "needs a second person" in scene.said()[-1]
    assert "[Approve and end it]" in scene.said()[-1]
    assert [entry.actor for entry in await scene.entries("kill.requested")] == ["U0QUINN"]
    assert await scene.stands(lock)


async def test_a_second_members_approval_ends_the_holder_and_is_written_down(scene):
    lock, run = await scene.running_lock()
    report = await ask(scene, "staging")
    await wish(scene, report, user="U0QUINN")

    await kill_job.approve(scene.ports, report.request.id, report.chosen.key, user="U0PARKER")
    await scene.work()
    scene.forward(5)
    await scene.work()

    assert scene.github.runs.run(run.id).has_ended
    assert [entry.actor for entry in await scene.entries("kill.requested")] == ["U0QUINN"]
    assert [entry.actor for entry in await scene.entries("kill.approved")] == ["U0PARKER"]
    assert [entry.facts["ended"] for entry in await scene.entries("kill.confirmed")] == [True]
    assert await scene.stands(lock)


async def test_two_members_who_press_the_first_button_are_two(scene):
    _, run = await scene.running_lock()
    report = await ask(scene, "staging")

    await wish(scene, report, user="U0PARKER")
    ended_by_one = await scene.work()
    await wish(scene, report, user="U0QUINN")
    await scene.work()

    assert ended_by_one == 0
    assert scene.github.runs.run(run.id).has_ended
    assert [entry.actor for entry in await scene.entries("kill.requested")] == ["U0PARKER"]
    assert [entry.actor for entry in await scene.entries("kill.approved")] == ["U0QUINN"]


@pytest.mark.parametrize("user", ["U0QUINN", "U0GUEST", "U0STRANGER", "U0OUTSIDE"])
async def test_neither_the_asker_nor_who_may_not_act_here_can_approve(scene, user):
    lock, run = await scene.running_lock()
    report = await ask(scene, "staging")
    await wish(scene, report, user="U0QUINN")

    with pytest.raises(NotPermitted):
        await kill_job.approve(scene.ports, report.request.id, report.chosen.key, user=user)

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended
    assert await scene.stands(lock)


async def test_an_asker_who_clicks_twice_is_still_one_member(scene):
    _, run = await scene.running_lock()
    report = await ask(scene, "staging")

    await wish(scene, report, user="U0QUINN")
    await wish(scene, report, user="U0QUINN")

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended
    assert len(await scene.entries("kill.requested")) == 1


async def test_an_approval_that_comes_too_late_ends_nothing(scene):
    _, run = await scene.running_lock()
    report = await ask(scene, "staging")
    await wish(scene, report, user="U0QUINN")
    scene.forward(16 * 60)

    with pytest.raises(NotPermitted, match="more than 15 min ago"):
        await kill_job.approve(scene.ports, report.request.id, report.chosen.key, user="U0PARKER")

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended


async def test_nothing_is_approved_that_nobody_has_confirmed(scene):
    _, run = await scene.running_lock()
    report = await ask(scene, "staging")

    with pytest.raises(NotPermitted):
        await kill_job.approve(scene.ports, report.request.id, report.chosen.key, user="U0PARKER")

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended


async def test_an_approval_is_refused_once_the_lock_has_changed_hands(scene):
    lock, run = await scene.running_lock()
    report = await ask(scene, "staging")
    await wish(scene, report, user="U0QUINN")
    await scene.aws.delete_item(lock.path)
    await scene.aws.delete_object(f"{lock.path.partition('/')[2]}.tflock")
    newer, _ = await scene.running_lock(ago=60)

    with pytest.raises(NotPermitted, match="changed hands"):
        await kill_job.approve(scene.ports, report.request.id, report.chosen.key, user="U0PARKER")

    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended
    assert await scene.stands(newer)


async def test_what_only_contends_is_ended_by_the_askers_own_click(scene):
    lock, _, runs = await looping(scene)
    report = await ask(scene, "staging")

    await wish(scene, report, report.targets[0].key, user="U0QUINN")
    await scene.work()

    assert not active(scene)
    assert all(scene.github.runs.run(run.id).has_ended for run in runs)
    assert await scene.entries("kill.approved") == []
    assert await scene.stands(lock)


async def test_a_loop_that_hides_the_lock_by_throttling_is_stopped_by_the_askers_own_click(scene):
    lock = await scene.lock(file=False)
    runs = [scene.github.runs.start_run(REPO, UPDATE, actor="dependency-bot") for _ in range(6)]
    fault = scene.proxy.fault("dynamodb:GetItem", Throttle())
    report = await ask(scene, "staging")

    await wish(scene, report, report.targets[0].key, user="U0QUINN")
    await scene.work()
    fault.lift()

    assert report.targets[0].tie is Stake.UNREAD
    assert not active(scene)
    assert all(scene.github.runs.run(run.id).has_ended for run in runs)
    assert await scene.stands(lock)


async def test_a_single_run_takes_two_while_a_throttled_table_hides_the_lock(scene):
    _, run = await scene.running_lock(file=False)
    scene.proxy.fault("dynamodb:GetItem", Throttle())
    report = await ask(scene, "staging")

    await wish(scene, report, user="U0QUINN")

    assert report.chosen.tie is Stake.UNREAD
    assert await scene.work() == 0
    assert not scene.github.runs.run(run.id).has_ended
