"""Whose machine a `Who` is of, by its form alone: every case from the field (who.yml)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.core.policy import Holders
from bot.core.who import is_shared_host

CASES = yaml.safe_load((Path(__file__).parent / "who.yml").read_text(encoding="utf-8"))


def test_the_cases_are_all_there():
    assert len(CASES) == 55


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_who_counts_as_ci_by_its_name_only_if_no_person_can_have_it(make, case):
    lock = make.info(who=case["who"])

    if case["is"] != "open":
        assert Holders().looks_like_ci(case["who"]) is (case["is"] == "ci")
    if "host" in case:
        assert (lock.user, lock.host) == (case["user"], case["host"])
    if "shared_host" in case:
        assert is_shared_host(lock.host) is case["shared_host"]


def test_the_teams_own_pattern_is_its_word():
    mine = Holders(ci_hosts=("jenkins@build-*",))

    assert mine.looks_like_ci("jenkins@build-7")
    assert not mine.looks_like_ci("jenkins@quinns-macbook")
