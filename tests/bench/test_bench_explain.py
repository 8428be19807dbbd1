"""How long the worst pastes take: 1 MiB at most 200 ms, and four times the text about four times the time."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.explain.decode import LONGEST
from bot.core.explain.explain import explain
from bot.core.record.redact import redact
from tests.worlds.own_time import processor_seconds
from tests.worlds.terraform_says import MESSAGES, print_diagnostic, print_json

pytestmark = pytest.mark.bench

ROUNDS = 7
SECONDS = 0.2
MOST = 8
PASTES = {
    "blank lines": "\n",
    "lines of a log": "2026-11-21T22:41:45.123Z module.a.aws_x.y: Still creating... [10s elapsed]\n",
    "errors": "a/b/c1 │ Error: x\n",
    "held locks": print_diagnostic(MESSAGES[0]) + "\n",
    "machine-readable errors": print_json(MESSAGES[0]) + "\n",
    "headers of blocks": "Lock Info:\n",
    "keys of JSON": '"ID":"',
    "ends of runs": "Channel exit code 137 \n",
    "one line": "Error: status code: 429 ",
    "escapes": "\\nError \\x1b[",
}


@pytest.mark.parametrize("paste", PASTES)
async def test_a_mebibyte_of_the_worst_paste_is_read_in_200_ms(bench: Any, paste: str) -> None:
    text = (PASTES[paste] * LONGEST)[:LONGEST]

    async def seconds(length: int) -> float:
        return processor_seconds(lambda: explain(text[:length], {}))

    found = await bench.in_turns(ROUNDS, quarter=lambda: seconds(LONGEST // 4), whole=lambda: seconds(LONGEST))

    quarter, whole = found.best("quarter"), found.best("whole")
    bench.compared(
        f"explain: 256 KiB and 1 MiB of {paste}",
        f"{quarter * 1e3:.1f} ms and {whole * 1e3:.1f} ms",
        ratio=f"{whole / quarter:.1f} times",
        target=f"<= {SECONDS * 1e3:.0f} ms, <= {MOST} times",
    )
    assert whole <= SECONDS
    assert whole <= MOST * quarter


async def test_twice_the_text_takes_redaction_about_twice_the_time(bench: Any) -> None:
    async def seconds(count: int) -> float:
        return processor_seconds(lambda: redact("-eyJaaaaaaaa" * count))

    found = await bench.in_turns(ROUNDS, once=lambda: seconds(2_000), twice=lambda: seconds(4_000))

    once, twice = found.best("once"), found.best("twice")
    bench.compared(
        "redact: 2,000 and 4,000 tokens",
        f"{once * 1e3:.1f} ms and {twice * 1e3:.1f} ms",
        ratio=f"{twice / once:.1f} times",
        target="<= 4 times",
    )
    assert twice <= 4 * once
