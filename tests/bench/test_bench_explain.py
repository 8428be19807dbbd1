"""How the time for a pasted text grows with its length: twice the lines, about twice the time."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.explain.explain import explain
from bot.core.record.redact import redact
from tests.worlds.own_time import processor_seconds

pytestmark = pytest.mark.bench

ROUNDS = 15
MOST = 4
PASTES = {"blank lines": "\n", "lines of a log": "LockID error in a frame\n", "tokens": "-eyJaaaaaaaa"}


@pytest.mark.parametrize("paste", PASTES)
async def test_twice_the_text_takes_about_twice_the_time(bench: Any, paste: str) -> None:
    line = PASTES[paste]
    count = 20_000 // len(line)

    async def seconds(lines: int) -> float:
        text = line * lines
        return processor_seconds(lambda: (explain(text, {}), redact(text)))

    found = await bench.in_turns(ROUNDS, once=lambda: seconds(count), twice=lambda: seconds(2 * count))

    once, twice = found.best("once"), found.best("twice")
    bench.compared(
        f"explain: {count} and {2 * count} {paste}",
        f"{once * 1e3:.1f} ms and {twice * 1e3:.1f} ms",
        ratio=f"{twice / once:.1f} times",
        target=f"<= {MOST} times",
    )
    assert twice <= MOST * once
