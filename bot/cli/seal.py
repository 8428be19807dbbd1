"""Whether a claimed command gets a host name of its own, as `claim --seal` takes it."""

from __future__ import annotations

from enum import StrEnum


class Seal(StrEnum):
    """`AUTO`: where it can have one. `ALWAYS`: the command does not run without one."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"
