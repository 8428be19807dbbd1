"""Can a live holder's lock be released, or a run be ended that is not the one looked at? The gate on real answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.app.metrics import Metrics
from bot.ci.hcp.source import HcpTerraform
from bot.core.gate.case import Rule, Ruling
from bot.core.gate.inspection import StateName
from bot.core.gate.stages import UnlockStage
from bot.core.lock import Fence, ReleaseResult
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.phrase import plain
from bot.core.policy import Holders, KnownPerson, Policy
from bot.core.reports.alert import Alert, AlertKind, Bulletin, Outcome
from bot.core.reports.concern import SweepResult, Watched, concerns
from bot.core.reports.home import row_of
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.report import Overview, StatusReport
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.core.run import CancelResult, Pipeline, RunRef
from bot.core.systems import HCP
from bot.slack.render import status_message
from bot.slack.render.alert import alerts_message
from bot.slack.render.owner import owner_message as shown_to_owner
from bot.slack.render.plain import overview_lines, status_lines, to_json
from bot.slack.render.unlock import unlock_message
from bot.slack.render.who import user_message
from bot.usecases.decide.owner import record_answer
from bot.usecases.decide.weigh import Consent, weigh
from bot.usecases.look.who import about_user
from bot.usecases.owner.record import OwnerMessageKey, OwnerMessageRecord, facts_at, owner_message
from bot.usecases.owner.tell import write_to_owner
from bot.usecases.record.lifecycle import observe
from bot.usecases.world import State, World
from tests.backends.hcp.world import ORGANIZATION
from tests.worlds.ci.sources import source_of
from tests.worlds.clocks import WallClock
from tests.worlds.memory.files import MemoryExporter, MemoryFiles
from tests.worlds.memory.journal import MemoryJournal, MemoryRecords
from tests.worlds.memory.memory import Switchboard
from tests.worlds.memory.messages import MemoryMessages
from tests.worlds.memory.messenger import MemoryMessenger
from tests.worlds.memory.people import MemoryDirectory, MemoryJobs
from tests.worlds.memory.tickets import MemoryTickets

CHANNEL = "C0INC"
NETWORK = Pipeline("hcp", (("organization", ORGANIZATION), ("workspace", "network")), HCP.name)
ELLIOTT = KnownPerson("elliott", "U0ELLIOTT", hcp="elliott", who=("elliott@*",))


def ago(**span):
    return datetime.now(UTC) - timedelta(**span)


@pytest.fixture
async def gate(hcp):
    """The real backend and the real source, with everything else in memory."""
    clock, board = WallClock(), Switchboard()
    journal, directory = MemoryJournal(clock, board), MemoryDirectory(clock, switchboard=board)
    for user, name in (("U0QUINN", "quinn"), ("U0PARKER", "parker"), ("U0ELLIOTT", "elliott")):
        directory.add(user, name, CHANNEL)
    await hcp.put_state()
    hcp.workspace.states[-1].at = ago(hours=1)
    source = source_of(HcpTerraform, hcp.hcp, NETWORK)
    state = State(StateName("network", "", protected=False), hcp.backend(), "hcp backend", (NETWORK,))
    yield World(
        states={"network": state},
        sources={"hcp": source},
        journal=journal,
        records=MemoryRecords(clock, board),
        directory=directory,
        messages=MemoryMessages(clock, board),
        messenger=MemoryMessenger(board),
        exporter=MemoryExporter(journal),
        tickets=MemoryTickets(clock, board),
        files=MemoryFiles(board),
        jobs=MemoryJobs(clock, board),
        clock=clock,
        meter=Metrics(),
        policy=Policy(),
        holders=Holders(people=(ELLIOTT,)),
        incident_channels=("inc-*",),
        capture_reactions=(),
        upload_exports=False,
        sweep=None,
        new_id=lambda: "id",
    )
    await source.aclose()


async def decided(gate, *, consent=None):
    return await weigh(gate, gate.states["network"], lock_id=None, user="U0QUINN", channel=CHANNEL, consent=consent)


def running(hcp):
    return hcp.hcp.runs.start_run(hcp.workspace, at=ago(hours=1))


def waiting(hcp):
    run = running(hcp)
    hcp.hcp.runs.pause(run, ago(minutes=50))
    return run


def applying(hcp):
    run = waiting(hcp)
    hcp.hcp.runs.confirm(run, ago(minutes=40))
    return run


def cancelled(hcp):
    run = applying(hcp)
    run.canceled_at = ago(minutes=30)
    return run


def over(hcp):
    run = applying(hcp)
    hcp.hcp.runs.finish(run, "errored", at=ago(minutes=30))
    run.workspace.locked_by = ("runs", run.id)  # the server has not unlocked yet
    return run


def taken_by_an_account(hcp, *, is_known):
    """Two hours ago, which only some answers say."""
    taken = ago(hours=2)
    hcp.hcp.runs.lock(hcp.workspace, hcp.hcp.runs.account("elliott"), at=taken)
    hcp.hcp.shows = {"locked-at": taken.isoformat()} if is_known else {}


@pytest.mark.parametrize("stage", [running, waiting, applying, cancelled])
async def test_the_lock_of_a_run_that_is_not_over_is_never_released(gate, hcp, stage):
    run = stage(hcp)

    decision = await decided(gate)

    assert decision.verdict.ruling is Ruling.REFUSE
    assert Rule.DEAD in {finding.rule for finding in decision.verdict.refusals}
    assert run.id in plain(decision.verdict[Rule.DEAD].reason)
    assert hcp.workspace.locked_by == ("runs", run.id)


async def test_the_lock_of_a_run_that_is_over_and_settled_is_allowed_by_its_seal(gate, hcp):
    run = over(hcp)

    decision = await decided(gate)

    assert decision.verdict.ruling is Ruling.ALLOW
    assert plain(decision.verdict[Rule.TIED].reason).endswith(f"the lock's store names {run.id}")
    assert decision.inspection.can.fence is Fence.ENFORCED
    assert [owner.name for owner in decision.inspection.owners or (decision.inspection.owner,)] == ["elliott"]


async def test_an_end_that_the_server_forced_wants_a_second_person(gate, hcp):
    run = over(hcp)
    run.status = "canceled"
    run.times["force-canceled-at"] = run.times.pop("errored-at")
    run.apply.status = "canceled"

    decision = await decided(gate)

    assert decision.verdict.ruling is Ruling.NEEDS_APPROVAL
    assert "only CI's server declared this end" in plain(decision.verdict[Rule.DEAD].reason)


async def test_the_lock_of_a_run_whose_workspace_is_not_mapped_as_a_pipeline_is_refused(gate, hcp):
    over(hcp)
    unmapped = replace(gate.states["network"], pipelines=())

    decision = await weigh(gate, unmapped, lock_id=None, user="U0QUINN", channel=CHANNEL)

    assert decision.verdict.ruling is Ruling.REFUSE
    assert "no configured pipeline knows" in plain(decision.verdict[Rule.TIED].reason)


async def says_dead(gate, decision):
    answer = OwnerAnswer(decision.inspection.lock.id, "U0ELLIOTT", OwnerSays.DEAD, gate.clock.now())
    await record_answer(gate, "network", answer, incident="")


@pytest.mark.parametrize("stage", [running, waiting, applying, cancelled])
async def test_no_owners_word_lets_a_live_runs_lock_go(gate, hcp, stage):
    stage(hcp)
    await says_dead(gate, await decided(gate))

    decision = await decided(gate, consent=Consent("U0PARKER", decision_lock(hcp), gate.clock.now(), frozenset(Rule)))

    assert decision.verdict.ruling is Ruling.REFUSE


def decision_lock(hcp):
    return hcp.workspace.locked_by[1]


async def test_an_accounts_lock_takes_its_owner_and_a_second_person_and_the_checklist_says_why(gate, hcp):
    hcp.hcp.runs.lock(hcp.workspace, hcp.hcp.runs.account("elliott"), reason="Locked by Terraform", at=ago(hours=1))
    unasked = await decided(gate)
    await says_dead(gate, unasked)

    answered = await decided(gate)
    lock_id, wanted = answered.inspection.lock.id, frozenset(answered.verdict.wants_approval)
    approved = await decided(gate, consent=Consent("U0PARKER", lock_id, gate.clock.now(), wanted))

    assert unasked.verdict.ruling is Ruling.REFUSE
    assert answered.verdict.ruling is Ruling.NEEDS_APPROVAL
    assert "releases whatever lock is there by then" in plain(answered.verdict[Rule.SAME_LOCK].reason)
    assert answered.inspection.can.fence is Fence.NONE
    assert approved.verdict.ruling is Ruling.ALLOW


@pytest.mark.parametrize("is_known", [False, True])
async def test_where_since_when_is_not_known_any_run_that_goes_on_may_have_taken_the_lock(gate, hcp, is_known):
    """One that began after the workspace last changed, too. Where it is known, a later run is no possible holder."""
    taken_by_an_account(hcp, is_known=is_known)
    run = hcp.hcp.runs.start_run(hcp.workspace, at=ago(minutes=50))
    hcp.workspace.locked_by = ("users", hcp.hcp.runs.account("elliott"))
    await says_dead(gate, await decided(gate))

    going = await decided(gate)
    hcp.hcp.runs.finish(run, "errored", at=ago(minutes=40))
    hcp.workspace.locked_by = ("users", hcp.hcp.runs.account("elliott"))
    over_now = await decided(gate)

    assert going.verdict.ruling is (Ruling.NEEDS_APPROVAL if is_known else Ruling.REFUSE)
    assert (run.id in plain(going.verdict[Rule.DEAD].reason)) is not is_known
    assert over_now.verdict.ruling is Ruling.NEEDS_APPROVAL
    assert hcp.workspace.locked_by[0] == "users"


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_lock_of_an_account_says_since_when_or_that_this_is_not_known(gate, hcp, is_known):
    taken_by_an_account(hcp, is_known=is_known)

    inspection = (await decided(gate)).inspection
    overview = Overview(((inspection.state, inspection.seen),), inspection.at)
    texts = [
        *status_lines(StatusReport(inspection, None)), *overview_lines(overview),
        str(status_message(StatusReport(inspection, None)).blocks),
    ]  # fmt: skip

    assert any("ince when is not known" in text for text in texts) is not is_known
    assert any("2 h" in text for text in texts) is is_known
    assert (row_of("network", inspection.seen).created is None) is not is_known
    assert (to_json(StatusReport(inspection, None))["lock"]["created"] is None) is not is_known


@pytest.mark.parametrize("is_known", [False, True])
async def test_nobody_is_told_a_time_at_which_an_account_took_a_lock_where_that_is_not_known(gate, hcp, is_known):
    """Neither the owner in their DM, nor who asks about them, nor the timeline."""
    taken_by_an_account(hcp, is_known=is_known)
    inspection = (await decided(gate)).inspection
    incident, _ = await gate.journal.open(channel=CHANNEL, title="network", by="U0QUINN", at=gate.clock.now())
    of = OwnerMessageKey("network", inspection.lock.id, "U0ELLIOTT")

    await write_to_owner(
        gate, OwnerNews.UNLOCK_WANTED, inspection, asker="U0QUINN", channel=CHANNEL, incident=incident.id, request="r"
    )
    letter = owner_message(inspection.state, of, await facts_at(gate, of), OwnerMessageRecord(), None, is_moved=False)
    theirs = await about_user(gate, "U0ELLIOTT")
    await observe(gate, incident.id, "network", inspection.seen)
    written = [entry.text async for entry in gate.journal.entries(incident.id) if entry.kind == "lock.observed"]

    assert letter.lock.is_since_known is is_known
    assert ("took it at" in str(shown_to_owner(letter).blocks)) is is_known
    assert ("since <!date" in str(user_message(theirs).blocks)) is is_known
    assert "network is locked" in str(user_message(theirs).blocks)
    assert [("for a time that is not known" in text) for text in written] == [not is_known]


async def test_the_owners_word_on_one_lock_of_an_account_says_nothing_of_its_next_one(gate, hcp):
    account = hcp.hcp.runs.account("elliott")
    hcp.hcp.runs.lock(hcp.workspace, account, at=ago(hours=1))
    await says_dead(gate, await decided(gate))
    hcp.hcp.runs.unlock(hcp.workspace)
    hcp.hcp.runs.lock(hcp.workspace, account, at=ago(minutes=10))

    assert (await decided(gate)).verdict.ruling is Ruling.REFUSE


@pytest.mark.parametrize("name", ["evil@run-CZcmD7eagjhyX0vN", "run-CZcmD7eagjhyX0vN"])
async def test_an_account_that_is_called_like_a_run_is_not_taken_for_one(gate, hcp, name):
    run = over(hcp)
    hcp.hcp.runs.unlock(hcp.workspace)
    called = name.replace("run-CZcmD7eagjhyX0vN", run.id)
    hcp.hcp.runs.lock(hcp.workspace, hcp.hcp.runs.account(called, "team"), at=ago(hours=1))

    decision = await decided(gate)

    assert decision.verdict.ruling is Ruling.REFUSE
    assert not decision.case.is_tied_exactly


# ending runs


async def test_a_run_of_another_workspace_is_not_found_and_not_ended_whoever_names_it(gate, hcp):
    other = hcp.hcp.runs.add_workspace(ORGANIZATION, "production")
    theirs, mine = hcp.hcp.runs.start_run(other), hcp.hcp.runs.start_run(hcp.workspace)
    source = gate.sources["hcp"]

    foreign = await source.cancel(RunRef(NETWORK, theirs.id), force=True)
    own = await source.cancel(RunRef(NETWORK, mine.id), force=False)

    assert (foreign.result, own.result) == (CancelResult.NOT_FOUND, CancelResult.ACCEPTED)
    assert (theirs.canceled_at, theirs.status) == (None, "planning")
    assert mine.canceled_at is not None


async def test_what_kill_job_ends_frees_the_lock_and_the_next_run_has_it(gate, hcp):
    run = waiting(hcp)
    following = hcp.hcp.runs.start_run(hcp.workspace, queued=True)
    (place,) = (await gate.states["network"].backend.read_lock()).held

    ended = await gate.sources["hcp"].cancel(RunRef(NETWORK, run.id), force=False)
    late = await gate.states["network"].backend.release(place)

    assert (ended.result, run.status) == (CancelResult.ACCEPTED, "discarded")
    assert late.result is ReleaseResult.HOLDER_CHANGED
    assert (following.status, following.canceled_at) == ("planning", None)
    assert hcp.workspace.locked_by == ("runs", following.id)


@pytest.mark.parametrize("is_known", [False, True])
async def test_no_alert_metric_or_message_counts_the_last_change_as_the_age_of_an_accounts_lock(gate, hcp, is_known):
    taken_by_an_account(hcp, is_known=is_known)

    inspection = (await decided(gate)).inspection
    watched, now = {"network": Watched(None, "", (NETWORK,))}, inspection.at
    (concern,) = concerns(SweepResult(watched, {"network": inspection.seen}, {}, now), gate.policy, gate.watch).values()
    over = replace(Alert(concern, now), outcome=Outcome.FREE, resolved_at=now)
    request = UnlockRequest("r", "network", "another", CHANNEL, "U0QUINN", now)
    report = UnlockReport(request, UnlockStage.HOLDER_CHANGED, None, None, now_held_by=inspection.lock)
    raised, ended, changed = (
        str(shown.blocks)
        for shown in (alerts_message(Bulletin((Alert(concern, now),))), alerts_message(Bulletin((over,))),
                      unlock_message(report))
    )  # fmt: skip
    status, metrics = " ".join(status_lines(StatusReport(inspection, None))), gate.meter.exposition().decode()

    assert concern.kind is AlertKind.AGED
    assert ("has been locked for 2 h" in raised) is is_known
    assert ("Since when is not known. The store only says that it last changed 2 h ago." in raised) is not is_known
    assert ("after 2 h" in ended) is is_known
    assert (", since <!date" in changed) is is_known
    assert ("since when is not known" in changed) is not is_known
    assert ("the account that took the lock and the time, not" in status) is is_known
    assert ("the account that took the lock, not the time, the machine" in status) is not is_known
    assert 'tflock_lock_held{state="network"} 1.0' in metrics
    assert ('tflock_lock_age_seconds{state="network"} 72' in metrics) is is_known
    assert ("tflock_lock_age_seconds{" in metrics) is is_known
