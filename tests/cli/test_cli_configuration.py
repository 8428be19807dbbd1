"""Usage and configuration: problems are told all at once, with exit code 2."""

import re
from pathlib import Path

import pytest

from bot.__main__ import cli

COMMANDS = ("status", "doctor", "serve")


@pytest.mark.parametrize("command", COMMANDS)
async def test_all_problems_of_the_configuration_are_told_at_once(command, terminal):
    terminal.settings["states"]["staging"]["backend"]["buket"] = "acme"
    terminal.settings["policy"]["state_quiet"] = "2 minutes"
    terminal.environ.pop("GITHUB_TOKEN")

    ended = await terminal.run(command, REDIS_URL="http://127.0.0.1")

    assert (ended.code, ended.out) == (2, "")
    for told in ("did you mean bucket?", "policy.state_quiet", "GITHUB_TOKEN is not set", "REDIS_URL"):
        assert told in ended.err


async def test_serving_needs_slack_and_reading_does_not(terminal):
    serving, reading = await terminal.run("serve"), await terminal.run("status")

    assert serving.code == 2
    assert "SLACK_BOT_TOKEN" in serving.err
    assert reading.code == 0


async def test_a_missing_file_is_named(terminal):
    ended = await terminal.run("status", TFLOCK_CONFIG="elsewhere.yml")

    assert ended.code == 2
    assert "elsewhere.yml" in ended.err


async def test_a_secret_in_the_wrong_place_is_not_repeated(terminal):
    terminal.settings["ci"]["github"]["token_env"] = "ghp-distinctive-in-the-file"

    ended = await terminal.run("status")

    assert ended.code == 2
    assert "token_env" in ended.err


@pytest.mark.parametrize("words", [("stauts",), ("status", "--jsn"), ("who",), ("timeline",)])
async def test_wrong_usage_exits_2(words, terminal):
    ended = await terminal.run(*words)

    assert ended.code == 2
    assert "Usage" in ended.err


def test_every_command_of_the_command_line_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    section = page.split("## On the command line", 1)[1]
    documented = set(re.findall(r"\| `([a-z]+)[^`]*` \|$", section, re.MULTILINE))
    assert documented == {command.name or command.callback.__name__ for command in cli.registered_commands}
