"""What a person's home tab is made of: what waits for them alone, and a thousand locks at the price of one look."""

import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from bot.core.gate.case import Ruling
from bot.core.gate.inspection import StateName
from bot.core.hold import HoldWords, held_by, hold_info
from bot.core.lock import PlaceKind
from bot.core.lock import lock_text as text_of_lock
from bot.core.phrase import plain
from bot.core.policy import ApprovalPolicy, Approvers
from bot.core.reports.home import Wait
from bot.core.run import Conclusion
from bot.errors import NotPermitted, Unreachable
from bot.usecases.look import home_tab
from bot.usecases.queue import waiting_list
from bot.usecases.unlock import unlock
from bot.usecases.world import State
from tests.worlds.memory.memory import MemoryLockBackend, MemoryStore
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE


def lock_text(paper, lock_id="5a5a5a5a-1b2c-4d3e-8f40-2b756fec4d7f"):
    created = paper.clock.now().isoformat().replace("+00:00", "Z")
    info = {"ID": lock_id, "Operation": "OperationTypeApply", "Info": "", "Who": "runner@fv-az1-1"}
    return json.dumps({**info, "Version": "1.11.4", "Created": created, "Path": "b/k"})


@pytest.fixture
def paper(make_paper):
    """A protected state whose run has died with the lock held."""
    made = make_paper(protected=True)
    made.ci.start("1", DEPLOY, host="fv-az1-1")
    for kind in made.store.kinds:
        made.store.write(kind, lock_text(made))
    made.ci.end("1", Conclusion.FAILED)
    made.pass_time(900)
    return made


def seen_by(paper, user, **changes):
    return paper.run(home_tab.home(replace(paper.ports, **changes) if changes else paper.ports, user))


def waits_of(paper, user):
    return [(one.wait, one.state) for one in seen_by(paper, user).waiting]


def asked(paper, user="U0QUINN"):
    wish = unlock.UnlockCommand(state=STATE, user=user, channel=CHANNEL, incident=paper.incident.id)
    return paper.run(unlock.ask(paper.ports, wish))


def test_what_may_be_approved_waits_for_the_second_member_and_not_for_the_asker(paper):
    assert asked(paper).verdict.ruling is Ruling.NEEDS_APPROVAL
    assert waits_of(paper, "U0PARKER") == [(Wait.APPROVAL, STATE)]
    assert waits_of(paper, "U0QUINN") == []
    paper.directory.add("U0ELSE", "somebody", "C0ELSE")
    assert waits_of(paper, "U0ELSE") == []
    assert paper.store.texts


def test_an_approval_that_has_expired_waits_for_nobody(paper):
    asked(paper)
    paper.pass_time(paper.policy.approval_timeout.total_seconds() + 60)
    assert waits_of(paper, "U0PARKER") == []


def test_a_watched_state_is_named(paper):
    paper.run(waiting_list.start(paper.ports, waiting_list.WaitCommand(STATE, "U0PARKER", CHANNEL)))
    seen = seen_by(paper, "U0PARKER")
    assert [(one.wait, one.state) for one in seen.waiting] == [(Wait.WATCH, STATE)]
    assert seen.shown[0].is_watched
    assert waits_of(paper, "U0QUINN") == []


def test_whether_a_lock_could_be_unlocked_is_told_without_asking_who(paper):
    (shown,) = seen_by(paper, "U0PARKER").shown
    assert (shown.prospect.ruling, shown.prospect.rule) == (Ruling.NEEDS_APPROVAL, "protected")
    assert shown.prospect.end == "failed"


def test_a_guest_sees_nothing(paper):
    for look in (home_tab.home, home_tab.kept_home, home_tab.open_incidents):
        with pytest.raises(NotPermitted):
            paper.run(look(paper.ports, "U0GUEST"))
    with pytest.raises(NotPermitted):
        paper.run(home_tab.check(paper.ports, "U0GUEST", STATE))


def test_where_slack_does_not_say_who_somebody_is_they_see_nothing(paper):
    paper.directory.home_team = None
    with pytest.raises(Unreachable):
        seen_by(paper, "U0PARKER")


def test_a_thousand_locks_are_read_once_and_each_stands_on_one_page(paper):
    states, reads = {}, []
    for number in range(1_000):
        store = MemoryStore((PlaceKind.ITEM,))
        store.write(PlaceKind.ITEM, lock_text(paper, f"lock-{number}"))
        backend = MemoryLockBackend(store, paper.clock)
        states[f"s{number}"] = State(StateName(f"s{number}", "", protected=False), backend, "memory", ())

    class Sweep:
        async def read_locks(self, names):
            reads.append(len(names))
            return {name: await states[name].backend.read_lock() for name in names}

    world = replace(paper.ports, states=states, sweep=Sweep())
    first = paper.run(home_tab.home(world, "U0PARKER"))
    pages = [paper.run(home_tab.home(world, "U0PARKER", page=page)) for page in range(first.pages)]
    shown = [shown.row.state for page in pages for shown in page.shown]
    assert sorted(shown) == sorted(states)
    assert first.locked == 1_000
    assert reads == [1_000]
    assert paper.run(home_tab.home(world, "U0PARKER", page=10_000)).page == first.pages - 1


@pytest.mark.parametrize(
    ("by", "members", "waits"), [("group", ("U0PARKER",), True), ("group", (), False), ("nobody", ("U0PARKER",), False)]
)
def test_an_approval_waits_only_for_those_whom_the_policy_lets_approve(paper, by, members, waits):
    asked(paper)
    paper.directory.groups["S0LEADS"] = members
    policy = ApprovalPolicy(Approvers(by), ("S0LEADS",) if by == "group" else ())
    paper.ports = replace(paper.ports, policy=replace(paper.ports.policy, approval=policy))
    assert bool(waits_of(paper, "U0PARKER")) is waits
    assert paper.store.texts


def test_a_crowd_that_opens_its_home_tabs_uses_up_none_of_the_calls_that_a_release_needs(paper):
    asked(paper)
    names = list[str]()

    async def note(name):
        names.append(name)

    crowd = [f"U0CROWD{number}" for number in range(50)]
    for user in crowd:
        paper.directory.add(user, user.lower(), CHANNEL)
    paper.switchboard.fault = note
    shown = [seen_by(paper, user) for user in crowd]

    assert all(one.waiting[0].wait is Wait.APPROVAL for one in shown)
    assert not {"look up inside", "look up groups"} & set(names)


def test_a_hold_is_named_as_one_and_nothing_is_weighed_for_it(paper):
    free_at = paper.clock.now() + timedelta(minutes=30)
    said = HoldWords("9f2c41d0aa", "quinn", "inc-staging", "look first", free_at, "")
    info = hold_info(str(uuid4()), said, created=paper.clock.now(), path="b/k")
    for kind in paper.store.kinds:
        paper.store.write(kind, text_of_lock(info))

    for _ in range(2):  # read, and then as Redis kept it
        (shown,) = seen_by(paper, "U0PARKER").shown
        assert plain(held_by(shown.row.hold)).startswith("held by quinn until")
        assert shown.prospect is None
