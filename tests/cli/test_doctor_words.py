"""What the doctor prints: problems first, what is alike once, and last what could not be checked."""

import pytest

from bot.core.evidence import Trouble
from bot.doctor import examine
from bot.doctor.check import Area, Level


def printed(results, *, everything=False):
    return list(examine._lines(results, everything=everything))


def states(count):
    return [Area(f"state-{number:03}") for number in range(count)]


def test_problems_come_first_the_worst_on_top_and_what_is_ok_is_counted():
    area = Area("slack")
    lines = printed([area.ok("a", "x"), area.warn("b", "x"), area.fail("c", "x", "y"), area.unproven("d", "x")])

    assert [line.split()[0] for line in lines[:3]] == ["FAIL", "UNPROVEN", "WARN"]
    assert lines[0] == "FAIL     slack, c: x. Fix: y."
    assert lines[-2].startswith("1 wrong, 1 not proven, 1 to think about, 1 ok (--all shows them):")
    assert lines[-1] == "Could not be checked: d of slack."


def test_everything_has_a_line_for_what_is_ok():
    lines = printed([Area("slack").ok("a", "x"), Area("slack").fail("b", "x")], everything=True)

    assert [line.split()[0] for line in lines[:2]] == ["FAIL", "OK"]
    assert "--all" not in "".join(lines)
    assert lines[-1] == "Everything was checked."


def test_two_hundred_states_with_one_trouble_are_one_line():
    lines = printed([state.fail("lock", "the table cannot be read", "grant it") for state in states(200)])

    assert len(lines) == 4
    assert "state-000" in lines[0]
    assert "and 195 more, lock: the table cannot be read" in lines[0]


def test_two_hundred_states_with_a_trouble_each_of_its_own_are_a_few_lines():
    lines = printed([state.warn("versions", f"bucket {state.name} keeps none", "turn it on") for state in states(200)])

    assert len(lines) == 7
    assert lines[3] == "WARN     … and 197 more about: versions (--all shows them)."
    everything = printed([state.warn("versions", state.name) for state in states(200)], everything=True)
    assert len(everything) == 203


def test_what_could_not_be_checked_of_many_states_is_counted():
    lines = printed([state.unproven("lock", "no answer", essential=True) for state in states(200)])

    assert lines[-1].endswith("lock of state-000, state-001, state-002, state-003, state-004 and 195 more.")
    assert "whether an unlock would be stopped is not proven" in lines[-2]


@pytest.mark.parametrize(
    ("trouble", "level", "words"),
    [
        (Trouble.TIMED_OUT, Level.UNPROVEN, "try again"),
        (Trouble.NO_CONNECTION, Level.UNPROVEN, "try again"),
        (Trouble.THROTTLED, Level.UNPROVEN, "try again in a minute"),
        (Trouble.SERVER_ERROR, Level.UNPROVEN, "status page"),
        (Trouble.DENIED, Level.FAIL, "grant it"),
        (None, Level.FAIL, "grant it"),
    ],
)
def test_the_advice_is_by_cause(trouble, level, words):
    found = Area("x").unanswered("lock", trouble, "y", "grant it", otherwise=Level.FAIL, essential=True)

    assert found.level is level
    assert words in found.fix
    assert found.stops


def test_only_what_is_essential_stops_an_unlock_while_it_is_not_proven():
    assert Area("x").unproven("lock", "y", essential=True).stops
    assert not Area("x").unproven("logs", "y").stops
    assert not Area("x").warn("z", "y").stops
