from __future__ import annotations

from bot import errors
from bot.errors import Final, Passing, TflockError, UpstreamError

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, TflockError)]


def test_every_kind_of_upstream_error_is_either_worth_another_try_or_final():
    kinds = [each for each in CLASSES if issubclass(each, UpstreamError) and each is not UpstreamError]

    assert kinds
    assert all(issubclass(each, Passing) != issubclass(each, Final) for each in kinds)


def test_the_tree_in_the_docstring_names_every_error_once():
    drawn = [line.split()[-1] for line in (row.partition("  ")[0] for row in _tree()) if line]

    assert sorted(drawn) == sorted(each.__name__ for each in CLASSES)


def _tree() -> list[str]:
    rows = [line.strip("│├└─ ") for line in (errors.__doc__ or "").splitlines()]
    return [row for row in rows if row.split(" ")[0] in {each.__name__ for each in CLASSES}]
