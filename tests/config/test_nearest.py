import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.nearest import did_you_mean, known_as


@pytest.mark.parametrize(
    ("word", "known", "nearest"),
    [
        ("stagign", ("staging", "production"), "staging"),
        ("PRODUCTON", ("staging", "Production"), "Production"),
        ("prod", ("staging", "production"), "production"),
        ("githb", ("github_actions", "gitlab"), "github_actions"),
        ("xyz", ("staging", "production"), None),
        ("anything", (), None),
        ("", ("staging",), None),
    ],
)
def test_the_nearest_word_is_the_one_that_was_probably_meant(word, known, nearest):
    assert did_you_mean(word, known) == nearest


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=5))
def test_the_nearest_word_is_always_a_known_one(word, known):
    assert did_you_mean(word, known) in {*known, None}


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("staging", ("staging", "Staging"), "staging"),
        ("STAGING", ("staging", "prod"), "staging"),
        ("STAGING", ("staging", "Staging"), None),
        ("stagin", ("staging",), None),
    ],
)
def test_a_name_is_known_in_upper_and_lower_case_where_that_names_one(word, known, found):
    assert known_as(word, known) == found
