"""How long a configuration takes to load, beside a bare parse of its YAML, and that twice the states take twice."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.config.load import load

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

STATES = 10_000
ROUNDS = 3
ENVIRON = {"SLACK_BOT_TOKEN": "xoxb-bench", "SLACK_SIGNING_SECRET": "bench", "GITHUB_TOKEN": "bench"}


def written(path: Path, count: int) -> Path:
    states = {
        f"s{number}": {
            "backend": {
                "type": "s3", "bucket": "acme-tfstate", "key": f"env/{number}/terraform.tfstate",
                "dynamodb_table": "acme-tf-locks",
            },
            "pipelines": [{"ci": "github", "repo": "acme/infra", "workflow": f"deploy-{number % 50}.yml"}],
        }
        for number in range(count)
    }  # fmt: skip
    settings = {
        "slack": {"incident_channels": ["C0INCIDENT"]},
        "aws": {"region": "eu-central-1"},
        "ci": {"github": {"type": "github_actions"}},
        "states": states,
    }
    path.write_text(yaml.dump(settings, Dumper=yaml.CSafeDumper), "utf-8")
    return path


async def test_ten_thousand_states_load_about_as_fast_as_their_yaml_is_parsed(tmp_path: Path, bench: Any) -> None:
    once, twice = written(tmp_path / "once.yml", STATES), written(tmp_path / "twice.yml", 2 * STATES)

    async def loaded(path: Path) -> float:
        before = time.process_time()
        assert load(path, ENVIRON).states
        return time.process_time() - before

    async def parsed() -> float:
        text, before = once.read_text("utf-8"), time.process_time()
        yaml.load(text, Loader=yaml.CSafeLoader)
        return time.process_time() - before

    found = await bench.in_turns(ROUNDS, once=lambda: loaded(once), twice=lambda: loaded(twice), yaml=parsed)

    mine, bare, double = (found.best(name) for name in ("once", "yaml", "twice"))
    bench.compared(
        f"configuration of {STATES:,} states",
        f"{mine:.2f} s of CPU; YAML in C alone {bare:.2f} s; of twice as many {double:.2f} s",
        ratio=f"{mine / bare:.1f} and {double / mine:.1f} times",
        target="<= 2 and ~2 times",
    )
