"""`demo --own`: the bot on one's own configuration, with only Slack on this machine."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp
import yaml

import bot
from bot.sandbox.own import trial_settings
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import stage

ROOT = Path(bot.__file__).resolve().parent.parent


async def own(directory, environment):
    kept = {name: value for name, value in environment.items() if not name.startswith("SLACK_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", "--own",
        cwd=directory, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | kept,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def said_until(process, words):
    said = ""
    while words not in said:
        line = await asyncio.wait_for(process.stdout.readline(), 120)
        assert line, said
        said += line.decode()
    return said


async def test_ones_own_states_are_answered_for_in_the_local_workspace_and_nothing_is_left_behind(tmp_path):
    here = tmp_path / "mine"
    here.mkdir()
    async with stage(tmp_path / "world", processes=()) as made:
        await made.dead_lock()
        made.settings["states"]["staging"]["auto_release"] = {"after": "1s", "veto": "1s"}
        made.settings["slack"] = {"incident_channels": ["prod-incidents"]}
        (here / "tflock.yml").write_text(yaml.safe_dump(made.settings))
        process = await own(here, made.environment)
        try:
            said = await said_until(process, "Ctrl-C ends everything")
            address = re.search(r"Open (http://\S+?)/\?in=C0TRIAL", said)[1]
            async with aiohttp.ClientSession(address) as browser:
                typed = {"as": "U0YOU", "do": "say", "channel": "C0TRIAL", "text": "/tflock unlock staging --dry-run"}
                assert (await browser.post("/do", json=typed)).status == 200

                async def is_answered():
                    regions = await (await browser.get("/seen", params={"as": "U0YOU", "in": "C0TRIAL"})).json()
                    return "safe to unlock" in "".join(html for _, html in regions["feed"])

                await FullWorkspace.wait_for(is_answered, 60)
        finally:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.communicate(), 60)

        assert process.returncode == 0
        assert await made.lock_stands()
        assert list((here / "var/own").iterdir()) == []


async def test_a_configuration_with_problems_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "tflock.yml").write_text("states: {}\n")

    process = await own(tmp_path, {})
    said, _ = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 2
    assert b"tflock.yml:1: states" in said
    assert not (tmp_path / "var").exists()


def test_what_would_act_unasked_or_needs_other_people_is_left_out_and_all_else_is_as_it_was(tmp_path):
    state = {"backend": {"type": "gcs", "bucket": "acme"}, "protected": True}
    given = {
        "version": 1,
        "slack": {"incident_channels": ["prod"], "alerts_channel": "C0ALERTS1"},
        "states": {"one": {**state, "auto_release": {"after": "1m", "veto": "1m"}, "approval": {"by": "owner"}}},
        "policy": {"unlock_groups": ["S0GROUP"], "approval": {"by": "nobody"}, "state_quiet": "300s"},
        "tickets": {"type": "jira"},
        "export": {"s3": {"bucket": "records"}},
        "holders": {"ci_hosts": ["runner@*"]},
    }

    assert trial_settings(given, tmp_path) == {
        "version": 1,
        "slack": {"incident_channels": ["inc-*"]},
        "states": {"one": state},
        "policy": {"state_quiet": "300s"},
        "holders": {"ci_hosts": ["runner@*"]},
        "export": {"directory": str(tmp_path / "exports")},
    }
