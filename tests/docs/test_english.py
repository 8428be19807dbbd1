"""Strings, docstrings, comments and pages are plain English: people are *they*, and no word makes a reader stumble."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted(path for folder in ("bot", "handlers") for path in (ROOT / folder).rglob("*.py"))
TEMPLATES = sorted(path for end in ("j2", "js", "css", "json", "yml") for path in (ROOT / "bot").rglob(f"*.{end}"))
PAGES = [
    *(
        ROOT / name
        for name in (
            "README.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "CHANGELOG.md",
            "Makefile",
            "manifest.yml",
            "tflock.example.yml",
        )
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
]

BANNED = {
    r"he|him|his|himself": "they, them, their, or the name",
    r"anew": "again",
    r"alone": "only",
    r"(?:as a|is|are|was|were|be|not|read) whole": "valid, complete",
    r"mend(?:s|ed|ing)?": "fix",
    r"hammer(?:s|ed|ing)?": "flood",
    r"stands?(?! for| in for|-)|stood": "is, exists",
    r"(?:go|goes|going|gone|went) on": "continue, run, be active",
    r"at work": "running",
    r"(?:am|is|are|was|were|be|been|being) (?:told|said)": "notify, show, report, and say who does it",
    r"(?:tell|tells|telling|told) of": "report, describe",
    r"(?<!ask )(?<!tell )whoever|whomever": "anyone who, the person who",
    r"somebody|anybody|everybody": "someone, anyone, everyone",
    r"by (?:itself|themselves)": "automatically, on its own",
    r"of late|lately": "recently",
    r"second member": "second person",
}
"""Each habit, and what to write instead."""

_HABITS = {re.compile(rf"\b(?:{habit})\b", re.IGNORECASE): instead for habit, instead in BANNED.items()}
_LEAVE_ALONE = re.compile(r"\b(?:leav(?:e|es|ing)|left|lets?)(?: [\w`'.*-]+){0,6} alone\b", re.IGNORECASE)

ALLOWED = {
    "bot/core/hours.py": {"at work": "of a person in their working hours"},
    "bot/core/reports/alert.py": {
        "stands": "a stored word, which records of earlier versions have",
        "goes on": "the same",
    },
    "bot/core/reports/owner_message.py": {"somebody": "stored words, which records of earlier versions have"},
    "bot/core/reports/waiting.py": {"be told": "a stored word, public on the timeline (docs/waiting.md)"},
    "bot/doctor/examine.py": {"mend": "a public key of `doctor --json`"},
}
"""By file: the words that have to stay there, and why."""


def _strings(tree):
    """Every string of the code, docstrings among them; of f-strings the parts between the braces."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _comments(source):
    """Comments, those on lines that follow one another as one text."""
    last = 0
    text = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if text and line != last + 1:
            yield last, " ".join(text)
            text = []
        last = line
        text.append(token.string.lstrip("# "))
    if text:
        yield last, " ".join(text)


def _in_code(path):
    source = path.read_text()
    yield from _strings(ast.parse(source))
    yield from _comments(source)


def _in_prose(path):
    """A page by its paragraphs."""
    line = 1
    for paragraph in path.read_text().split("\n\n"):
        yield line, paragraph.replace("```", "")
        line += paragraph.count("\n") + 2


def habits_in(texts):
    """The line, the words and what to write instead, for each habit in the texts. A name in backticks is not a word."""
    for line, text in texts:
        plain = _LEAVE_ALONE.sub("", " ".join(re.sub(r"`[^`\n]*`", "", text).split()))
        for habit, instead in _HABITS.items():
            yield from ((line, found[0].lower(), instead) for found in habit.finditer(plain))


def _faults(path, texts):
    name = str(path.relative_to(ROOT))
    allowed = ALLOWED.get(name, {})
    found = (one for one in habits_in(texts) if one[1] not in allowed)
    return [f"{name}:{line}: {words} (write: {instead})" for line, words, instead in found]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_speaks_plain_english(path):
    assert not _faults(path, _in_code(path))


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_speak_plain_english(path):
    assert not _faults(path, _in_prose(path))


def test_nothing_is_allowed_that_is_not_there():
    for name, words in ALLOWED.items():
        found = {word for _, word, _ in habits_in(_in_code(ROOT / name))}
        assert set(words) <= found, name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ask the owner; he can\n    answer", {"he"}),
        ("Somebody else holds it, and it goes\non", {"somebody", "goes on"}),
        ("The lock still stands there", {"stands"}),
        ("You are told when it is free", {"are told"}),
        ("The table is left alone; leave the state of staging alone", set()),
        ("a stand-in, which stands for the real one", set()),
        ("They can answer; the help is shown there", set()),
    ],
)
def test_a_habit_is_found_over_line_breaks_and_in_any_case(text, found):
    assert {words for _, words, _ in habits_in([(1, text)])} == found
