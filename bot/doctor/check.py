"""One check of the doctor: what was found, and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`FAIL` is what would stop an unlock; `WARN` is what would make one less safe, or something else not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """`area` is the system (`slack`), `subject` what of it. `mend` is empty where nothing is to be done."""

    area: str
    subject: str
    level: Level
    detail: str
    mend: str = ""
