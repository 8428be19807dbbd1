"""What every benchmark shares: two things measured side by side, in turns, and one printed line that compares them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen

import pytest

from tests.worlds.aws import FullAws
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What each side measured, by its name, one value a round."""

    values: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        return median(self.values[name])

    def best(self, name: str) -> float:
        """The least: of times, the round that was disturbed least."""
        return min(self.values[name])

    def most(self, name: str) -> float:
        """The largest: of rates, the round that was disturbed least."""
        return max(self.values[name])


async def in_turns(rounds: int, /, **sides: Measure) -> Rounds:
    """Measures all sides in each round, so that a disturbance of the machine meets them alike."""
    values: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in names:
            values[name].append(await sides[name]())
    return Rounds(values)


def compared(what: str, numbers: str, *, ratio: str, target: str) -> None:
    """Prints one comparison."""
    print(f"\n{what:<34} {numbers:<58} {ratio:<22} target {target}")  # noqa: T201 - what a benchmark is for


@dataclass(frozen=True, slots=True)
class Bench:
    """The hands of a benchmark."""

    in_turns = staticmethod(in_turns)
    compared = staticmethod(compared)


@pytest.fixture
def bench() -> Bench:
    return Bench()


_MOTO = """
import sys
from bot.sandbox.machine.aws import fresh_moto
with fresh_moto() as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def moto_apart() -> Iterator[str]:
    """As `fresh_moto`, in a process that ends with this one: its threads would take turns with those who measure."""
    with Popen([sys.executable, "-c", _MOTO], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


class AwsApart(FullAws):
    serve = staticmethod(moto_apart)


class StageApart(FullStage):
    aws_kind = AwsApart


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[FullStage]:
    """The sandbox with the scenario's states and the bot as one process."""
    async with stage(tmp_path, slack=FullWorkspace(), kind=StageApart) as made:
        yield made


@pytest.fixture(autouse=True, scope="session")
def _bots_are_forked() -> None:
    """Not here: they would share the memory of their imports."""
