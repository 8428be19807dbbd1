"""Every message as it reads, stage by stage. The snapshots are the words; the tests are what must hold of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.gate.approval import NOBODY_MAY
from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.inspection import StateName
from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.lock import (
    DigestMatch,
    DigestSeen,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceRelease,
    ReleaseResult,
    StateAbsent,
    StateCheck,
    StateSeen,
)
from bot.core.people import BOT, OwnerAnswer, OwnerSays, Presence, Whereabouts
from bot.core.phrase import Quoted
from bot.core.policy import ApprovalPolicy, Approvers
from bot.core.reports.button import ButtonValue, parse_button
from bot.core.reports.kill import KillReport, Stake
from bot.core.reports.owner_message import HolderRun, Nudge, OwnerMessage, OwnerMessageStatus, OwnerNews, OwnerNotice
from bot.core.reports.report import Notice, Overview, StatusReport
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.who import HeldLock, StandIn, StandIns, UserReport, WhoReport
from bot.core.run import Conclusion, Phase, Switched, SwitchResult
from bot.sandbox.slack.text import flat
from bot.slack.render import (
    kill_message,
    notice_message,
    nudge_message,
    overview_message,
    owner_message,
    status_message,
    unlock_message,
    user_message,
    who_message,
)
from bot.slack.render.page import help_message


def actions(message):
    return {
        element["action_id"]: element
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    }


def status(scene, **changes):
    answer = changes.pop("answer", None)
    trouble = changes.pop("trouble", "")
    inspection = scene.inspection(**changes)
    verdict = scene.verdict(inspection, owner=answer) if inspection.lock else None
    return status_message(StatusReport(inspection, verdict, answer, trouble))


@pytest.fixture
def reads(snapshot, written, sound):
    def check(message):
        sound(message)
        assert written(message) == snapshot

    return check


# ── status


def test_a_locked_state_reads_from_the_verdict_down(scene, reads):
    reads(status(scene))


def test_a_running_holder_refuses_and_says_how_to_end_it(scene, reads):
    message = status(scene, run=scene.run(phase=Phase.RUNNING))
    assert "Don't unlock it" in message.text
    assert [*actions(message)] == ["watch.start", "status.when_safe", "status.who", "status.kill", "status.share"]
    reads(message)


def test_a_run_that_has_just_ended_says_until_when_to_wait(scene, reads):
    run = scene.run()
    ended = scene.now - timedelta(seconds=90)
    job = replace(run.jobs[0], ended_at=ended)
    message = status(scene, run=replace(run, ended_at=ended, jobs=(job,)), contended=False)
    assert "It can be unlocked at" in message.text
    assert next(iter(actions(message))) == "status.when_safe"
    reads(message)


def test_a_protected_state_needs_a_second_member(scene, reads):
    reads(status(scene, protected=True, contended=False))


def test_a_free_state_says_so_and_offers_no_unlock(scene, reads):
    message = status(scene, seen=scene.free)
    assert "staging is free" in message.text
    assert "unlock staging" not in str(message.blocks)
    reads(message)


def test_a_lock_that_cannot_be_read_is_not_called_free(scene, reads):
    message = status(scene, seen=scene.unreadable)
    assert "We can't tell whether staging is locked" in message.text
    assert "staging is free" not in str(message.blocks)
    assert "watch.start" in actions(message)
    reads(message)


def test_one_half_that_is_left_is_named(scene, reads):
    seen = replace(scene.seen(), free=(PlaceKind.FILE,))
    message = status(scene, seen=seen, contended=False)
    assert "only the DynamoDB item is left" in str(message.blocks)
    reads(message)


def test_two_locks_and_garbage_are_told_apart(scene, reads):
    other = replace(scene.lock, id="b1f0c3a2-0000-4000-8000-000000000000", who="root@ip-10-0-0-1")
    two = scene.seen(
        LockPlace(PlaceKind.FILE, "s3://x", "e", scene.lock), LockPlace(PlaceKind.ITEM, "table", "i", other)
    )
    reads(status(scene, seen=two, contended=False))
    broken = scene.seen(LockPlace(PlaceKind.ITEM, "acme-tf-locks / x", "i", None, "lock info is not JSON"))
    reads(status(scene, seen=broken, contended=False))


def test_a_digest_that_differs_comes_with_its_mend(scene, reads):
    check = replace(scene.stored, digest=DigestSeen(DigestMatch.DIFFERS, "acme-tfstate/x-md5", "0aa0", "0cc1"))
    reads(status(scene, check=check, contended=False))


@pytest.mark.parametrize("kind", ["broken", "gone", "never", "unseen", "not found"])
def test_a_state_that_is_not_whole_is_described(scene, reads, kind):
    now = scene.now
    what = {
        "broken": Found(
            StateSeen(3, now - timedelta(hours=1), "a", None, None, None, "it is cut off", None, "v12"), now
        ),
        "gone": Found(StateAbsent(("a digest item stands there",), "v12"), now),
        "never": Found(StateAbsent(), now),
        "unseen": Unseen("S3", Trouble.DENIED, "S3 denies s3:GetObject", now),
        "not found": NotFound("S3", "there is no bucket acme-tfstate", now),
    }[kind]
    check = StateCheck(what, DigestSeen(DigestMatch.UNSEEN, detail="DynamoDB timed out"))
    reads(status(scene, check=check, contended=False))


def test_without_the_timeline_reading_works_and_unlocking_does_not(scene, reads):
    message = status(scene, trouble="Redis's memory is full", contended=False)
    assert "nothing can be unlocked now: Redis's memory is full" in message.text
    assert "status.unlock" not in actions(message)
    assert "You can unlock it now" not in message.text
    reads(message)


def test_the_owners_answer_is_shown(scene, reads):
    answer = OwnerAnswer(scene.lock.id, "U0ELLIOTT", OwnerSays.RUNNING, scene.now - timedelta(minutes=3))
    message = status(scene, answer=answer, contended=False)
    assert "Its owner says it's still running" in message.text
    assert "status.unlock" not in actions(message)
    reads(message)


def test_a_ci_system_that_is_away_is_said_with_what_it_hides(scene, reads):
    inspection = scene.inspection(contended=False)
    look = replace(
        inspection.looks[0], listing=Unseen("GitHub Actions", Trouble.SERVER_ERROR, "GitHub answered 502", scene.now)
    )
    gone = replace(inspection, looks=(look,), attribution=replace(inspection.attribution, unseen=(look.listing,)))
    message = status_message(StatusReport(gone, scene.verdict(gone)))
    assert "GitHub answered 502" in str(message.blocks)
    assert "unlock.confirm" not in actions(message)
    reads(message)


def test_all_states_show_the_locked_ones_first(scene, reads):
    names = [StateName(name, "", protected=False) for name in ("billing", "production", "staging", "web")]
    seen = [scene.free, scene.unreadable, scene.seen(), scene.free]
    states = tuple(zip(names, seen, strict=True))
    message = overview_message(Overview(states, scene.now, "the timeline (Redis) is away"))
    assert message.text.startswith("1 of 4 states locked")
    reads(message)


# ── unlock


def unlock(scene, stage, **changes):
    inspection = changes.pop("inspection", None) or scene.inspection(contended=False)
    verdict = changes.pop("verdict", None) or scene.verdict(inspection)
    return unlock_message(UnlockReport(scene.unlock_request, stage, inspection, verdict, **changes))


@pytest.mark.parametrize("stage", UnlockStage)
def test_every_stage_of_an_unlock_has_a_message(scene, reads, stage):
    outcomes = {
        UnlockStage.RELEASED: {"places": (place(scene),), "took": timedelta(seconds=4), "approver": "U0PARKER"},
        UnlockStage.PARTLY_RELEASED: {"places": (place(scene, PlaceKind.FILE),), "left": (PlaceKind.ITEM,), "tries": 9},
        UnlockStage.HOLDER_CHANGED: {"now_held_by": replace(scene.lock, id="new-lock", who="root@ip-10-0-0-1")},
        UnlockStage.STILL_THROTTLED: {"tries": 31, "took": timedelta(minutes=3)},
        UnlockStage.NOT_KNOWN: {"places": (place(scene, result=ReleaseResult.NOT_KNOWN),), "tries": 2},
        UnlockStage.FAILED: {"places": (place(scene, result=ReleaseResult.DENIED, detail="no dynamodb:DeleteItem"),)},
        UnlockStage.RELEASING: {
            "tries": 4,
            "until": scene.now + timedelta(minutes=3),
            "note": ("the table throttles",),
        },
        UnlockStage.ARMED: {
            "until": scene.now + timedelta(hours=1),
            "verdict": scene.refusal(waits=True, until=scene.now + timedelta(seconds=90)),
        },
        UnlockStage.REFUSED: {"verdict": scene.refusal(waits=True, until=scene.now + timedelta(seconds=90))},
        UnlockStage.EXPIRED: {"note": ("nobody approved within ", timedelta(minutes=15), ".")},
    }
    message = unlock(scene, stage, **outcomes.get(stage, {}))
    assert outcome_of(stage) in str(message.blocks)
    reads(message)


def outcome_of(stage):
    """What a stage says of what was changed; of one that cannot be feared to have changed anything, its answer."""
    return {
        UnlockStage.DRY_RUN: "A dry run never changes anything.",
        UnlockStage.CHECKED: "staging is safe to unlock.",
        UnlockStage.ARMED: "staging will unlock itself at about",
        UnlockStage.RELEASING: "This message will show how it ends.",
        UnlockStage.RELEASED: "staging is unlocked.",
        UnlockStage.PARTLY_RELEASED: "The lockfile was deleted.",
        UnlockStage.NOT_KNOWN: "No other lock can have been touched.",
    }.get(stage, "Nothing was changed.")


@pytest.mark.parametrize(
    ("can", "says", "command"),
    [
        ({}, "No other lock can have been touched.", "status"),
        ({"conditional": False}, "one that was taken meanwhile may be gone", "status"),
        ({"conditional": False, "shows_lock": False}, "one that was taken meanwhile may be gone", "unlock"),
        (None, "", "status"),
    ],
)
def test_an_unknown_outcome_claims_of_other_locks_only_what_the_backends_condition_shows(scene, can, says, command):
    inspection = scene.inspection(contended=False)
    inspection = None if can is None else replace(inspection, can=replace(inspection.can, **can))
    places = (place(scene, result=ReleaseResult.NOT_KNOWN),)

    report = UnlockReport(scene.unlock_request, UnlockStage.NOT_KNOWN, inspection, None, places=places)
    text = str(unlock_message(report).blocks)

    assert says in text
    assert ("lock can have been touched" in text) is (can == {})
    assert ("may be gone" in text) is bool(can)
    assert f"/tflock {command} staging" in text


def place(scene, kind=PlaceKind.ITEM, *, result=ReleaseResult.RELEASED, detail=""):
    return PlaceRelease(LockPlace(kind, "acme-tf-locks / x", "fence", scene.lock), result, detail)


@pytest.mark.parametrize("is_left", [True, False], ids=["beside another lock", "of a state that was locked since"])
def test_a_release_names_the_other_half_only_where_another_place_held_another_lock(scene, is_left):
    newer = replace(scene.lock, id="new-lock", who="root@ip-10-0-0-1")
    item = LockPlace(PlaceKind.ITEM, "acme-tf-locks / x", "fence", newer)
    file = LockPlace(PlaceKind.FILE, "acme-tf / x.tflock", "fence", scene.lock)
    seen = LockSeen((file, item) if is_left else (item,), (), (), scene.now)
    inspection = replace(scene.inspection(contended=False), seen=seen)

    text = str(unlock(scene, UnlockStage.RELEASED, inspection=inspection).blocks)

    assert ("its other place has another lock" in text) is is_left
    assert ("staging is locked again" in text) is not is_left
    assert "ip-10-0-0-1" in text


def test_half_an_unlock_that_was_refused_says_what_is_gone_what_is_left_and_why(scene, reads):
    gone, changes = place(scene, PlaceKind.FILE), {"left": (PlaceKind.ITEM,), "verdict": scene.refusal(waits=True)}

    mine = unlock(scene, UnlockStage.PARTLY_RELEASED, places=(gone,), **changes)
    anothers = unlock(scene, UnlockStage.PARTLY_RELEASED, **changes)

    assert "the DynamoDB item is left" in mine.text
    assert "*quiet:* the state was written at" in str(mine.blocks)
    assert "The lockfile was deleted" in str(mine.blocks)
    assert "The other half is gone" in str(anothers.blocks)
    assert "Nothing was changed" not in str(mine.blocks) + str(anothers.blocks)
    reads(mine)


def test_an_allowed_unlock_has_a_danger_button_that_asks_once_more(scene):
    made = actions(unlock(scene, UnlockStage.CHECKED))
    assert [*made] == ["unlock.confirm", "unlock.decline"]
    button = made["unlock.confirm"]
    assert button["style"] == "danger"
    assert parse_button(button["value"]) == ButtonValue("staging", scene.lock.id, "r7k2")
    dialog = button["confirm"]["text"]["text"]
    assert "staging" in dialog
    assert scene.lock.id[:7] in dialog
    assert scene.lock.who in dialog


def test_an_unlock_that_needs_approval_offers_to_approve_and_to_decline(scene, reads):
    message = unlock(scene, UnlockStage.CHECKED, inspection=scene.inspection(protected=True, contended=False))
    assert set(actions(message)) == {"unlock.approve", "unlock.decline"}
    assert "<@U0QUINN>" in str(message.blocks)
    reads(message)


@pytest.mark.parametrize(
    ("by", "told"),
    [
        (Approvers.OWNER, "Only the owner of the lock can approve until"),
        (Approvers.GROUP, "Anyone in the approvers' group can approve until"),
        (Approvers.MEMBER, "Anyone else in this channel can approve until"),
    ],
)
def test_an_unlock_that_needs_approval_says_who_can_give_it_and_until_when(scene, by, told):
    inspection = scene.inspection(protected=True, contended=False)
    until, approval = scene.now + timedelta(minutes=15), ApprovalPolicy(by)
    message = unlock(scene, UnlockStage.CHECKED, inspection=inspection, until=until, approval=approval)
    assert told in str(message.blocks)


def test_where_nobody_may_approve_nobody_is_told_to_ask_again(scene):
    verdict = Verdict(Ruling.REFUSE, (Finding(Rule.APPROVER, Effect.REFUSES, NOBODY_MAY),))
    told = str(unlock(scene, UnlockStage.CHECKED, verdict=verdict).blocks)
    assert "let someone approve: `approval` in the configuration" in told
    assert "unlock staging`" not in told


def test_a_lock_from_a_persons_machine_leads_to_the_owners_answer(scene):
    unknown = Finding(Rule.TIED, Effect.REFUSES, ("we don't know which run holds it: no run",))
    human = Finding(Rule.HUMAN_HELD, Effect.REFUSES, ("only the owner can say",))
    both, alone = (
        str(unlock(scene, UnlockStage.CHECKED, verdict=Verdict(Ruling.REFUSE, findings)).blocks)
        for findings in ((unknown, human), (unknown,))
    )
    assert "Ask the owner to press “It's dead”" in both
    assert "can't release a lock whose run it doesn't know" not in both
    assert "can't release a lock whose run it doesn't know" in alone


def test_whoever_asks_outside_an_incident_channel_is_not_sent_to_this_one(scene):
    verdict = Verdict(Ruling.REFUSE, (Finding(Rule.REQUESTER, Effect.REFUSES, ("asks elsewhere",)),))
    told = str(unlock(scene, UnlockStage.CHECKED, verdict=verdict).blocks)
    assert "A full member of an incident channel can unlock it there" in told


def test_a_refusal_that_waiting_ends_offers_to_wait(scene, reads):
    until = scene.now + timedelta(seconds=30)
    message = unlock(scene, UnlockStage.CHECKED, verdict=scene.refusal(waits=True, until=until))
    assert set(actions(message)) == {"unlock.when_safe", "watch.start"}
    reads(message)


def test_a_refusal_that_waiting_does_not_end_offers_only_to_be_told(scene, reads):
    message = unlock(scene, UnlockStage.CHECKED, verdict=scene.refusal(waits=False))
    assert set(actions(message)) == {"watch.start"}
    reads(message)


def test_a_dry_run_has_no_button(scene):
    assert actions(unlock(scene, UnlockStage.DRY_RUN)) == {}


def test_an_armed_unlock_can_be_called_off(scene):
    assert set(actions(unlock(scene, UnlockStage.ARMED))) == {"unlock.disarm", "watch.start"}


@pytest.mark.parametrize(
    "stage", [s for s in UnlockStage if s not in {UnlockStage.CHECKED, UnlockStage.ARMED, UnlockStage.REFUSED}]
)
def test_an_outcome_has_no_button_left_but_that_to_be_told_where_it_is_still_locked(scene, stage):
    left = {
        UnlockStage.HOLDER_CHANGED: {"watch.start"},
        UnlockStage.STILL_THROTTLED: {"status.kill", "unlock.when_safe", "watch.start"},
        UnlockStage.PARTLY_RELEASED: {"watch.check"},
        UnlockStage.NOT_KNOWN: {"watch.check"},
        UnlockStage.FAILED: {"watch.check"},
        UnlockStage.RELEASED: {"recover.look"},
    }
    assert set(actions(unlock(scene, stage))) == left.get(stage, set())


def automatic(scene, stage, **changes):
    """A release that nobody asked for."""
    inspection = scene.inspection(contended=False)
    verdict = changes.pop("verdict", None) or scene.verdict(inspection)
    request = replace(scene.unlock_request, user=BOT)
    return unlock_message(UnlockReport(request, stage, inspection, verdict, by=BOT, **changes))


def test_an_automatic_release_is_announced_with_its_time_its_proof_and_a_button_that_stops_it(scene, sound):
    message = automatic(scene, UnlockStage.ARMED, until=scene.now + timedelta(minutes=5))

    shown = str(message.blocks)
    assert message.text.startswith("staging will be unlocked automatically at ")
    assert "unless someone here stops it" in message.text
    assert "12 of 12 checks passed" in shown
    assert scene.lock.id in shown
    assert "Nothing was changed yet" in shown
    assert "nobody asked" in shown.lower()
    assert next(button["text"]["text"] for button in actions(message).values()) == "Stop the unlock"
    assert set(actions(message)) == {"unlock.disarm", "watch.start"}
    sound(message)


@pytest.mark.parametrize(
    "stage", sorted(set(UnlockStage) - {UnlockStage.ARMED, UnlockStage.CHECKED, UnlockStage.DRY_RUN})
)
def test_what_became_of_an_automatic_release_names_nobody_and_offers_nothing_more_of_it(scene, sound, stage):
    verdict = scene.refusal(waits=True, until=scene.now) if stage is UnlockStage.REFUSED else None
    message = automatic(scene, stage, verdict=verdict, now_held_by=replace(scene.lock, id="new-lock"))

    assert set(actions(message)) <= {"watch.start", "watch.check", "status.kill", "recover.look"}
    shown = str(message.blocks)
    assert "<@" not in shown
    assert "someone" not in message.text
    assert "press the button" not in shown.lower()
    sound(message)


def test_an_automatic_release_that_is_refused_takes_back_what_it_announced(scene):
    message = automatic(scene, UnlockStage.REFUSED, verdict=scene.refusal(waits=False))

    assert message.text.startswith("staging was not unlocked automatically")
    assert "Nothing was changed." in str(message.blocks)


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ("OperationTypeApply", "`terraform plan` before you apply"),
        ("OperationTypePlan", "Run what"),
        ("state-mv", "state-mv"),
    ],
)
def test_what_comes_after_a_release_depends_on_what_was_interrupted(scene, operation, wanted):
    lock = replace(scene.lock, operation=operation)
    inspection = replace(scene.inspection(), seen=scene.seen(LockPlace(PlaceKind.ITEM, "t", "f", lock)), lock=lock)
    assert wanted in str(unlock(scene, UnlockStage.RELEASED, inspection=inspection).blocks)


def test_an_empty_checklist_is_refused_in_words(scene):
    message = unlock(scene, UnlockStage.CHECKED, verdict=Verdict(Ruling.REFUSE, ()))
    assert "no check was made" in message.text
    assert set(actions(message)) == {"watch.start"}


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_that_refuses_says_what_would_change_it(scene, rule):
    verdict = Verdict(Ruling.REFUSE, (Finding(rule, Effect.REFUSES, ("a reason",)),))
    [line] = [x for x in str(unlock(scene, UnlockStage.CHECKED, verdict=verdict).blocks).split("\\n") if "*Next:*" in x]
    assert len(line) > len("*Next:* .")


def test_a_value_that_slack_would_not_take_makes_no_button(scene):
    request = replace(scene.unlock_request, lock_id="x" * 3_000)
    inspection = scene.inspection()
    report = UnlockReport(request, UnlockStage.CHECKED, inspection, scene.verdict(inspection))
    assert actions(unlock_message(report)) == {}


# ── kill-job


def kill(scene, stage, targets=None, chosen=None, **changes):
    targets = targets or (scene.loop_target,)
    if stage is KillStage.RESTARTED:
        changes = {"source": scene.loop_target.loop.pipeline.title, **changes}
    return kill_message(KillReport(scene.kill_request, stage, targets, chosen, **changes))


def test_the_progress_of_many_runs_is_behind_one_line_that_counts_the_ended(scene):
    going = tuple(scene.run(number, phase=Phase.ENDING) for number in range(200, 240))
    ended = (scene.run(199, conclusion=Conclusion.CANCELLED),)

    message = kill(scene, KillStage.CANCELLING, progress=(*ended, *going))

    titles = [block["title"]["text"] for block in message.blocks if block["type"] == "container"]
    assert titles == ["1 of 41 runs ended"]
    assert not any("#201" in str(block) for block in message.blocks if block["type"] == "section")


@pytest.mark.parametrize("stage", KillStage)
def test_every_stage_of_a_kill_has_a_message(scene, reads, stage):
    progress = (scene.run(200, conclusion=Conclusion.CANCELLED), scene.run(201, phase=Phase.ENDING))
    changes = {
        KillStage.CHOOSE: {"targets": (scene.loop_target, scene.run_target(), scene.run_target(Stake.CONTENDS, 200))},
        KillStage.NOTHING: {"targets": (), "unseen": ("GitHub Actions gave no answer: ", Quoted("502"))},
        KillStage.ENDED: {"switched": Switched(SwitchResult.DONE), "progress": progress[:1]},
        KillStage.FAILED: {"switched": Switched(SwitchResult.DENIED, "403: no actions:write"), "progress": progress},
        KillStage.CANCELLING: {"progress": progress},
        KillStage.ESCALATED: {"progress": progress},
        KillStage.REFUSED: {"note": ("only members of this channel may end runs.",)},
    }.get(stage, {})
    chosen = None if stage in {KillStage.CHOOSE, KillStage.NOTHING} else scene.loop_target
    message = kill(scene, stage, chosen=chosen, **changes)
    assert outcome_of_kill(stage) in str(message.blocks)
    reads(message)


def outcome_of_kill(stage):
    """What a stage says of what was changed; of one that can't have changed anything, what it is."""
    return {
        KillStage.NOTHING: "There is nothing to end for staging.",
        KillStage.CHOOSE: "Nothing is ended before you confirm it.",
        KillStage.FOUND: "is stuck in a loop:",
        KillStage.APPROVAL: "needs a second person",
        KillStage.CANCELLING: "CI was asked to end it. That is not yet the end.",
        KillStage.ESCALATED: "tflock asked CI to end it by force",
        KillStage.ENDED: "is disabled. 1 run ended.",
        KillStage.REFUSED: "Nothing was changed.",
        KillStage.FAILED: "1 of 2 runs ended.",
        KillStage.STOPPED: "We don't know what was changed.",
        KillStage.RESTARTED: "is enabled again.",
        KillStage.STILL_OFF: "is still disabled:",
    }[stage]


def test_a_run_that_may_hold_the_lock_is_ended_only_after_a_warning(scene, reads):
    message = kill(scene, KillStage.FOUND, (scene.run_target(Stake.HOLDS),))
    assert set(actions(message)) == {"kill.confirm"}
    assert "middle of an apply" in actions(message)["kill.confirm"]["confirm"]["text"]["text"]
    reads(message)


def test_what_may_hold_the_lock_waits_for_a_second_member(scene, reads):
    target, until = scene.run_target(Stake.HOLDS), scene.now + timedelta(minutes=15)
    report = KillReport(scene.kill_request, KillStage.APPROVAL, (target,), target, by="U0QUINN", until=until)
    message = kill_message(report)
    assert set(actions(message)) == {"kill.approve"}
    assert parse_button(actions(message)["kill.approve"]["value"]).choice == target.key
    reads(message)


def test_a_run_whose_throttled_table_hides_the_lock_is_warned_about(scene, reads):
    reads(kill(scene, KillStage.FOUND, (scene.run_target(Stake.UNREAD),)))


def test_a_contender_and_a_run_without_a_lock_are_not_warned_about(scene, reads):
    reads(kill(scene, KillStage.FOUND, (scene.run_target(Stake.CONTENDS),)))
    reads(kill(scene, KillStage.FOUND, (scene.run_target(Stake.NO_LOCK),)))


def test_a_loop_can_be_stopped_or_only_its_runs_cancelled(scene):
    made = actions(kill(scene, KillStage.FOUND))
    assert list(made) == ["kill.confirm", "kill.only"]
    assert made["kill.confirm"]["text"]["text"] == "Stop the loop (cancel 3 runs)"
    assert "until someone re-enables it" in made["kill.confirm"]["confirm"]["text"]["text"]
    assert parse_button(made["kill.only"]["value"]).choice == "loop:0"


def test_a_loop_between_two_starts_can_only_be_stopped(scene):
    made = actions(kill(scene, KillStage.FOUND, (replace(scene.loop_target, runs=()),)))
    assert [made[key]["text"]["text"] for key in made] == ["Stop the loop"]


def test_a_choice_carries_the_target_that_it_was_made_for(scene):
    made = actions(kill(scene, KillStage.CHOOSE, (scene.loop_target, scene.run_target())))
    options = made["kill.choose"]["options"]
    assert [parse_button(option["value"]).choice for option in options] == ["loop:0", "run:123"]
    assert all(len(option["value"]) <= 150 for option in options)


def test_a_loop_that_was_stopped_can_be_started_again(scene):
    made = actions(kill(scene, KillStage.ENDED, chosen=scene.loop_target, switched=Switched(SwitchResult.DONE)))
    assert [*made] == ["watch.check", "kill.restart"]


def test_a_source_that_was_stopped_in_vain_can_be_started_again_too(scene):
    made = actions(kill(scene, KillStage.FAILED, chosen=scene.loop_target, switched=Switched(SwitchResult.DONE)))
    assert set(made) == {"kill.restart"}


def test_what_ended_is_told_from_the_progress_alone(scene, reads):
    progress = (scene.run(200, conclusion=Conclusion.CANCELLED), scene.run(201, conclusion=Conclusion.CANCELLED))
    switched = Switched(SwitchResult.DONE)
    message = kill_message(KillReport(scene.kill_request, KillStage.ENDED, progress=progress, switched=switched))
    assert set(actions(message)) == {"watch.check", "kill.restart"}
    reads(message)
    reads(kill_message(KillReport(scene.kill_request, KillStage.ENDED, progress=progress)))
    reads(kill_message(KillReport(scene.kill_request, KillStage.ENDED, progress=progress[:1])))


def test_a_restart_that_failed_can_be_tried_again(scene, reads):
    switched, source = Switched(SwitchResult.NOT_KNOWN), "deploy.yml in acme/infra"
    message = kill_message(KillReport(scene.kill_request, KillStage.RESTARTED, switched=switched, source=source))
    assert set(actions(message)) == {"kill.restart"}
    assert "was not re-enabled" in message.text
    reads(message)


def test_a_loop_that_could_not_be_stopped_says_so_and_offers_no_restart(scene, reads):
    message = kill(scene, KillStage.ENDED, chosen=scene.loop_target, switched=Switched(SwitchResult.DENIED, "403"))
    assert [*actions(message)] == ["watch.check"]
    assert "can start more" in message.text
    reads(message)


# ── people


def who(scene, **changes):
    member = Found(scene.standing("U0ELLIOTT", "elliott").member.value, scene.now)
    monday = scene.now + timedelta(days=2)
    away = Whereabouts(Presence.AWAY, "On PTO until Monday", ":palm_tree:", monday, scene.now + timedelta(hours=8))
    quinn = StandIn(scene.member("U0QUINN", "quinn"), Presence.ACTIVE)
    parker = StandIn(scene.member("U0PARKER", "parker"), Presence.AWAY)
    values = {
        "inspection": scene.inspection(contended=False),
        "member": member,
        "whereabouts": Found(away, scene.now),
        "local_time": scene.now + timedelta(hours=1),
        "stand_ins": StandIns((quinn, parker)),
        **changes,
    }
    return who_message(WhoReport(**values))


def test_an_owner_on_leave_is_told_with_who_can_act_instead(scene, reads):
    message = who(scene)
    assert "On PTO until Monday" in str(message.blocks)
    reads(message)


def test_an_owner_who_is_not_known_is_said_plainly(scene, reads):
    nobody = replace(scene.inspection(contended=False), owner=None)
    reads(who(scene, inspection=nobody, member=None, whereabouts=None, local_time=None, stand_ins=StandIns()))


def test_an_owner_whom_slack_cannot_show_is_said_plainly(scene, reads):
    away = Unseen("Slack", Trouble.TIMED_OUT, "Slack did not answer within 5 s", scene.now)
    reads(who(scene, member=away, whereabouts=away, local_time=None))


def test_nobody_is_behind_a_free_state(scene, reads):
    reads(who(scene, inspection=scene.inspection(scene.free, contended=False)))


def test_a_user_is_shown_with_the_locks_that_are_his(scene, reads):
    here = Found(Whereabouts(Presence.ACTIVE, "", "", None, None), scene.now)
    locks = (HeldLock(StateName("staging", "", protected=False), scene.lock, ("the lock's Who is his",)),)
    reads(user_message(UserReport(scene.standing("U0ELLIOTT", "elliott").member, here, scene.now, locks)))
    reads(user_message(UserReport(NotFound("Slack", "there is no such user", scene.now), here, None, ())))


@pytest.mark.parametrize("news", OwnerNews)
def test_an_owner_is_told_what_is_wanted_and_by_whom(scene, reads, news):
    letter = OwnerMessage(
        news,
        StateName("staging", "", protected=False),
        scene.lock,
        "U0QUINN",
        "C0STAGING",
        "r7k2",
        HolderRun(
            "deploy.yml in acme/infra #123", "https://ci.example.com/123", Phase.ENDED, Conclusion.FAILED, scene.now
        ),
        waiting=3,
        link="https://example.slack.com/archives/C0STAGING/p1",
    )
    message = owner_message(letter)
    wanted = set() if news is OwnerNews.RELEASED else {"owner.dead", "owner.running", "owner.later"}
    assert set(actions(message)) == wanted
    reads(message)


@pytest.mark.parametrize("news", OwnerNews)
@pytest.mark.parametrize("says", OwnerSays)
def test_an_answered_letter_shows_the_answer_and_what_can_still_be_said(scene, reads, says, news):
    answer = OwnerAnswer(scene.lock.id, "U0ELLIOTT", says, scene.now)
    state = StateName("staging", "", protected=False)
    history = (
        OwnerNotice(OwnerNews.ASKED, scene.now, "U0PARKER", "C0STAGING"),
        OwnerNotice(news, scene.now, "U0QUINN", "C0STAGING"),
    )
    letter = OwnerMessage(
        news, state, scene.lock, "U0QUINN", "C0STAGING", "r7k2", answer=answer, history=history, waiting=1
    )
    message = owner_message(letter)
    left = {
        OwnerSays.DEAD: {"owner.running"},
        OwnerSays.RUNNING: {"owner.undo"},
        OwnerSays.LATER: {"owner.dead", "owner.running"},
    }
    assert set(actions(message)) == (set() if news is OwnerNews.RELEASED else left[says])
    reads(message)


@pytest.mark.parametrize("standing", [OwnerMessageStatus.GONE, OwnerMessageStatus.MOVED])
@pytest.mark.parametrize("says", [None, OwnerSays.RUNNING])
def test_a_letter_about_a_lock_that_is_gone_or_anothers_wants_no_answer(scene, reads, standing, says):
    answer = says and OwnerAnswer(scene.lock.id, "U0ELLIOTT", says, scene.now)
    state = StateName("staging", "", protected=True)
    letter = OwnerMessage(
        OwnerNews.UNLOCK_WANTED, state, scene.lock, "U0QUINN", "C0STAGING", "r7k2", answer=answer, status=standing,
        disturbs=True,
    )  # fmt: skip
    message = owner_message(letter)
    may_take_back = standing is OwnerMessageStatus.MOVED and says is not None
    assert set(actions(message)) == ({"owner.undo"} if may_take_back else set())
    reads(message)


@pytest.mark.parametrize("news", [OwnerNews.ASKED, OwnerNews.UNLOCK_WANTED, OwnerNews.RELEASED])
def test_a_line_below_a_letter_names_the_owner_and_says_what_is_new(scene, reads, news):
    state = StateName("staging", "", protected=False)
    letter = OwnerMessage(news, state, scene.lock, "U0QUINN", "C0STAGING", "r7k2")
    message = nudge_message(Nudge("U0ELLIOTT", letter))
    assert "<@U0ELLIOTT>" in message.text
    reads(message)


def test_an_owner_is_told_that_an_automatic_release_needs_no_answer_and_how_to_keep_the_lock(scene):
    state = StateName("staging", "", protected=False)
    asked, automatic = (
        OwnerMessage(OwnerNews.UNLOCK_WANTED, state, scene.lock, asker, "C0STAGING", "r7k2")
        for asker in ("U0QUINN", BOT)
    )
    assert "released automatically without an answer" in owner_message(automatic).text
    assert "released automatically" not in owner_message(asked).text
    assert "owner.running" in actions(owner_message(automatic))
    assert "will be released automatically" in nudge_message(Nudge("U0ELLIOTT", automatic)).text


# ── notices, help


def test_a_notice_carries_its_reference(reads):
    lines = (("Did you mean ", Quoted("staging"), "?"), ("Nothing was changed.",))
    reads(notice_message(Notice("There is no state stagign.", lines, "7f3a9c")))


def test_help_shows_all_commands_or_one(reads):
    commands = (("status [STATE]", "is it locked"), ("unlock STATE", "check everything, then release the lock"))
    reads(help_message(commands))
    reads(help_message(commands, "unlock"))
    assert help_message(commands, "no-such") == help_message(commands)


def test_the_first_fact_of_two_differing_halves_is_the_older_lock(scene):
    younger = replace(scene.lock, id="younger", created=scene.now)
    seen = LockSeen(
        (LockPlace(PlaceKind.FILE, "s3", "e", younger), LockPlace(PlaceKind.ITEM, "table", "i", scene.lock)),
        (),
        (),
        scene.now,
    )
    assert "Held 2 h by" in str(status(scene, seen=seen).blocks)


def test_what_the_list_cannot_hold_can_be_named_by_its_id(scene, sound):
    request = replace(scene.kill_request, lock_id="x" * 200)
    message = kill_message(KillReport(request, KillStage.CHOOSE, (scene.loop_target, scene.run_target())))
    assert actions(message) == {}
    assert "has 0 of them" in str(message.blocks)
    sound(message)


def test_a_state_whose_store_shows_no_lock_offers_what_helps_and_nothing_that_is_refused(scene):
    why = Unseen(
        "the state's server", Trouble.NOT_SHOWN, "the http protocol has no request that only reads a lock", scene.now
    )
    away = Unseen("the state's server", Trouble.TIMED_OUT, "the state's server did not answer within 8 s", scene.now)
    told = {}
    for unseen in (why, away):
        seen = LockSeen((), (), ((PlaceKind.RECORD, unseen),), scene.now)
        message = status_message(StatusReport(scene.inspection(seen, contended=False), None))
        told[unseen.trouble] = flat({"blocks": message.blocks})

    assert "/tflock unlock staging" in told[Trouble.NOT_SHOWN]
    assert "Try again" not in told[Trouble.NOT_SHOWN]
    assert "Notify me when free" not in told[Trouble.NOT_SHOWN]
    assert "Try again" in told[Trouble.TIMED_OUT]
    assert "Notify me when free" in told[Trouble.TIMED_OUT]


def test_a_persons_lock_is_not_said_to_be_held_by_the_run_of_the_time(scene):
    laptop = replace(scene.lock, who="elliott@laptop-7")
    by_person = scene.inspection(scene.seen(LockPlace(PlaceKind.ITEM, "x", "fence", laptop)), contended=False)
    by_run = scene.inspection(contended=False)
    shown = [
        flat({"blocks": status_message(StatusReport(one, scene.verdict(one))).blocks}) for one in (by_person, by_run)
    ]

    assert "Held 2 h by `elliott@laptop-7`" in shown[0]
    assert "<@U0ELLIOTT>" in shown[0]
    assert "deploy.yml #123" in shown[1].partition("Held 2 h by ")[2][:120]
