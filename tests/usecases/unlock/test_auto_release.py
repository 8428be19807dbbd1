"""Releases that nobody asks for: only of what every look has allowed, announced first, and stopped by one click."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.lock import LockInfo, PlaceKind, parse_lock_info
from bot.core.people import BOT, Channel, OwnerAnswer, OwnerSays
from bot.core.policy import AutoRelease
from bot.core.record.timeline import verify
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import Denied, JournalAway, Missing, NotPermitted, NotReplicated, Unreachable
from bot.slack.render import unlock_message
from bot.usecases.decide.automatic import AUTO_RELEASES, AutoRecord
from bot.usecases.decide.owner import record_answer
from bot.usecases.record.lifecycle import close, observe
from bot.usecases.unlock import unlock
from bot.usecases.watch.auto_release import NOT_HEARD
from tests.worlds.memory.memory import WORKER, Killed, LoopClock, Throttle, lock_text
from tests.worlds.memory.messenger import buttons_in
from tests.worlds.memory.people import Waiting
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE, MemoryWorld

ALERTS, ELSEWHERE = "C0ALERTS", "C0ELSEWHERE"
QUINN, GUEST, OUTSIDE = "U0QUINN", "U0GUEST", "U0OUTSIDE"
AFTER, VETO = timedelta(minutes=10), timedelta(minutes=5)
RULE = AutoRelease(AFTER, VETO)


class Town(MemoryWorld):
    """A state that is released automatically, swept once a minute, with an alerts channel that is no incident's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.directory.add(GUEST, "gale", CHANNEL, ALERTS, is_guest=True)
        self.directory.channels[ALERTS] = Channel(ALERTS, "platform", is_direct=False, is_archived=False)
        self.directory.add(OUTSIDE, "olga", ELSEWHERE)
        holders = replace(self.ports.holders, run_id_hosts=("*@gha-{run}",))
        self.ports = replace(self.ports, alerts_channel=ALERTS, holders=holders)
        self.ci.keeps_logs = False  # what ties a run to a lock here is its number in the host's name
        self.configure(RULE)

    def configure(self, rule) -> None:
        state = replace(self.ports.states[STATE], auto_release=rule)
        self.ports = replace(self.ports, states={STATE: state})

    def lock(self, lock_id="l1", *, who="root@gha-100", places=tuple(PlaceKind)) -> None:
        info = LockInfo(lock_id, "OperationTypeApply", "", who, "1.9.8", self.clock.now(), "p")
        for kind in self.kinds:
            if kind in places:
                self.store.write(kind, lock_text(info))

    def dead_run(self, *, who="root@gha-100", how=Conclusion.FAILED, places=tuple(PlaceKind)):
        self.ci.start("100", DEPLOY, host="runner-1", actor="elliott-ci")
        self.pass_time(30)
        self.lock(who=who, places=places)
        self.store.last_written = self.clock.now()
        self.pass_time(30)
        self.ci.end("100", how)

    def watch(self, minutes, *workers) -> None:
        for _ in range(int(minutes)):
            self.jobs.waiting["sweep"] = Waiting("watch_states", (), "sweep", self.clock.now())
            self.pass_time(60, workers=workers or ("w1",))

    def until_announced(self, *workers) -> UnlockReport:
        for _ in range(40):
            self.watch(1, *workers)
            if self.shown:
                return self.shown[0]
        raise AssertionError("nothing was announced")

    @property
    def shown(self) -> list[UnlockReport]:
        """What each message of a release shows now."""
        return list(self.messenger.now(UnlockReport).values())

    @property
    def where(self) -> list[str]:
        return [to for to, what in self.messenger.posts if isinstance(what, UnlockReport)]

    def notices(self, channel):
        return [what.headline for to, what in self.messenger.posts if to == channel and isinstance(what, Notice)]

    @property
    def locks(self):
        return {parse_lock_info(text).id for text, _ in self.store.texts.values()}

    def entries(self, *kinds):
        log = [entry for entries in self.journal.logs.values() for entry in entries]
        return [entry for entry in log if entry.kind in kinds]

    def stop(self, user=QUINN) -> None:
        request = self.shown[-1].request
        self.run(unlock.disarm(self.ports, request.id, lock_id=request.lock_id, user=user))

    def ask(self, user=QUINN):
        return self.run(unlock.ask(self.ports, unlock.UnlockCommand(STATE, user, CHANNEL, self.incident.id)))


@pytest.fixture
def town():
    """Its run died just now, and no incident deals with the lock."""
    made = Town()
    made.run(close(made.ports, made.incident, user=QUINN))
    made.jobs.waiting.clear()
    made.dead_run()
    yield made
    for log in made.journal.logs.values():
        verify(log)
    made.close()


def of_slack(town):
    """Slack's clock, which nobody sets."""
    true = LoopClock(town.loop)
    town.directory.clock = town.messenger.clock = true
    return true


def counting(town):
    """Since when every look has allowed the release."""
    record = town.run(AUTO_RELEASES.get(town.ports, f"{STATE}/l1"))
    return None if record is None else record.since


def is_kept(town, minutes=60):
    """Whether the lock stands for as long as that, with nothing about to happen to it."""
    town.watch(minutes)
    return town.locks == {"l1"} and all(report.stage is not UnlockStage.ARMED for report in town.shown)


# ── what happens if nobody says a word


def test_a_dead_lock_is_announced_after_its_time_and_released_after_the_veto(town):
    began = town.clock.now()

    announced = town.until_announced()

    assert AFTER <= town.clock.now() - began <= AFTER + timedelta(minutes=6)
    assert town.locks == {"l1"}
    assert announced.stage is UnlockStage.ARMED
    assert town.where == [ALERTS]
    shown = str(unlock_message(announced).blocks)
    assert "will be unlocked automatically" in shown
    assert "12 of 12 checks passed" in shown
    assert next(action for action, _ in buttons_in(unlock_message(announced).blocks)) == "unlock.disarm"

    town.watch(3)
    assert town.locks == {"l1"}
    town.watch(2)
    assert town.locks == set()
    assert [report.stage for report in town.shown] == [UnlockStage.RELEASED]
    assert "automatically" in str(unlock_message(town.shown[0]).blocks)


def test_it_is_on_the_timeline_like_any_other(town):
    town.until_announced()
    town.watch(7)

    steps = ("gate.decided", "unlock.requested", "unlock.releasing", "unlock.released")
    found = town.entries(*steps)
    kinds = list(dict.fromkeys(entry.kind for entry in found))
    assert kinds == ["gate.decided", "unlock.requested", "unlock.releasing", "unlock.released"]
    assert {entry.actor for entry in found} == {BOT}
    assert len(town.entries("unlock.requested", "unlock.releasing", "unlock.released")) == 3
    intent, outcome = town.entries("unlock.releasing")[0], town.entries("unlock.released")[0]
    assert (intent.facts["lock_id"], outcome.facts["lock_id"]) == ("l1", "l1")


def test_where_an_incident_deals_with_the_state_it_is_announced_there(town):
    town.incident = town.run(town.ports.journal.open(channel=CHANNEL, title="t", by=QUINN, at=town.clock.now()))[0]
    seen = town.run(town.ports.states[STATE].backend.read_lock())
    town.run(observe(town.ports, town.incident.id, STATE, seen))

    town.until_announced()
    town.watch(7)

    assert town.where == [CHANNEL]
    assert town.notices(ALERTS) == [f"{STATE} will be unlocked automatically", f"{STATE} was unlocked"]
    assert {entry.kind for entry in town.journal.logs[town.incident.id]} >= {"unlock.requested", "unlock.released"}
    assert town.locks == set()


def test_without_any_channel_nothing_is_announced_and_nothing_released(town):
    town.ports = replace(town.ports, alerts_channel=None)

    assert is_kept(town)
    assert town.shown == []
    town.ports = replace(town.ports, alerts_channel=ALERTS)
    town.watch(25)
    assert town.locks == set()


def test_the_owner_hears_of_it(town):
    town.until_announced()
    town.watch(1)

    assert {(to, letter.news) for to, letter in town.messenger.rung} >= {("U0ELLIOTT", OwnerNews.UNLOCK_WANTED)}


# ── what is not released without being asked


def test_by_default_nothing_is(town):
    town.configure(None)

    assert is_kept(town)
    assert town.shown == []


def test_a_protected_state_never_is():
    town = Town(protected=True)
    town.dead_run()

    assert is_kept(town)
    assert town.shown == []
    town.close()


@pytest.mark.parametrize(
    "lock",
    [
        {"who": "runner@fv-az881-525"},
        {"how": Conclusion.SUCCESS},
        {"who": "elliott@laptop"},
    ],
    ids=["only the time ties it", "its run ended in success", "a person holds it"],
)
def test_what_wants_a_second_member_is_left_to_people(lock):
    town = Town()
    town.dead_run(**lock)

    assert is_kept(town)
    assert town.shown == []
    town.close()


def test_what_is_only_warned_of_is_left_to_people():
    town = Town()
    town.dead_run(places=(PlaceKind.FILE,))
    town.lock("l2", places=(PlaceKind.ITEM,))

    town.watch(60)

    assert town.locks == {"l1", "l2"}
    assert town.shown == []
    town.close()


def test_a_run_that_goes_on_keeps_its_lock(town):
    town.ci.start("101", DEPLOY, host="runner-1")
    town.lock("l1", who="root@gha-101")

    assert is_kept(town)
    assert town.shown == []
    town.ci.end("101", Conclusion.FAILED)
    town.watch(25)
    assert town.locks == set()


def test_the_time_counts_from_when_every_look_allowed_it(town):
    town.watch(8)
    for _ in range(6):  # somebody writes: the next look does not allow it
        town.store.last_written = town.clock.now()
        town.watch(1)
    began = town.clock.now()

    town.until_announced()

    assert town.clock.now() - began >= AFTER
    assert town.locks == {"l1"}


@pytest.mark.parametrize("redis_is_elsewhere", [True, False])
@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta()])
def test_a_clock_that_is_set_forward_does_not_shorten_the_time_that_every_look_has_to_allow_it(
    town, ahead, redis_is_elsewhere
):
    true = of_slack(town)
    while not counting(town):
        town.watch(1)
    began = true.now()
    if redis_is_elsewhere:
        town.records.clock = true
    town.clock.now = lambda: true.now() + ahead

    town.watch(8)
    assert town.shown == []
    town.until_announced()
    assert true.now() - began >= AFTER
    assert town.locks == {"l1"}


def test_nothing_counts_while_slack_does_not_say_what_time_it_is(town):
    async def fault(name):
        if name == "look up time":
            raise Unreachable("Slack", "no answer")

    town.switchboard.fault = fault
    town.watch(AFTER / timedelta(minutes=1) * 3)
    assert (town.shown, counting(town)) == ([], None)
    town.switchboard.fault = None

    town.watch(AFTER / timedelta(minutes=1) - 1)
    assert town.shown == []
    town.until_announced()


def test_what_an_earlier_version_counted_counts_again(town):
    while not counting(town):
        town.watch(1)
    before = AutoRecord(look_at=town.clock.now(), since=town.clock.now() - AFTER)
    town.run(AUTO_RELEASES.put(town.ports, f"{STATE}/l1", before))

    town.watch(AFTER / timedelta(minutes=1) - 1)
    assert town.shown == []
    town.until_announced()


@pytest.mark.parametrize("redis_is_elsewhere", [True, False])
@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta()])
def test_people_have_their_time_to_stop_it_even_if_the_machines_clock_is_set_forward(town, ahead, redis_is_elsewhere):
    true = of_slack(town)
    town.until_announced()
    announced = town.clock.now()
    if redis_is_elsewhere:
        town.records.clock = true
    town.clock.now = lambda: true.now() + ahead

    town.watch(3)
    assert town.locks == {"l1"}
    assert true.now() - announced < VETO
    town.watch(4)
    assert town.locks == set()


def test_people_keep_their_time_to_stop_it_while_slack_does_not_say_what_time_it_is(town):
    of_slack(town)
    town.until_announced()

    async def fault(name):
        if name == "look up time":
            raise Unreachable("Slack", "no answer")

    town.switchboard.fault = fault

    town.watch(VETO / timedelta(minutes=1) + 3)
    assert town.locks == {"l1"}
    town.switchboard.fault = None
    town.watch(1)
    assert town.locks == set()


# ── a no


def test_anybody_in_the_channel_stops_it_for_as_long_as_the_lock_stands(town):
    town.until_announced()

    town.stop(GUEST)

    [report] = town.shown
    assert report.stage is UnlockStage.DECLINED
    assert f"<@{GUEST}>" in str(unlock_message(report).blocks)
    assert [action for action, _ in buttons_in(unlock_message(report).blocks)] == []
    assert [entry.actor for entry in town.entries("unlock.declined")] == [GUEST]
    assert is_kept(town, 120)
    assert len(town.shown) == 1


def test_a_stop_is_for_that_lock_alone(town):
    town.until_announced()
    town.stop(GUEST)
    town.store.texts.clear()
    town.lock("l2", who="root@gha-102")
    town.ci.start("102", DEPLOY, host="runner-1")
    town.ci.end("102", Conclusion.FAILED)

    town.watch(30)

    assert town.locks == set()
    assert [report.stage for report in town.shown] == [UnlockStage.DECLINED, UnlockStage.RELEASED]


def test_nobody_outside_the_channel_can_stop_it(town):
    town.until_announced()

    with pytest.raises(NotPermitted, match="not a member of the channel"):
        town.stop(OUTSIDE)

    town.watch(7)
    assert town.locks == set()


def test_a_stop_does_not_need_slack_to_say_who_it_is(town):
    town.until_announced()

    async def fault(name):
        if name == "look up inside":
            raise Unreachable("Slack", "no answer")

    town.switchboard.fault = fault
    town.stop(OUTSIDE)

    assert is_kept(town)


def test_a_person_may_still_unlock_what_was_stopped(town):
    town.until_announced()
    town.stop(GUEST)
    report = town.ask()

    town.run(unlock.confirm(town.ports, report.request.id, lock_id="l1", user=QUINN))
    town.pass_time(30)

    assert town.locks == set()


def test_a_stop_while_it_is_being_released_keeps_what_was_not_deleted_yet(town):
    town.until_announced()
    said = []

    async def fault(name):
        if name.startswith("delete ") and not said:
            said.append(name)
            with pytest.raises(NotPermitted, match="released already"):
                await unlock.disarm(town.ports, town.shown[0].request.id, lock_id="l1", user=GUEST)
            raise Unreachable("S3", "cut off before it arrived")

    town.switchboard.fault = fault
    town.watch(60)

    assert said
    assert town.locks == {"l1"}


def test_a_stop_between_the_two_places_keeps_the_second(town):
    town.until_announced()

    async def fault(name):
        if name == "deleted lockfile":
            with pytest.raises(NotPermitted, match="released already"):
                await unlock.disarm(town.ports, town.shown[0].request.id, lock_id="l1", user=GUEST)

    town.switchboard.fault = fault
    town.watch(60)

    assert set(town.store.texts) == {PlaceKind.ITEM}
    assert town.shown[0].stage is UnlockStage.PARTLY_RELEASED
    assert len(town.shown) == 1


@pytest.mark.parametrize(("is_lost", "said"), [(True, NotReplicated), (False, NotPermitted)])
def test_a_stop_that_comes_late_is_promised_only_if_a_fail_over_would_not_lose_it(town, is_lost, said):
    town.until_announced()
    heard = []

    async def fault(name):
        if name.startswith("secure auto") and is_lost:
            raise NotReplicated("no replica has it")
        if name.startswith("delete ") and not heard:
            heard.append(name)
            with pytest.raises(said):
                await unlock.disarm(town.ports, town.shown[0].request.id, lock_id="l1", user=GUEST)
            raise Unreachable("S3", "cut off before it arrived")

    town.switchboard.fault = fault
    town.watch(60)

    assert heard
    assert town.locks == {"l1"}


def test_a_second_stop_says_that_it_is_over(town):
    town.until_announced()
    town.stop(GUEST)

    with pytest.raises(NotPermitted, match="finished"):
        town.stop(GUEST)

    assert is_kept(town)


# ── what changes between the announcement and the release


def changes_hands(town):
    town.store.texts.clear()
    town.lock("l2")


def run_again(town):
    town.ci.start("100", DEPLOY, host="runner-1")


def state_is_written(town):
    town.store.last_written = town.clock.now() + timedelta(minutes=4)


def owner_objects(town):
    answer = OwnerAnswer("l1", "U0ELLIOTT", OwnerSays.RUNNING, town.clock.now())
    town.run(record_answer(town.ports, STATE, answer, incident=""))


def config_without_it(town):
    town.configure(None)


def protected_by_now(town):
    state = town.ports.states[STATE]
    name = replace(state.name, protected=True)
    town.ports = replace(town.ports, states={STATE: replace(state, name=name)})


def ci_is_away(town):
    async def fault(name):
        if name in {"list runs", "read run"}:
            raise Unreachable("GitHub", "no answer")

    town.switchboard.fault = fault


def state_is_gone(town):
    async def fault(name):
        if name == "read state":
            raise Throttle

    town.switchboard.fault = fault


@pytest.mark.parametrize(
    ("change", "stage"),
    [
        (changes_hands, UnlockStage.HOLDER_CHANGED),
        (run_again, UnlockStage.REFUSED),
        (state_is_written, UnlockStage.REFUSED),
        (owner_objects, UnlockStage.REFUSED),
        (config_without_it, UnlockStage.REFUSED),
        (protected_by_now, UnlockStage.REFUSED),
        (ci_is_away, UnlockStage.REFUSED),
        (state_is_gone, UnlockStage.REFUSED),
    ],
)
def test_what_is_not_proven_any_more_is_not_released_and_the_announcement_says_so(town, change, stage):
    town.until_announced()
    before = town.locks

    change(town)
    town.watch(8)

    assert town.locks == ({"l2"} if change is changes_hands else before)
    report = town.shown[0]
    assert report.stage is stage
    assert [action for action, _ in buttons_in(unlock_message(report).blocks)] in ([], ["watch.start"])
    assert len(town.entries("unlock.failed")) == 1
    assert town.entries("unlock.releasing", "unlock.released") == []


def test_what_was_corrected_is_corrected_where_it_was_announced(town):
    town.incident = town.run(town.ports.journal.open(channel=CHANNEL, title="t", by=QUINN, at=town.clock.now()))[0]
    seen = town.run(town.ports.states[STATE].backend.read_lock())
    town.run(observe(town.ports, town.incident.id, STATE, seen))
    town.until_announced()

    run_again(town)
    town.watch(2)

    assert town.notices(ALERTS) == [
        f"{STATE} will be unlocked automatically", f"{STATE} was not unlocked automatically",
    ]  # fmt: skip
    assert town.locks == {"l1"}


def test_a_state_that_is_not_configured_any_more_is_withdrawn(town):
    town.until_announced()

    town.ports = replace(town.ports, states={})
    town.watch(8)

    assert [report.stage for report in town.shown] == [UnlockStage.EXPIRED]
    assert town.locks == {"l1"}
    assert len(town.entries("unlock.withdrawn")) == 1


def test_a_lock_whose_proof_comes_and_goes_is_announced_three_times_at_most(town):
    for number in range(5):
        for _ in range(30):
            town.watch(1)
            if len(town.shown) > number:
                break
        run_again(town)
        town.watch(2)
        town.ci.end("100", Conclusion.FAILED)

    assert len(town.shown) == 3
    assert is_kept(town)


def test_whoever_unlocks_it_first_leaves_nothing_to_do(town):
    town.until_announced()
    report = town.ask()
    town.run(unlock.confirm(town.ports, report.request.id, lock_id="l1", user=QUINN))

    town.watch(7)

    assert [one.stage for one in town.shown] == [UnlockStage.ALREADY_FREE, UnlockStage.RELEASED]
    assert [entry.actor for entry in town.entries("unlock.released")] == [QUINN]


# ── crashes, and two workers


def killed_at(town, step):
    """The worker that comes to this step first is no more; what it was called for has been done, if it says so."""
    passed = []

    async def fault(name):
        if WORKER.get() and name.startswith(step) and not passed:
            passed.append(name)
            town.switchboard.dead.add(WORKER.get())

    town.switchboard.fault = fault
    return passed


@pytest.mark.parametrize(
    "step",
    [
        "put unlock", "enlist auto-releases", "updated auto-release", "tell armed", "told armed", "update unlock",
        "updated unlock", "append gate.decided", "append unlock.requested", "appended unlock.requested",
        "put letter-of", "start letter", "start auto_release",
    ],
)  # fmt: skip
def test_a_worker_that_dies_at_the_announcement_is_followed_by_one_that_goes_on(town, step):
    town.watch(12)
    assert town.shown == []
    passed = killed_at(town, step)

    town.watch(20)

    assert passed
    assert town.locks == set()
    assert [report.stage for report in town.shown] == [UnlockStage.RELEASED]
    assert town.where == [ALERTS]
    assert len(town.entries("unlock.requested")) == len(town.entries("unlock.released")) == 1


@pytest.mark.parametrize(
    "step",
    [
        "append unlock.releasing", "appended unlock.releasing", "delete lockfile", "deleted lockfile",
        "delete dynamodb item", "deleted dynamodb item", "update unlock", "append unlock.released", "tell released",
        "update auto-release",
    ],
)  # fmt: skip
def test_a_worker_that_dies_at_the_release_is_followed_by_one_that_settles_it(town, step):
    town.until_announced()
    passed = killed_at(town, step)

    town.watch(12)

    assert passed
    assert town.locks == set()
    assert [report.stage for report in town.shown] == [UnlockStage.RELEASED]
    assert len(town.entries("unlock.released")) == 1


def test_two_workers_announce_and_release_it_once(town):
    town.until_announced("w1", "w2")
    for _ in range(8):
        town.watch(1, "w1", "w2")

    assert town.where == [ALERTS]
    assert town.locks == set()
    assert len(town.entries("unlock.requested")) == len(town.entries("unlock.released")) == 1
    assert len(town.entries("unlock.releasing")) == 1


def test_workers_that_were_away_for_the_veto_and_long_after_it_do_not_release_it_any_more(town):
    town.until_announced()
    town.jobs.waiting.clear()
    town.loop.stand_still(3600)

    town.watch(2)

    assert [report.stage for report in town.shown] == [UnlockStage.EXPIRED]
    assert town.locks == {"l1"}


def test_while_slack_is_away_nothing_is_announced_so_nothing_is_released(town):
    async def fault(name):
        if name.startswith(("tell ", "look for ")):
            raise Unreachable("Slack", "no answer")

    town.switchboard.fault = fault
    assert is_kept(town)
    assert town.shown == []

    town.switchboard.fault = None
    town.watch(8)
    assert town.locks == set()


def test_a_channel_that_the_bot_may_not_write_to_hears_nothing_so_nothing_is_released(town):
    async def fault(name):
        if name.startswith("tell "):
            raise Denied("Slack", "not_in_channel")

    town.switchboard.fault = fault

    assert is_kept(town)
    assert town.shown == []


@pytest.mark.parametrize("error", [Denied("Slack", "not_in_channel"), Missing("Slack", "channel_not_found"), None])
def test_an_alerts_channel_that_hears_nothing_keeps_the_lock_though_an_incident_channel_heard_of_it(town, error):
    town.incident = town.run(town.ports.journal.open(channel=CHANNEL, title="t", by=QUINN, at=town.clock.now()))[0]
    seen = town.run(town.ports.states[STATE].backend.read_lock())
    town.run(observe(town.ports, town.incident.id, STATE, seen))

    async def fault(name):
        if name == "notice" and error is not None:
            raise error

    town.switchboard.fault = fault
    if error is None:
        town.watch(40)
        assert town.locks == set()
        return

    assert is_kept(town, 120)
    assert 1 <= len(town.shown) <= 3
    assert {(report.stage, report.note) for report in town.shown} == {(UnlockStage.EXPIRED, (NOT_HEARD,))}
    assert all("unlock.disarm" not in str(unlock_message(report).blocks) for report in town.shown)
    assert len(town.entries("unlock.withdrawn")) == len(town.shown)
    assert town.entries("unlock.releasing", "unlock.released") == []
    assert OwnerNews.UNLOCK_WANTED not in {letter.news for _, letter in town.messenger.rung}


@pytest.mark.parametrize("error", [Denied("Slack", "is_archived"), None])
def test_the_channel_of_another_incident_that_hears_nothing_keeps_the_lock_though_the_alerts_channel_heard_of_it(
    town, error
):
    for channel in (CHANNEL, ELSEWHERE):
        opened = town.run(town.ports.journal.open(channel=channel, title="t", by=QUINN, at=town.clock.now()))[0]
        seen = town.run(town.ports.states[STATE].backend.read_lock())
        town.run(observe(town.ports, opened.id, STATE, seen))
        town.pass_time(1)

    async def post(to, what, **how):
        if error is not None and isinstance(what, Notice) and to in {CHANNEL, ELSEWHERE}:
            raise error
        return await was(to, what, **how)

    was, town.messenger.post = town.messenger.post, post
    town.watch(60)

    assert town.notices(ALERTS)
    assert town.locks == ({"l1"} if error else set())
    notes = {report.note for report in town.shown if report.stage is UnlockStage.EXPIRED}
    assert notes == ({(NOT_HEARD,)} if error else set())


@pytest.mark.parametrize("step", ["update auto-release", None])
def test_a_worker_that_dies_once_it_has_withdrawn_is_followed_by_one_that_counts_again(town, step):
    """Else nobody would look at the lock for as long as its record is kept, which is 30 days."""
    town.incident = town.run(town.ports.journal.open(channel=CHANNEL, title="t", by=QUINN, at=town.clock.now()))[0]
    seen = town.run(town.ports.states[STATE].backend.read_lock())
    town.run(observe(town.ports, town.incident.id, STATE, seen))
    met = []

    async def fault(name):
        if met and name == step:
            town.switchboard.fault = None
            raise Killed(name)
        if name == "notice":
            met.append(name)
            raise Denied("Slack", "not_in_channel")

    town.switchboard.fault = fault
    while not met or (step and town.switchboard.fault):
        town.watch(1)
    town.switchboard.fault = None

    town.watch(40)

    assert town.locks == set()


def test_a_worker_that_dies_once_the_alerts_channel_has_refused_is_followed_by_one_that_withdraws(town):
    town.incident = town.run(town.ports.journal.open(channel=CHANNEL, title="t", by=QUINN, at=town.clock.now()))[0]
    seen = town.run(town.ports.states[STATE].backend.read_lock())
    town.run(observe(town.ports, town.incident.id, STATE, seen))
    refusals = []

    async def fault(name):
        if refusals and name.startswith("update unlock"):
            town.switchboard.fault = None
            raise Killed(name)
        if name == "notice":
            refusals.append(name)
            raise Denied("Slack", "not_in_channel")

    town.switchboard.fault = fault
    town.until_announced()
    town.watch(1)

    assert refusals
    assert town.switchboard.fault is None
    assert [report.stage for report in town.shown] == [UnlockStage.EXPIRED]
    assert town.locks == {"l1"}


def test_while_redis_is_away_nothing_is_released(town):
    town.until_announced()

    async def fault(name):
        if name.startswith(("append", "update", "get ")):
            raise JournalAway("away")

    town.switchboard.fault = fault
    town.watch(10)
    assert town.locks == {"l1"}

    town.switchboard.fault = None
    town.watch(3)
    assert town.locks == set()
