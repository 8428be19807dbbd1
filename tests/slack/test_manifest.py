"""`tflock manifest`, and the rights behind it."""

import ast
from pathlib import Path

import pytest
import yaml
from slack_sdk.web.async_client import AsyncWebClient
from typer.testing import CliRunner

from bot.__main__ import cli
from bot.slack.rights import APP_TOKEN, RIGHTS, SCOPES, WITHOUT_A_SCOPE

ROOT = Path(__file__).parents[2]
ASKING = [
    *(ROOT / "bot/slack").rglob("*.py"),
    *(ROOT / "bot/app").rglob("*.py"),
    *(ROOT / "bot/doctor").rglob("*.py"),
    *(ROOT / "handlers").rglob("*.py"),
]


def printed(*options, code=0):
    ended = CliRunner().invoke(cli, ["manifest", *options])
    assert ended.exit_code == code, ended.output
    return ended.output


def addresses(manifest):
    (command,) = manifest["features"]["slash_commands"]
    parts = (command, manifest["settings"]["event_subscriptions"], manifest["settings"]["interactivity"])
    return {key: part[key] for part in parts for key in ("url", "request_url") if key in part}


def test_the_file_in_the_repository_is_what_the_command_prints():
    assert (ROOT / "manifest.yml").read_text() == printed()


def test_with_socket_mode_slack_needs_no_address_and_all_else_is_the_same():
    socket, http = yaml.safe_load(printed("--socket")), yaml.safe_load(printed())

    assert (addresses(socket), socket["settings"]["socket_mode_enabled"]) == ({}, True)
    assert (len(addresses(http)), http["settings"]["socket_mode_enabled"]) == (2, False)
    assert socket["oauth_config"] == http["oauth_config"]
    assert socket["features"]["shortcuts"] == http["features"]["shortcuts"]
    events = "bot_events"
    assert socket["settings"]["event_subscriptions"][events] == http["settings"]["event_subscriptions"][events]


@pytest.mark.parametrize(
    "given", ["https://t.example.com", "https://t.example.com/", "https://t.example.com/slack/events"]
)
def test_the_address_of_the_bot_is_put_in_everywhere(given):
    made = yaml.safe_load(printed("--url", given))

    assert set(addresses(made).values()) == {"https://t.example.com/slack/events"}
    assert "YOUR-HOST" not in yaml.safe_dump(made)


@pytest.mark.parametrize(
    "given", ["http://t.example.com", "t.example.com", "https://", "https://a b", "https://u:p@h", "https://h/#x"]
)
def test_an_address_that_slack_cannot_reach_is_refused(given):
    assert "must be the bot's public address" in printed("--url", given, code=2)


def test_an_address_and_socket_mode_exclude_each_other():
    assert "needs no --url" in printed("--url", "https://t.example.com", "--socket", code=2)


def sent(right):
    return {call.removeprefix("event ") for call in right.calls if call.startswith("event ")}


def methods(rights):
    return {call for right in rights for call in right.calls if not call.startswith("event ")}


def test_every_method_that_is_called_has_its_scope_and_every_scope_a_call():
    """What the SDK's client is asked for, by name: `chat_postMessage` is `chat.postMessage`."""
    known = {name for name in dir(AsyncWebClient) if "_" in name and not name.startswith("_")}
    trees = [ast.parse(path.read_text()) for path in ASKING]
    used = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & known

    allowed = methods((*RIGHTS, APP_TOKEN)) | {call for call in WITHOUT_A_SCOPE if not call.startswith("event ")}
    assert {name.replace("_", ".") for name in used} == allowed
    assert all(right.calls for right in RIGHTS)
    assert len(SCOPES) == len(RIGHTS)


def test_every_event_of_the_manifest_has_its_scope():
    made = yaml.safe_load(printed())
    asked = set(made["settings"]["event_subscriptions"]["bot_events"])
    free = {call.removeprefix("event ") for call in WITHOUT_A_SCOPE if call.startswith("event ")}

    assert {name for right in RIGHTS for name in sent(right)} - {"command", "shortcut"} | free == asked
