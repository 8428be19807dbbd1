"""Every check has its words: in the answer, in what helps, and on the home tab."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.phrase import plain
from bot.core.reports.home import Held, Prospect, ShownRow, StateRow
from bot.slack.render.home import home_view
from bot.slack.render.verdict import RULE_WORDS, advice, refusal, why_second
from tests.slack.render.test_render_home import filled


def refused(rule, *, waits):
    return Verdict(Ruling.REFUSE, (Finding(rule, Effect.REFUSES, ("so it is",), waits=waits),))


def test_every_rule_has_its_words_in_the_gates_order():
    assert list(RULE_WORDS) == list(Rule)
    assert all(words.no and words.not_yet and words.short and words.helps[0] for words in RULE_WORDS.values())


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("rule", Rule)
def test_a_refusal_of_each_says_why_and_what_helps(rule, waits):
    verdict = refused(rule, waits=waits)

    answer = plain(refusal("staging", verdict, None).label)

    assert answer == f"staging is locked. {RULE_WORDS[rule].not_yet if waits else RULE_WORDS[rule].no}."
    assert plain(advice(verdict, "staging")).endswith(".")


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("ruling", [Ruling.REFUSE, Ruling.NEEDS_APPROVAL])
def test_the_home_tab_says_why_of_each(scene, rule, ruling):
    row = StateRow("staging", Held.LOCKED, "6f9f", "runner@x", "OperationTypeApply", scene.now - timedelta(hours=1))
    home = replace(filled(scene), shown=(ShownRow(row, prospect=Prospect(ruling, str(rule), scene.now)),))

    why = RULE_WORDS[rule].short if ruling is Ruling.REFUSE else why_second(rule)
    assert f": {why}" in str(home_view(home)["blocks"])
