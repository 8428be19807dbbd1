"""What people paste: nothing of a secret is left, whatever it stands in, and what only looks like one stays."""

from pathlib import Path

import pytest
import yaml

from bot.core.record.redact import redact, redacted

HERE = Path(__file__).parent
CASES = [
    case
    for name in (
        "secret_cases.yml",
        "secret_cases_of_others.yml",
        "secret_cases_of_clients.yml",
        "secret_cases_of_people.yml",
    )
    for case in yaml.safe_load((HERE / name).read_text().replace("¬", ""))
]
SECRET = [case for case in CASES if case["gone"]]
HARMLESS = [case for case in CASES if not case["gone"]]
FRAMES = {
    "a frame": "│ ",
    "a quotation": "> ",
    "the clock of a job's log": "2026-11-21T22:41:43.3118048Z ",
    "a container's name": "terraform-1  | ",
    "a job and its step": "apply\tterraform apply\t2026-11-21T22:41:43.3118048Z ",
    "Jenkins' clock": "[2026-11-21T22:41:43.311Z] ",
    "an added line": "+ ",
}


def left_of(case, shown, around=""):
    """The parts of the secrets that are long enough to be of use, unless the same letters stand around them too."""
    harmless = case["text"] + around
    for secret in case["gone"]:
        harmless = harmless.replace(secret, " ")
    parts = {secret[start : start + 6] for secret in case["gone"] for start in range(max(1, len(secret) - 5))}
    return [part for part in parts if part in shown and part not in harmless]


def name_of(case):
    return case["name"]


@pytest.mark.parametrize("case", SECRET, ids=name_of)
def test_nothing_of_a_secret_is_left(case):
    shown = redact(case["text"])

    assert not left_of(case, shown)
    assert " removed]" in shown
    assert redact(shown) == shown


@pytest.mark.parametrize("case", HARMLESS, ids=name_of)
def test_what_only_looks_like_a_secret_stays(case):
    assert redact(case["text"]) == case["text"]
    assert redacted({"note": [case["text"]]}) == {"note": [case["text"]]}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_log_may_have_anything_before_its_lines(frame):
    for case in CASES:
        framed = "".join(frame + line for line in case["text"].splitlines(keepends=True))

        shown = redact(framed)

        assert not left_of(case, shown), case["name"]
        assert case["gone"] or shown == framed, case["name"]
        assert redact(shown) == shown, case["name"]


def test_a_secret_is_found_among_many_lines_and_the_lines_stay():
    around = [case["text"] for case in HARMLESS]
    for case in SECRET:
        shown = redact("\n".join([*around[:20], case["text"], *around[20:40]]))

        assert not left_of(case, shown, "".join(around)), case["name"]
        assert shown.startswith("\n".join(around[:20])), case["name"]
