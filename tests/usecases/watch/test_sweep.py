"""What the bot sees by itself, and that each fact is told once, in a world whose time takes no time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.inspection import StateName
from bot.core.lock import LockInfo, PlaceKind
from bot.core.policy import WatchRule
from bot.core.reports.alert import AlertKind, Bulletin, Outcome
from bot.core.reports.owner_message import OwnerMessage, OwnerNews
from bot.core.run import Conclusion
from bot.errors import Denied, JournalAway, Unreachable
from bot.usecases.record.lifecycle import close, note, observe
from bot.usecases.watch import alerts
from bot.usecases.world import State
from tests.worlds.memory.memory import Killed, MemoryLockBackend, MemoryStore, MemorySweep, Throttle, lock_text
from tests.worlds.memory.people import Waiting
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE, MemoryWorld

ALERTS = "C0ALERTS"


class Watch(MemoryWorld):
    """A world that is swept, with an alerts channel, and hands on its locks and runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stores = {STATE: self.store}
        self.ports = replace(self.ports, alerts_channel=ALERTS, watch=WatchRule())

    def add_states(self, count: int, *, table=None) -> None:
        """More states, all of one table if one is named."""
        states, backends = dict(self.ports.states), dict(self.ports.sweep.backends)
        for number in range(count):
            name = f"s{number}"
            store = self.stores[name] = MemoryStore((PlaceKind.ITEM,))
            backends[name] = MemoryLockBackend(store, self.clock, self.switchboard)
            states[name] = State(
                StateName(name, "", protected=False), backends[name], "memory", (DEPLOY,), table, table=table or ""
            )
        self.ports = replace(self.ports, states=states, sweep=MemorySweep(backends))

    def lock(self, lock_id: str, state: str = STATE, *, who: str = "runner@fv-az1-1") -> None:
        info = LockInfo(lock_id, "OperationTypeApply", "", who, "1.9.8", self.clock.now(), "p")
        for kind in self.stores[state].kinds:
            self.stores[state].write(kind, lock_text(info))

    def free(self, state: str = STATE) -> None:
        self.stores[state].texts.clear()

    def sweep(self, *workers: str) -> None:
        """One sweep, given to all of the workers at once, and what is redelivered after it."""
        self.jobs.waiting["sweep"] = Waiting("watch_states", (), "sweep", self.clock.now())
        self.pass_time(0.01, workers=workers or ("w1",))

    def watch(self, minutes: float, *workers: str) -> None:
        for _ in range(int(minutes)):
            self.pass_time(60)
            self.sweep(*workers)

    def told(self, channel: str = ALERTS):
        """What each alert's message shows now, in the order of their posting."""
        return [shown for posted, shown in self.messenger.now(Bulletin).items() if posted.channel == channel]

    def told_of(self, channel: str = ALERTS):
        return [alert.concern.kind for shown in self.told(channel) for alert in shown.alerts]

    def entries(self, kind: str):
        return [entry for entry in self.journal.logs[self.incident.id] if entry.kind == kind]

    def dead_run(self, lock_id: str = "l1", state: str = STATE) -> None:
        self.ci.start("100", DEPLOY, host=None, actor="elliott-ci")
        self.pass_time(30)
        self.lock(lock_id, state)
        self.pass_time(30)
        self.ci.end("100", Conclusion.TIMED_OUT)


@pytest.fixture
def world():
    made = Watch()
    made.run(close(made.ports, made.incident, user="U0QUINN"))
    made.jobs.waiting.clear()
    yield made
    made.close()


@pytest.fixture
def in_incident():
    """A world whose open incident deals with the state."""
    made = Watch()
    seen = made.run(made.ports.states[STATE].backend.read_lock())
    made.run(observe(made.ports, made.incident.id, STATE, seen))
    yield made
    made.close()


def test_a_lock_older_than_the_limit_is_told_once_and_resolved_by_itself(world):
    world.lock("l1")
    world.watch(59)
    assert world.told() == []

    world.watch(5)

    [shown] = world.told()
    [alert] = shown.alerts
    assert (alert.concern.kind, alert.concern.state, alert.concern.lock_id) == (AlertKind.AGED, STATE, "l1")
    world.free()
    world.watch(3)
    [shown] = world.told()
    assert shown.alerts[0].outcome is Outcome.FREE


def test_another_lock_of_the_same_state_is_another_alert(world):
    world.lock("l1")
    world.watch(61)
    world.lock("l2")
    world.watch(61)

    first, second = world.told()
    assert (first.alerts[0].outcome, second.alerts[0].outcome) == (Outcome.OTHER_LOCK, None)
    assert second.alerts[0].concern.lock_id == "l2"


def test_an_alert_stands_while_the_lock_cannot_be_read(world):
    world.lock("l1")
    world.watch(61)

    async def away(name):
        if name.startswith("read "):
            raise Unreachable("S3", "it is away")

    world.switchboard.fault = away
    world.watch(5)

    assert [alert.is_open for shown in world.told() for alert in shown.alerts] == [True]


def test_a_lock_whose_run_died_is_told_once_its_end_is_believed(world):
    world.dead_run()
    world.watch(4)
    assert world.told() == []

    world.watch(12)

    [shown] = world.told()
    concern = shown.alerts[0].concern
    assert (concern.kind, concern.ended, concern.url) == (AlertKind.DEAD_RUN, "timed out", "https://ci.example.com/100")
    world.free()
    world.watch(2)
    assert world.told()[0].alerts[0].outcome is Outcome.FREE


def test_a_run_that_goes_on_again_takes_the_alert_back(world):
    world.dead_run()
    world.watch(16)
    world.ci.start("100", DEPLOY, host=None)

    world.watch(7)

    assert world.told()[0].alerts[0].outcome is Outcome.GOES_ON


def test_a_loop_is_told_once_and_ends_when_it_stops(world):
    world.lock("l1")
    for number in range(12):
        world.ci.start(f"2{number:02}", DEPLOY, host=None, actor="renovate[bot]")
        world.ci.end(f"2{number:02}", Conclusion.FAILED)
        world.watch(1)

    [loop] = [alert for shown in world.told() for alert in shown.alerts if alert.concern.kind is AlertKind.LOOP]
    assert (loop.concern.subject, loop.concern.states) == (DEPLOY.title, (STATE,))
    world.free()
    world.watch(30)
    [loop] = [alert for shown in world.told() for alert in shown.alerts if alert.concern.kind is AlertKind.LOOP]
    assert loop.outcome is Outcome.QUIET


def test_a_run_that_passes_its_usual_time_is_told(world):
    for number in range(5):
        world.ci.start(f"3{number}", DEPLOY, host=None)
        world.pass_time(300)
        world.ci.end(f"3{number}", Conclusion.SUCCESS)
        world.pass_time(300)
    world.ci.start("40", DEPLOY, host=None)
    world.pass_time(30)
    world.lock("l1")

    world.watch(14)
    assert world.told() == []
    world.watch(7)

    [shown] = world.told()
    concern = shown.alerts[0].concern
    assert (concern.kind, concern.usual) == (AlertKind.OVERDUE, timedelta(minutes=5))
    world.free()
    world.ci.end("40", Conclusion.SUCCESS)
    world.watch(2)
    assert world.told()[0].alerts[0].outcome is Outcome.FREE


def test_without_enough_history_no_run_is_overdue(world):
    world.ci.start("40", DEPLOY, host=None)
    world.pass_time(30)
    world.lock("l1")

    world.watch(45)

    assert AlertKind.OVERDUE not in world.told_of()


def test_a_throttled_table_of_many_states_is_one_alert(world):
    world.add_states(300, table="acme-tf-locks")

    async def throttled(name):
        if name == f"read {PlaceKind.ITEM}":
            raise Throttle

    world.switchboard.fault = throttled
    world.watch(3)

    [shown] = [told for told in world.told() if told.alerts[0].concern.subject == "acme-tf-locks"]
    concern = shown.alerts[0].concern
    assert len(concern.states) + concern.more == 300
    world.switchboard.fault = None
    world.watch(3)
    assert world.told()[0].alerts[0].is_open
    world.watch(4)
    assert {shown.alerts[0].outcome for shown in world.told()} == {Outcome.QUIET}


def test_many_new_facts_are_told_in_one_digest_that_is_kept_up_to_date(world):
    world.add_states(40)
    for number in range(40):
        world.lock(f"l{number}", f"s{number}")
    world.watch(61)

    [digest] = world.told()
    assert len(digest.alerts) == 40
    world.free("s7")
    world.watch(1)
    [digest] = world.told()
    assert [alert.concern.state for alert in digest.alerts if not alert.is_open] == ["s7"]


def test_in_an_incident_that_deals_with_the_state_the_alert_and_its_end_are_told_there(in_incident):
    world = in_incident
    world.lock("l1")
    world.watch(62)
    world.free()
    world.watch(2)

    assert world.told_of(CHANNEL) == [AlertKind.AGED]
    assert world.told() == []
    [raised], [resolved] = world.entries("alert.raised"), world.entries("alert.resolved")
    assert (raised.facts["kind"], raised.facts["state"], raised.facts["lock_id"]) == ("aged lock", STATE, "l1")
    assert resolved.facts["outcome"] == "the lock is free"
    assert [entry.facts["before"] for entry in world.entries("lock.changed")] == ["free", "l1"]


def test_an_incident_in_which_nobody_acts_any_more_is_not_kept_open_by_the_locks_of_every_day(in_incident):
    world = in_incident
    world.pass_time(3 * 3600)
    before = len(world.journal.logs[world.incident.id])

    for number in range(5):
        world.lock(f"l{number}")
        world.watch(2)
        world.free()
        world.watch(2)

    assert len(world.journal.logs[world.incident.id]) == before


def test_a_thousand_locked_states_watched_by_two_workers_are_told_once(world):
    world.add_states(1000)
    for number in range(1000):
        world.lock(f"l{number}", f"s{number}")
    world.pass_time(3600)

    world.watch(2, "w1", "w2")

    [digest] = world.told()
    assert len({alert.concern.id for alert in digest.alerts}) == len(digest.alerts) == 1000


def test_without_a_channel_nothing_is_told_and_the_metrics_go_on(world):
    world.ports = replace(world.ports, alerts_channel=None)
    world.lock("l1")

    world.watch(61)

    assert world.messenger.now(Bulletin) == {}
    shown = world.ports.meter.exposition().decode()
    assert 'tflock_lock_held{state="staging"} 1.0' in shown
    assert 'tflock_lock_age_seconds{state="staging"} 36' in shown
    world.ports = replace(world.ports, alerts_channel=ALERTS)
    world.watch(1)
    assert world.told_of() == [AlertKind.AGED]


def test_while_slack_is_away_an_alert_is_kept_and_told_later_once(world):
    world.lock("l1")

    async def away(name):
        if name == "tell alert":
            raise Unreachable("Slack", "it is away")

    world.switchboard.fault = away
    world.watch(65)
    assert world.told() == []

    world.switchboard.fault = None
    world.watch(3)

    assert world.told_of() == [AlertKind.AGED]


def test_a_snoozed_alert_says_so_and_comes_back_once_if_it_still_stands(world):
    world.lock("l1")
    world.watch(61)
    alert_id = world.told()[0].alerts[0].concern.id

    world.run(alerts.snooze(world.ports, alert_id, user="U0QUINN"))

    assert world.told()[0].alerts[0].snoozed_by == "U0QUINN"
    world.watch(58)
    assert len(world.told()) == 1
    world.watch(5)
    first, again = world.told()
    assert again.is_again
    assert (first.alerts[0].snoozed_until, again.alerts[0].snoozed_until) == (None, None)
    world.free()
    world.watch(1)
    assert all(not alert.is_open for shown in world.told() for alert in shown.alerts)


def test_few_states_are_looked_at_closely_in_one_sweep_and_all_in_the_end(world):
    world.add_states(100)
    for number in range(100):
        world.lock(f"l{number}", f"s{number}")
    looked: list[int] = []

    async def count(name):
        if name == "read state":
            looked[-1] += 1

    world.switchboard.fault = count
    for _ in range(40):
        looked.append(0)
        world.watch(1)

    assert max(looked) <= 6
    assert sum(looked[:19]) >= 100


def test_a_ci_system_that_asks_for_patience_is_left_alone_for_a_while(world):
    world.lock("l1")
    asked: list[str] = []

    async def throttled(name):
        if name == "list runs":
            asked.append(name)
            raise Throttle

    world.switchboard.fault = throttled
    world.watch(5)

    assert len(asked) == 1


def test_two_workers_at_once_tell_each_fact_once(world):
    world.add_states(4)
    for number in range(4):
        world.lock(f"l{number}", f"s{number}")

    world.watch(65, "w1", "w2")

    assert sorted(alert.concern.state for shown in world.told() for alert in shown.alerts) == ["s0", "s1", "s2", "s3"]


def watched_incident():
    made = Watch()
    seen = made.run(made.ports.states[STATE].backend.read_lock())
    made.run(observe(made.ports, made.incident.id, STATE, seen))
    return made


@pytest.mark.parametrize("at", ["raising", "resolving"])
def test_a_worker_killed_at_any_step_leaves_nothing_missed_and_nothing_doubled(at):
    steps = _with_a_kill(at, victim=10**9)
    assert steps > 40
    for victim in range(0, steps, 3):
        _with_a_kill(at, victim)


def _with_a_kill(at: str, victim: int) -> int:
    """Two alerts, one of them in an incident, and the worker dies at this call; how many calls there were."""
    world, passed = watched_incident(), 0
    world.add_states(1)
    world.lock("l1")
    world.lock("l2", "s0")

    async def kill(_name):
        nonlocal passed
        passed += 1
        if passed == victim + 1:
            world.switchboard.dead.add(f"w1.{world._deaths}")
            raise Killed

    world.pass_time(3590)
    world.switchboard.fault = kill if at == "raising" else None
    world.watch(2)
    world.switchboard.fault = kill if at == "resolving" else None
    world.free()
    world.watch(2)
    world.switchboard.fault = None
    world.watch(2)

    assert world.told_of(CHANNEL) == [AlertKind.AGED], victim
    assert world.told_of(ALERTS) == [AlertKind.AGED], victim
    assert world.told(CHANNEL)[0].alerts[0].outcome is Outcome.FREE, victim
    assert world.told()[0].alerts[0].is_open, victim
    assert len(world.entries("alert.raised")) == 1, victim
    assert len(world.entries("alert.resolved")) == 1, victim
    assert world.stores["s0"].texts
    world.close()
    return passed


def test_a_redis_that_goes_away_in_the_middle_costs_a_sweep_and_no_alert(world):
    world.lock("l1")
    world.watch(60)

    async def away(name):
        if name.startswith("put "):
            raise JournalAway("it is away")

    world.switchboard.fault = away
    world.watch(2)
    world.switchboard.fault = None
    world.watch(3)

    assert world.told_of() == [AlertKind.AGED]


def letters(world):
    return list(world.messenger.now(OwnerMessage).values())


def test_an_owner_is_told_once_that_their_run_died_with_the_lock(world):
    world.dead_run()
    world.watch(30, "w1", "w2")

    (letter,) = letters(world)
    assert letter.news is OwnerNews.RUN_DIED
    assert [owner for owner, _ in world.messenger.rung] == ["U0ELLIOTT"]
    assert set(world.store.texts) == set(world.kinds)


def test_an_owner_is_not_told_of_a_run_that_goes_on_nor_of_a_lock_that_is_free_by_then(world):
    world.ci.start("100", DEPLOY, host=None, actor="elliott-ci")
    world.lock("l1")
    world.watch(30)
    world.free()
    world.ci.end("100", Conclusion.TIMED_OUT)
    world.watch(30)

    assert letters(world) == []


def test_the_owner_of_an_old_lock_is_told_once_that_others_wait_for_it(world):
    world.ci.start("100", DEPLOY, host=None, actor="elliott-ci")
    world.lock("l1")
    world.pass_time(600)
    world.ci.start("200", DEPLOY, host=None, actor="quinn")
    world.watch(80, "w1", "w2")

    (letter,) = letters(world)
    assert letter.news is OwnerNews.BLOCKS
    assert [owner for owner, _ in world.messenger.rung] == ["U0ELLIOTT"]
    assert set(world.store.texts) == set(world.kinds)


def count_calls(world) -> Counter[str]:
    """What is asked from now on, by its name."""
    made = Counter[str]()

    async def count(name):
        made[name] += 1

    world.switchboard.fault = count
    return made


def test_states_that_nobody_waits_for_cost_a_sweep_one_question(world):
    world.add_states(200)
    calls = count_calls(world)

    world.sweep()

    assert calls[f"read {PlaceKind.ITEM}"] == 201
    assert calls["get queue"] == 0
    assert calls["enlisted waiting"] == 1


def test_five_hundred_alerts_cost_a_later_sweep_a_handful_of_questions(world):
    world.add_states(500)
    for number in range(500):
        world.lock(f"l{number}", f"s{number}")
    world.watch(62)
    calls = count_calls(world)

    world.sweep()

    assert len(world.told()[0].alerts) == 500
    assert calls["get alert"] + calls["get bulletin"] <= 4
    assert calls["put alert"] + calls["update alert"] == 0


def test_a_channel_that_takes_no_alerts_is_asked_again_only_after_ten_minutes(world):
    asked = list[float]()

    async def shut(name):
        if name in {"tell alert", "look for message"}:
            asked.append(world.clock.running())
            raise Denied("Slack", "the bot is not in the channel")

    world.switchboard.fault = shut
    for number in range(3):
        world.lock(f"l{number}")
        world.watch(61)
    before = len(asked)
    world.watch(20)

    assert 0 < len(asked) - before <= 4
    world.switchboard.fault = None
    world.watch(12)
    assert world.told_of()


def test_in_an_incident_that_is_long_the_sweep_reads_a_few_entries_of_it(in_incident):
    world = in_incident
    for number in range(200):
        world.run(note(world.ports, world.incident.id, user="U0QUINN", text=f"note {number}", at=None))
    read = list[int]()
    page = world.journal.page

    async def reading(incident_id, *, before, count):
        read.append(count)
        return await page(incident_id, before=before, count=count)

    world.journal.page = reading
    world.lock("l1")
    world.sweep()

    assert sum(read) <= 5
    assert [entry.facts["before"] for entry in world.entries("lock.changed")] == ["free"]


def test_states_that_cannot_be_read_for_ten_minutes_are_one_alert_until_they_can(world):
    world.add_states(150)

    async def away(name):
        if name.startswith("read "):
            raise Unreachable("S3", "it is away")

    world.switchboard.fault = away
    world.watch(9)
    assert world.told() == []
    assert "tflock_states_unread 151.0" in world.ports.meter.exposition().decode()

    world.watch(3)
    [shown] = world.told()
    [alert] = shown.alerts
    assert (alert.concern.kind, alert.concern.subject) == (AlertKind.UNREAD, "the store: timed out")
    assert len(alert.concern.states) + alert.concern.more == 151

    world.switchboard.fault = None
    world.watch(1)
    [shown] = world.told()
    assert shown.alerts[0].outcome is Outcome.READ
    assert "tflock_states_unread 0.0" in world.ports.meter.exposition().decode()


def test_a_state_that_is_unread_for_a_minute_now_and_then_is_no_alert(world):
    async def away(name):
        if name.startswith("read "):
            raise Unreachable("S3", "it is away")

    for _ in range(15):
        world.switchboard.fault = away
        world.watch(1)
        world.switchboard.fault = None
        world.watch(1)

    assert world.told() == []


def test_the_lock_of_a_state_with_another_place_that_is_read_is_not_unread(world):
    world.lock("l1")

    async def half(name):
        if name == f"read {PlaceKind.FILE}":
            raise Unreachable("S3", "it is away")

    world.switchboard.fault = half
    world.watch(30)

    assert world.told() == []
