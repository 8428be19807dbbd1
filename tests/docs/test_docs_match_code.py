import json
import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import get_origin

import pytest
import yaml
from pydantic_core import PydanticUndefined

from bot.app.metrics import Metrics
from bot.config import load as config
from bot.config.models import ConfigFile, keys_of, sections_in
from bot.core.record.timeline import Kind
from bot.core.systems import SYSTEMS
from bot.slack.render.step import ARM
from handlers.delivery import SHORTCUTS
from handlers.home import HOME_BUTTONS
from handlers.typed.grammar import FORMS
from handlers.workflow import STEP

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

METRICS = {
    "tflock_commands_total": ("counter", ("command", "outcome")),
    "tflock_unlocks_total": ("counter", ("state", "outcome")),
    "tflock_gate_refusals_total": ("counter", ("rule",)),
    "tflock_lock_age_seconds": ("gauge", ("state",)),
    "tflock_lock_held": ("gauge", ("state",)),
    "tflock_states_unread": ("gauge", ()),
    "tflock_patterns_unlisted": ("gauge", ()),
    "tflock_states_left_out": ("gauge", ()),
    "tflock_upstream_seconds": ("histogram", ("system", "call", "outcome")),
    "tflock_time_to_unlock_seconds": ("histogram", ()),
}
EVENTS = {
    "app_home_opened",
    "app_mention",
    "channel_archive",
    "group_archive",
    "message.channels",
    "message.groups",
    "reaction_added",
    "reaction_removed",
}
SCOPES = {
    "app_mentions:read",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "dnd:read",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:write",
    "reactions:read",
    "usergroups:read",
    "users.profile:read",
    "users:read",
    "users:read.email",
}


def _rows(page):
    """The cells of every table row of a page, without the code marks around them."""
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("| `"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            yield [cell.strip().replace("\\|", "|") for cell in cells]


def _code(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def manifest():
    return yaml.safe_load((ROOT / "manifest.yml").read_text())


def test_every_command_is_documented_with_its_usage_and_summary():
    documented = [(_code(usage)[0], summary) for usage, summary in _rows("commands.md")]
    assert documented == [(form.usage, form.summary) for form in FORMS]


def test_every_key_of_the_configuration_is_documented():
    named = {_code(cells[0])[0].replace(".NAME", ".*") for cells in _rows("configuration.md") if len(cells) == 3}
    keys = {key for key in keys_of() if not any(other.startswith(f"{key}.") for other in keys_of())}
    variables = {name for name in named if name.isupper()}
    documented = named - variables
    # a section that may be left out as a whole has a row of its own
    assert documented - {"export.s3", "tickets", "states.*.approval", "states.*.auto_release"} == keys


def test_every_pipeline_key_is_documented():
    documented = {
        _code(kind)[0]: tuple(_code(keys)) for kind, keys in (row for row in _rows("configuration.md") if len(row) == 2)
    }
    assert documented == {system.type: (*system.required, *system.optional) for system in SYSTEMS}


def _spelled(default):
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, timedelta):
        return int(default.total_seconds())
    if isinstance(default, tuple):
        return [str(item) for item in default]
    return default


def _seconds(text):
    found = re.fullmatch(r"(\d+)([smhd])", text)
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def _defaults(model=ConfigFile, path=""):
    for name, field in model.model_fields.items():
        children = sections_in(field.annotation)
        star = ".*" if get_origin(field.annotation) is dict else ""
        if not children:
            yield f"{path}{name}", field.get_default(call_default_factory=True)
        for child in children:
            yield from _defaults(child, f"{path}{name}{star}.")


def test_the_documented_defaults_are_those_of_the_code():
    by_key = {}
    for key, default in _defaults():
        by_key.setdefault(key, set()).add(json.dumps(_spelled(default)))
    for key, default, _ in (row for row in _rows("configuration.md") if len(row) == 3):
        name = _code(key)[0].replace(".NAME", ".*")
        if name not in by_key or default == "see below" or name == "slack.incident_channels":
            continue
        written = {"required": "required", "empty": ""}.get(default)
        if written is None:
            value = yaml.safe_load(_code(default)[0].replace("env:", "'env:'"))
            is_duration = isinstance(value, str) and re.fullmatch(r"\d+[smhd]", value)
            written = _seconds(value) if is_duration else value
        assert json.dumps(written) in by_key[name], name


def test_every_variable_of_the_environment_is_documented():
    documented = {_code(cells[0])[0] for cells in _rows("configuration.md")}
    source = Path(config.__file__).read_text()
    read = set(re.findall(r'"((?:SLACK|TFLOCK|LOG|REDIS)_[A-Z_]+|PORT)"', source)) | {"TFLOCK_CONFIG"}
    assert read <= documented


def test_only_the_command_line_reads_the_environment_of_the_process():
    assert "os.environ" not in Path(config.__file__).read_text()


def test_every_metric_is_documented_and_registered_under_its_public_name():
    documented = {_code(name)[0]: (kind, tuple(_code(labels))) for name, kind, labels, _ in _rows("metrics.md")}
    assert documented == METRICS

    registered = {}
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        registered[name] = family.type
    assert registered == {name: kind for name, (kind, _) in METRICS.items()}


def test_every_timeline_kind_is_documented():
    documented = [_code(row[0])[0] for row in _rows("timeline.md") if len(row) == 2]
    assert documented == [str(kind) for kind in Kind]


def test_the_manifest_offers_the_command_with_its_hint_and_ids_for_names(manifest):
    (command,) = manifest["features"]["slash_commands"]
    assert command["command"] == "/tflock"
    assert command["should_escape"] is True
    assert command["usage_hint"] == " | ".join(form.name for form in FORMS)
    assert len(command["usage_hint"]) <= 1000


def test_the_manifest_asks_for_the_scopes_that_are_needed_and_no_more(manifest):
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == SCOPES
    assert "user" not in manifest["oauth_config"]["scopes"]


def test_the_manifest_sends_everything_to_one_address(manifest):
    settings = manifest["settings"]
    (command,) = manifest["features"]["slash_commands"]
    addresses = {
        command["url"],
        settings["event_subscriptions"]["request_url"],
        settings["interactivity"]["request_url"],
    }
    assert addresses == {"https://YOUR-HOST/slack/events"}
    assert set(settings["event_subscriptions"]["bot_events"]) == EVENTS
    assert settings["interactivity"]["is_enabled"] is True
    assert settings["socket_mode_enabled"] is False


def test_the_manifest_shows_the_home_tab(manifest):
    assert manifest["features"]["app_home"]["home_tab_enabled"] is True


def test_the_documented_step_of_workflows_is_the_one_that_is_listened_to(manifest):
    (written,) = re.findall(r"```yaml\n(functions:.*?)```", (DOCS / "home.md").read_text(), re.DOTALL)
    optional = yaml.safe_load(written)
    assert set(optional["functions"]) == {STEP}
    step = optional["functions"][STEP]
    assert set(step["input_parameters"]) == {"state", "channel", "reason"}
    assert set(step["output_parameters"]) == {"state", "outcome", "message"}
    assert all(one["name"] == name for part in ("input", "output") for name, one in step[f"{part}_parameters"].items())
    assert optional["settings"]["event_subscriptions"]["bot_events"] == ["function_executed"]
    assert "functions" not in manifest  # Slack refuses them in an app that is not for a whole organization
    assert manifest["settings"]["org_deploy_enabled"] is False


def test_every_button_of_the_home_tab_is_documented():
    text = (DOCS / "home.md").read_text() + (DOCS / "messages.md").read_text()
    assert all(f"`{button}`" in text for button in (*HOME_BUTTONS, "home.open", ARM, "terraform_locks", "check_lock"))


def test_the_manifest_offers_the_shortcuts(manifest):
    shortcuts = {(one["type"], one["callback_id"]) for one in manifest["features"]["shortcuts"]}
    on_messages = {("message", "explain_error"), ("message", "add_to_timeline"), ("message", "check_lock")}
    assert shortcuts == {*on_messages, ("global", "terraform_locks")}
    assert {callback for _, callback in shortcuts} == set(SHORTCUTS)
    for shortcut in manifest["features"]["shortcuts"]:
        assert len(shortcut["name"]) <= 24
        assert len(shortcut["description"]) <= 150


def test_the_procfile_names_the_two_processes():
    assert (ROOT / "Procfile").read_text().splitlines() == [
        "web: python -m bot serve --no-worker",
        "worker: python -m bot worker",
    ]


def test_the_ci_script_stops_where_there_is_no_terraform(tmp_path):
    for tool in ("bash", "dirname", "env", "id", "sed"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    ended = subprocess.run(
        [script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "terraform is not on PATH" in ended.stderr


def test_decisions_are_short():
    for page in (DOCS / "adr").glob("*.md"):
        assert len(page.read_text().splitlines()) <= 30, page.name


def test_every_file_of_the_code_that_a_text_names_exists():
    for page in (
        *DOCS.rglob("*.md"),
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "Makefile",
        ROOT / "bot/__init__.py",
    ):
        for path in re.findall(r"\b(?:bot|handlers|tests)/[\w./-]*\w", page.read_text()):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
