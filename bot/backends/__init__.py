"""Where states and their locks are: one package for each backend, found by its name.

A package gives its section of the configuration (`section.py`, `Backend`) and how a state is reached (`kind.py`,
`KIND`, a `bot.backends.frame.Kind`). Nothing else names it.
"""

from __future__ import annotations

from pkgutil import iter_modules

NAMES = tuple(sorted(found.name for found in iter_modules(__path__) if found.ispkg))
"""The backends that there are. A package has the name of its `type` in the configuration."""
