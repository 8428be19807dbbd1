"""The composition root: a configuration becomes a running bot."""

import os

os.environ.setdefault("PY_KEY_VALUE_DISABLE_BEARTYPE", "true")
"""Set before anything imports pydocket. Its store of results, which no job here uses, would check the types of its
calls, and most of these checks only warn. Making them is a fifth of pydocket's import.
"""
