"""Every kind of the timeline stands in every table, so that a new one is not forgotten in any."""

from bot.core.record.facts import TYPES
from bot.core.record.kinds import MEANINGS, Meaning, meaning_of
from bot.core.record.revision import CORRECTIONS
from bot.core.record.timeline import Kind
from bot.export.html.rows import GROUPS


def test_every_kind_has_its_facts_and_its_meaning():
    assert tuple(MEANINGS) == tuple(Kind)
    assert set(TYPES) == set(Kind)
    assert len({meaning.title for meaning in MEANINGS.values()}) == len(Kind)


def test_every_kind_can_be_chosen_on_the_page():
    subjects = {subject for _, of_group in GROUPS.values() for subject in of_group}
    assert {kind.partition(".")[0] for kind in Kind} == subjects


def test_what_people_add_late_is_counted_by_its_own_words():
    late = {kind: meaning for kind, meaning in MEANINGS.items() if meaning.is_late}
    assert set(late) > CORRECTIONS
    assert all(meaning.counted != Meaning("").counted and not meaning.is_of_exports for meaning in late.values())


def test_a_kind_of_a_newer_version_is_called_by_its_name():
    assert meaning_of("state.compared") == Meaning("state.compared")
