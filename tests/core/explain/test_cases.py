"""The cases from the field: what people paste, and what each of it is. Prints a table of the kinds."""

from __future__ import annotations

import json
import re
import sys
from base64 import b64decode
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.load import load
from bot.core.explain.decode import text_of
from bot.core.explain.explain import document_of, explain

HERE = Path(__file__).parent
CASES = [
    (file.stem, case)
    for file in [*sorted((HERE / "cases").glob("*.yml")), *sorted((HERE / "more").glob("*.yml"))]
    for case in yaml.safe_load(file.read_text())
]
UNSAFE = re.compile(r"-lock=false|force-unlock|-force\b|apply (?:it )?again", re.IGNORECASE)
FIELDS = ("summary", "do", "dont")


@pytest.fixture(scope="module")
def states():
    config = load(HERE / "cases_tflock.yml", {"GITHUB_TOKEN": "x"}, need_slack=False)
    return {settings.backend.lock_path: name for name, settings in config.states.items()}


def text_of_case(case):
    text = text_of(b64decode(case["base64"]) if "base64" in case else case["text"].encode())
    lead, trail = (case.get(key, {"line": "", "times": 0}) for key in ("lead", "trail"))
    return f"{lead['line']}\n" * lead["times"] + text + f"{trail['line']}\n" * trail["times"]


def faults(case, told):
    """What is wrong with an answer, by the rules that came with the cases."""
    expect = case["expect"]
    yield from _wrong_lock(expect, told["lock"])
    kinds = expect["kind"] if isinstance(expect["kind"], list) else [expect["kind"]]
    if told["kind"] not in kinds:
        yield f"kind is {told['kind']}"
    if "state" in expect and told["state"] != expect["state"]:
        yield f"state is {told['state']}"
    for must in expect.get("must_say", ()):
        if not re.search(must, "\n".join(str(told[field]) for field in (*FIELDS, "lock"))):
            yield f"does not say {must}"
    for never in expect.get("must_not_say", ()):
        if re.search(never, "\n".join(str(told[field]) for field in ("summary", "do", "lock"))):
            yield f"says {never}"
    if UNSAFE.search(str(told["do"])) or (told["kind"] == "state not saved" and "apply" in str(told["do"])):
        yield "gives unsafe advice"
    if not told["dont"]:
        yield "warns of nothing"


def _wrong_lock(expect, lock):
    if "lock" in expect and expect["lock"] is None and lock is not None:
        yield f"has the lock {lock}"
    for key, value in (expect.get("lock") or {}).items():
        shown = (lock or {}).get(key) or ""
        if (re.sub(r"\.\d+", "", shown) if key == "created" else shown) != value:
            yield f"lock.{key} is {shown!r}"


@pytest.mark.parametrize(("kind", "case"), CASES, ids=[f"{kind}/{case['name']}" for kind, case in CASES])
def test_a_case_from_the_field_is_told_as_what_it_is(kind, case, states):
    assert list(faults(case, document_of(explain(text_of_case(case), states)))) == [], case["why"]


def test_the_table_of_kinds(states, capsys):
    total, right = Counter(kind for kind, _ in CASES), Counter[str]()
    for kind, case in CASES:
        right[kind] += not list(faults(case, document_of(explain(text_of_case(case), states))))
    rows = [*((kind, right[kind], count) for kind, count in total.items()), ("all", right.total(), total.total())]
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{kind:32}{good:4} of {count:3}" for kind, good, count in rows))

    assert right == total


PIECES = st.sampled_from((
    "\n", "\r", "\x1b[", "{", "}", '"', "\\n", "\\", "Lock Info:", "ID: ", "Who: ", "Error: ", "\ufffd", "\0",
    "%0A", "%20", "#012", "eyJJRCI6", "[", "]", "  ", "2026-11-21T22:41:45Z ", "<mailto:", "|", "**:",
    "##teamcity[", '{"message":"', "\\ud800", "\\x80", "\\342\\224\\202", "9999-99-99T99:99:99Z", "│", "╵",
    "ailed to ", "-exec): ", "│ Error: ", "Lock Info:ID:",
))  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), PIECES), max_size=12)


@settings(max_examples=400)
@given(st.sampled_from([case for _, case in CASES]), EDITS)
def test_whatever_a_paste_has_become_on_its_way_it_is_answered_safely(case, edits):
    text = text_of_case({key: case[key] for key in ("text", "base64") if key in case})
    for place, lost, piece in edits:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + lost :]

    told = document_of(explain(text, {}))

    json.dumps(told).encode()
    assert told["summary"]
    assert not [step for step in told["do"] if "-lock=false" in step or "force-unlock" in step]
