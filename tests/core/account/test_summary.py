"""The summary of an incident: what a team lead reads the next morning."""

import pytest

from bot.core.account.values import Cause
from bot.core.codec import written
from bot.core.gate.contention import Contention
from bot.core.phrase import plain
from bot.core.record.evidence import Evidence
from bot.core.record.timeline import Kind
from bot.core.run import Conclusion

NAMES = {"U0QUINN": "quinn", "U0PARKER": "parker", "U0ELLIOTT": "elliott"}


def told(chronicle):
    return [plain(sentence) for sentence in chronicle.account(NAMES).summary.told]


def test_the_scenario_is_told_in_six_sentences(chronicle):
    chronicle.tell_scenario()

    first, *others = told(chronicle)
    assert first == (
        "staging was locked by runner@fv-az881-525 (apply) from 2026-11-21 09:05:00 UTC, for run 1 of deploy.yml in "
        "acme/infra, started by elliott."
    )
    assert " ".join(others).replace("2026-11-21 ", "").replace(":00 UTC", "") == (
        "That run timed out at 09:15 after 13 min and left the lock behind. "
        "dependency-update.yml in acme/infra was started 126 times by a bot, one a minute, from 09:45; up to 47 "
        "runs at once wanted the lock; lock table acme-tf-locks (PROVISIONED) refused requests. "
        "quinn ended 47 runs of dependency-update.yml in acme/infra and disabled it at 11:56; elliott answered "
        "that it is dead at 12:06:30 UTC. "
        "parker unlocked staging at 12:07:08 UTC at the 3rd try, after the table had refused 2. "
        "staging was locked for 3 h 2 min; from the first command to the unlock it took 1 h 5 min."
    )
    assert len(others) == 5


def test_the_scenario_in_figures(chronicle):
    chronicle.tell_scenario()

    summary = chronicle.account().summary

    assert summary.causes == (Cause.TIMED_OUT, Cause.LOOP, Cause.THROTTLING)
    assert [(part.actor, part.did) for part in summary.parts] == [
        ("U0QUINN", ("opened", "asked", "killed")),
        ("U0PARKER", ("asked", "unlocked")),
        ("U0ELLIOTT", ("answered",)),
    ]
    (state,) = summary.states
    assert (state.state, str(state.locked_for), state.is_free) == ("staging", "3:02:08", True)
    assert (str(summary.time_to_unlock), summary.most_contenders) == ("1:05:08", 47)


def test_an_incident_without_a_lock_says_so_and_has_no_cause(chronicle):
    chronicle.add("11:02", Kind.INCIDENT_OPENED, "U0QUINN")
    chronicle.add("11:03", Kind.NOTE_ADDED, "U0QUINN", "nothing yet")

    assert told(chronicle) == [
        "No lock was seen in this incident, which quinn opened at 2026-11-21 11:02:00 UTC.",
    ]
    assert chronicle.account().summary.causes == (Cause.UNKNOWN,)


def test_a_lock_that_still_stands_is_told_as_such(chronicle):
    chronicle.look("11:02")

    assert told(chronicle)[-2:] == [
        "staging was still locked at 2026-11-21 11:02:00 UTC.",
        "staging was locked for 1 h 57 min.",
    ]
    assert not chronicle.account().summary.states[0].is_free


def test_a_lock_that_went_away_by_itself_is_not_said_to_be_unlocked(chronicle):
    chronicle.look("11:02")
    chronicle.add("11:30", Kind.GATE_DECIDED, evidence=written(Evidence.of(chronicle.free("11:30"))))

    assert "staging was free at 2026-11-21 11:30:00 UTC without an unlock by tflock." in told(chronicle)
    assert chronicle.account().summary.unlocked_at is None


@pytest.mark.parametrize(
    ("conclusion", "cause"),
    [
        (Conclusion.CANCELLED, Cause.CANCELLED),
        (Conclusion.LOST, Cause.LOST),
        (Conclusion.FAILED, Cause.FAILED),
        (Conclusion.SUCCESS, Cause.UNKNOWN),
    ],
)
def test_the_cause_is_how_the_holders_run_ended(chronicle, conclusion, cause):
    look = chronicle.make.look(chronicle.make.run(conclusion=conclusion))
    chronicle.look("11:00", looks=(look,), attribution=chronicle.make.tie(look))

    assert chronicle.account().summary.causes == (cause,)


def test_a_holder_that_is_still_at_work_is_the_cause(chronicle):
    look = chronicle.make.look(chronicle.make.run(end=None))
    chronicle.look("11:00", looks=(look,), attribution=chronicle.make.tie(look))

    assert chronicle.account().summary.causes == (Cause.RUNNING,)
    assert "That run was still running at the last look." in told(chronicle)


def test_an_approver_is_named_beside_who_asked(chronicle):
    chronicle.look("11:00")
    lock = {"state": "staging", "lock_id": chronicle.make.lock_id}
    chronicle.add("11:05", Kind.UNLOCK_APPROVED, "U0QUINN", **lock)
    chronicle.add("11:06", Kind.UNLOCK_RELEASED, "U0PARKER", **lock, approver="U0QUINN", tries=1)

    assert "parker unlocked staging at 2026-11-21 11:06:00 UTC with the approval of quinn." in told(chronicle)
    assert {part.actor: part.did for part in chronicle.account().summary.parts}["U0QUINN"] == ("approved",)


def test_many_loops_are_told_by_the_first_and_by_their_number(chronicle):
    loop = chronicle.crowd("11:00", 1).loops[0]
    for number in range(3):
        chronicle.look("11:00", contention=Contention((), (loop,)))
        pipelines = [{"pipeline": f"p{number}-{n}", "starts": 9, "every_seconds": 60} for n in range(3)]
        chronicle.add("11:01", Kind.GATE_DECIDED, evidence={"state": "staging", "loops": pipelines})

    (sentence,) = [one for one in told(chronicle) if "was started" in one]
    assert sentence.count("was started") == 3
    assert "7 more loops" in sentence
