"""`make demo` as a stranger runs it: a process of its own, in an empty directory."""

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import aiohttp

import bot
from bot.export.json.read import verify_json
from tests.worlds.slack.workspace import FullWorkspace

ROOT = Path(bot.__file__).resolve().parent.parent


async def demo(directory, *words, path=None):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path or os.environ["PATH"]}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", *words, cwd=directory, env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def played(directory, *words, path=None):
    process = await demo(directory, *words, path=path)
    output, _ = await asyncio.wait_for(process.communicate(), 280)
    return process.returncode, output.decode()


async def until_it_says(process, words):
    said = ""
    while words not in said:
        line = await asyncio.wait_for(process.stdout.readline(), 250)
        assert line, said
        said += line.decode()
    return said


def at_work_in(directory):
    """The processes that work in a directory or below it."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            here = place.readlink()
        except OSError:
            continue
        if here.is_relative_to(directory):
            found.append((place.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


async def seen(browser):
    """The channel as parker sees it: the HTML of its messages."""
    regions = await (await browser.get("/seen", params={"as": "U0PARKER", "in": "C0STAGING"})).json()
    return "".join(html for _, html in regions["feed"])


async def until_seen(browser, words):
    async def is_there():
        return words in await seen(browser)

    await FullWorkspace.wait_for(is_there, 90)


def path_without_terraform(directory):
    """A PATH on which everything is but Terraform."""
    kept = directory / "bin"
    kept.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for tool in Path(place).iterdir() if Path(place).is_dir() else ():
            if tool.name in {"sh", "sleep", "redis-server"} and not (kept / tool.name).exists():
                (kept / tool.name).symlink_to(tool)
    return str(kept)


async def test_demo_unlocks_the_state_and_leaves_a_record_that_verifies_and_no_process(tmp_path):
    code, output = await played(tmp_path)

    assert code == 0, output
    assert "staging is unlocked" in output
    assert ("Apply complete!" in output) == (shutil.which("terraform") is not None)
    exports = sorted(tmp_path.glob("exports/*"))
    assert [path.suffix for path in exports] == [".csv", ".html", ".json", ".md", ".png"]
    assert {path.name for path in exports} == set(re.findall(r"exports/(inc-\S+)", output))
    assert verify_json(next(path for path in exports if path.suffix == ".json")).entries > 10
    assert at_work_in(tmp_path) == []


async def test_demo_without_terraform_says_so_and_takes_the_lock_itself(tmp_path):
    code, output = await played(tmp_path, path=path_without_terraform(tmp_path))

    assert code == 0, output
    assert "no terraform on PATH" in output
    assert "Apply complete!" not in output
    assert "staging is unlocked" in output
    assert "lock item of staging: none" in output
    assert at_work_in(tmp_path) == []


async def test_demo_that_is_interrupted_in_the_middle_of_a_release_ends_all_that_it_started(tmp_path):
    process = await demo(tmp_path)
    await until_it_says(process, "The DynamoDB item was throttled")
    assert len(at_work_in(tmp_path)) > 1

    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), 120)

    assert process.returncode == 130
    assert "has been ended" in output.decode()
    assert at_work_in(tmp_path) == []


async def test_demo_that_is_served_is_played_in_a_browser_and_in_another_terminal_until_it_is_stopped(tmp_path):
    process = await demo(tmp_path, "--serve")
    said = await until_it_says(process, "Ctrl-C ends everything")
    address = re.search(r"channel +(http://\S+?)/", said)[1]
    environment = re.search(r"source (\S+)", said)[1]

    async with aiohttp.ClientSession(address) as browser:
        assert "#inc-staging" in await (await browser.get("/", params={"in": "C0STAGING"})).text()
        typed = {"as": "U0PARKER", "do": "say", "channel": "C0STAGING", "text": "/tflock unlock staging --when-safe"}
        assert (await browser.post("/do", json=typed)).status == 200
        await until_seen(browser, "unlock")

    shell = f"set -e; source {environment}; cd {tmp_path}; export PYTHONPATH={ROOT}; tflock status staging --json"
    asked = await asyncio.create_subprocess_exec("bash", "-c", shell, stdout=asyncio.subprocess.PIPE)
    answer, _ = await asyncio.wait_for(asked.communicate(), 120)
    assert '"staging"' in answer.decode()

    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 130
    assert at_work_in(tmp_path) == []
