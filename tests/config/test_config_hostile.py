import copy
import json
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import ConfigInvalid

EXAMPLE = yaml.safe_load((Path(__file__).parents[2] / "tflock.example.yml").read_text())
ODD = (None, True, 0, -1, 1.5, "", "x", "\u00e9 \u2603", [], [[]], [None], [3], {}, {"type": []}, {"x": {}}, {"": 1})


def _paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


def _replaced(path, odd):
    changed = copy.deepcopy(EXAMPLE)
    around = changed
    for part in path[:-1]:
        around = around[part]
    if path:
        around[path[-1]] = odd
    return changed if path else odd


def _outcome(loaded, text):
    """The states, or the problems."""
    try:
        return loaded(text, need_slack=False).states
    except ConfigInvalid as invalid:
        return invalid.problems


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.sampled_from(list(_paths(EXAMPLE))), st.sampled_from(ODD))
def test_any_value_in_any_place_is_either_accepted_or_told(loaded, path, odd):
    assert _outcome(loaded, json.dumps(_replaced(path, odd)))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.text(max_size=200) | st.text(alphabet="a:-{}[]&*!|>#%@`'\"\n\t ?,<", max_size=60))
def test_any_text_is_told_to_be_no_configuration(problems_of, text):
    assert problems_of(text)
