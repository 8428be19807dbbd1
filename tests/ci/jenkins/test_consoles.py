"""Consoles of finished builds, from the field: did the step's process report its end, or does only Jenkins say so?"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.ci.jenkins.runs import ConsoleReader, build_from, completed
from bot.core.joblog.values import LogEnd
from bot.core.run import Conclusion, Pipeline

CONSOLES = Path(__file__).parent / "consoles"
CASES = yaml.safe_load((CONSOLES / "consoles.yml").read_text())
ENDS = {"declared": LogEnd.DECLARED, "own": LogEnd.REPORTED}


@pytest.mark.parametrize("chunk", [64, 1 << 20], ids=["in pieces", "at once"])
@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_a_console_tells_how_its_build_ended(case, chunk):
    reader, raw = ConsoleReader(), (CONSOLES / case["file"]).read_bytes()
    for start in range(0, len(raw), chunk):
        reader.feed(raw[start : start + chunk])
    console = reader.close(is_whole=True)
    entry = {"number": 7, "timestamp": 1_790_000_000_000, "duration": 60_000, "building": False, "inProgress": False}
    entry |= {"result": case["result"], **({"builtOn": case["built_on"]} if case["built_on"] is not None else {})}
    run = build_from(entry, Pipeline("jenkins", (("job", "deploy"),)), "https://jenkins.example.com/job/deploy")

    assert console.end is ENDS[case["expect"]["end"]], case["why"]
    assert completed(run, entry, console).conclusion is Conclusion[case["expect"]["conclusion"].upper()], case["why"]
