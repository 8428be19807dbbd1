from __future__ import annotations

import pytest

from bot.errors import (
    ChainBroken,
    ConfigInvalid,
    Denied,
    ExportInvalid,
    JournalAway,
    JournalRefused,
    LockInfoInvalid,
    Missing,
    NotPermitted,
    Rejected,
    TflockError,
    Throttled,
    UnknownState,
    Unreachable,
    UpstreamError,
)
from bot.worker import run_job
from handlers import boundary

FORESEEN = {
    "unknown state": (
        UnknownState("stagin", nearest="staging", known=("staging",)),
        ("no state", "/tflock unlock staging"),
    ),
    "not permitted": (
        NotPermitted("A guest may not. Nothing was changed; ask a member."),
        ("cannot be done", "a guest"),
    ),
    "journal away": (JournalAway("no"), ("redis", "/tflock status")),
    "journal refused": (
        JournalRefused("Redis refuses a right to tflock's user (NOPERM)", "grant it", "no right to xadd"),
        ("noperm", "xadd", "tflock doctor", "/tflock status"),
    ),
    "unreachable": (Unreachable("GitHub", "no answer"), ("github", "no answer", "try again")),
    "throttled": (Throttled("Slack", "slow down"), ("slack", "slow down", "wait a minute")),
    "denied": (Denied("DynamoDB", "no right to GetItem"), ("dynamodb", "no right", "doctor")),
    "missing": (Missing("S3", "no such bucket"), ("s3", "no such bucket")),
    "rejected": (Rejected("Slack", "msg_too_long"), ("slack", "msg_too_long")),
}
UNFORESEEN = {
    "a bug": ZeroDivisionError("secret inside"),
    "lock info": LockInfoInvalid("secret inside"),
    "chain": ChainBroken("7", "secret inside"),
    "export": ExportInvalid("secret inside"),
    "config": ConfigInvalid(("secret inside",)),
    "base": TflockError("secret inside"),
}


def failing(error: Exception):
    async def work() -> str:
        raise error

    return work


@pytest.mark.parametrize("name", FORESEEN)
async def test_every_foreseen_error_says_what_happened_that_nothing_changed_and_what_to_do_next(office, name):
    error, words = FORESEEN[name]

    await boundary.run(office.world, "unlock", office.asker(), failing(error))

    told = office.told()[-1].lower()
    assert all(word in told for word in (*words, "nothing was changed")), told
    assert "reference" not in told


@pytest.mark.parametrize("name", UNFORESEEN)
async def test_every_other_error_carries_a_reference_that_is_in_the_log_and_none_of_its_own_words(office, name):
    await boundary.run(office.world, "unlock", office.asker(), failing(UNFORESEEN[name]))

    told = office.told()[-1]
    broke = [entry for entry in office.logs if entry["event"] == "command.broke"]
    assert broke[0]["reference"] in told
    assert broke[0]["exc_info"] is UNFORESEEN[name]
    assert "Nothing was changed" in told
    assert "secret inside" not in told


@pytest.mark.parametrize("name", ["Denied", "ZeroDivisionError"])
@pytest.mark.parametrize(
    ("command", "is_known"), [("unlock", True), ("status", True), ("unlock.confirm", False), ("kill.approve", False)]
)
async def test_a_click_that_broke_off_is_not_said_to_have_changed_nothing(office, command, is_known, name):
    error = Denied("Slack", "missing_scope") if name == "Denied" else ZeroDivisionError()

    await boundary.run(office.world, command, office.asker(), failing(error))

    told = office.told()[-1]
    assert ("Nothing was changed" in told) is is_known
    assert ("may have started" in told) is not is_known


async def test_an_error_while_slack_takes_no_answer_is_logged_with_its_reference_and_raises_nothing(office):
    office.slack.refuse("*", "invalid_auth", times=None)

    await boundary.run(office.world, "unlock", office.asker(), failing(ZeroDivisionError()))

    unanswered = [entry for entry in office.logs if entry["event"] == "command.not_answered"]
    assert unanswered[0]["reference"] == next(e["reference"] for e in office.logs if e["event"] == "command.broke")


@pytest.mark.parametrize("name", [*FORESEEN, "a bug"])
async def test_what_slack_does_not_take_for_a_while_is_told_by_a_worker_later(office, name):
    """It may ask for patience for minutes. What was acked is answered all the same."""
    error = (FORESEEN.get(name) or (UNFORESEEN["a bug"],))[0]
    office.slack.refuse("*", "internal_error", times=None)
    await boundary.run(office.world, "unlock", office.asker(), failing(error))
    (job,) = office.world.jobs.waiting.values()
    with pytest.raises(UpstreamError):
        await run_job(office.world, job.name, job.args, attempt=1, worker="w1")
    assert office.told() == []

    office.slack.heal()
    await run_job(office.world, job.name, job.args, attempt=2, worker="w1")
    await boundary.run(office.world, "unlock", office.asker(), failing(error))

    late, now = office.told()
    assert now.split("\n")[0] in late
    assert "othing was changed" in late
    assert ("eference" in late) is ("eference" in now)


async def test_what_slack_never_takes_is_not_tried_later(office):
    office.slack.refuse("*", "invalid_auth", times=None)

    await boundary.run(office.world, "unlock", office.asker(), failing(ZeroDivisionError()))

    assert not office.world.jobs.waiting


async def test_without_redis_work_is_done_all_the_same(office):
    office.redis_goes_away()
    done: list[str] = []

    async def work() -> str:
        done.append("x")
        return "ok"

    await boundary.run(office.world, "status", office.asker(delivery="event/1"), work)

    assert done == ["x"]


@pytest.mark.parametrize(("command", "said"), [("note", "note"), ("unlock.confirm", "This")])
def test_without_redis_a_click_is_not_called_by_a_name_that_nobody_typed(command, said):
    notice = boundary.notice_of(command, JournalAway("no"), "")
    assert notice.headline == f"{said} is not possible right now"
