"""What a command does not import: each of these would make its start slower, for something that it seldom needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

ADAPTERS = ("bot.ci.azure", "bot.ci.ecs", "bot.ci.github", "bot.ci.gitlab", "bot.ci.jenkins", "bot.tickets.jira")
RARE = ("matplotlib", "numpy", "jinja2", "bot.export.chart", "bot.export.html", "bot.sandbox", "moto", "flask", "boto3")
# Not Pydantic: Typer itself uses it.
HEAVY = (
    "aiohttp", "botocore", "docket", "httpx", "jinja2", "matplotlib", "redis", "slack_bolt", "slack_sdk",
    "stamina", "structlog", "yaml", "bot.app", "bot.aws", "bot.backends", "bot.ci", "bot.config", "bot.store",
    "bot.usecases",
)  # fmt: skip

EXPLAIN = "import sys; sys.argv = ['tflock', 'explain']; from bot.__main__ import cli; cli(standalone_mode=False)"
SERVE = "import sys; from bot.app.run import serve"


def imported(program: str, directory, *, given: str = "") -> set[str]:
    """The modules that a new process has imported in the end, without those that come with Python."""
    command = [sys.executable, "-c", f"{program}; print('imported:', *sys.modules)"]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=True, cwd=directory)
    return set(ended.stdout.partition("imported:")[2].split())


def among(modules: set[str], names: tuple[str, ...]) -> set[str]:
    return {name for name in names for module in modules if module == name or module.startswith(f"{name}.")}


def test_explain_imports_no_adapter_and_no_client(tmp_path):
    modules = imported(EXPLAIN, tmp_path, given="Error: Error acquiring the state lock\n")

    assert "bot.core.explain.explain" in modules
    assert among(modules, HEAVY) == set()


def test_a_command_line_that_only_asks_for_help_imports_none_either(tmp_path):
    modules = imported("import sys, bot.__main__", tmp_path)

    assert among(modules, HEAVY) == set()


@pytest.mark.parametrize("names", [ADAPTERS, RARE], ids=["adapters", "rare"])
def test_a_bot_that_starts_imports_nothing_that_its_configuration_may_not_name_or_that_is_rare(tmp_path, names):
    modules = imported(SERVE, tmp_path)

    assert "bot.app.wiring" in modules
    assert among(modules, names) == set()


def test_a_bot_that_starts_makes_no_checks_of_types_for_a_store_that_no_job_uses(tmp_path):
    program = f"{SERVE}; import key_value.aio; assert key_value.aio.disable_beartype"

    assert "docket" in imported(program, tmp_path)
