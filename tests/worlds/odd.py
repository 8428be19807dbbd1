"""Documents that are not what they should be, for property tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Odd = st.SearchStrategy[Any]


def anything(*words: object, more: Odd | None = None) -> Odd:
    """Any JSON value, often one of the words; `more` are values that are no JSON."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(words)
    return st.recursive(
        scalars if more is None else scalars | more,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )


def mangled(body: Mapping[str, Any], odd: Odd) -> st.SearchStrategy[dict[str, Any]]:
    """The document with any of its fields replaced by something odd, or missing."""
    changes = st.dictionaries(st.sampled_from(sorted(body)), odd, max_size=4)
    missing = st.sets(st.sampled_from(sorted(body)), max_size=3)
    return st.builds(
        lambda changed, gone: {key: value for key, value in {**body, **changed}.items() if key not in gone},
        changes,
        missing,
    )
