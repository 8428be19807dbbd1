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


async def feed(browser):
    return await (await browser.get("/feed", params={"user": "U0PARKER"})).text()


async def until_feed_has(browser, words):
    await FullWorkspace.wait_for(lambda: feed_has(browser, words), 90)


async def feed_has(browser, words):
    return words in await feed(browser)


def pressed_in(html, action):
    """The fields of the newest form with that button."""
    forms = [dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) for form in html.split("<form")]
    return next(fields for fields in reversed(forms) if fields.get("action") == action)


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


async def test_demo_that_goes_on_shows_the_channel_in_a_browser_until_it_is_told_to_stop(tmp_path):
    process = await demo(tmp_path, "--serve")
    said = await until_it_says(process, "Ctrl-C ends everything")
    address = re.search(r"channel +(http\S+)", said)[1]

    async with aiohttp.ClientSession(address) as browser:
        page = await (await browser.get("/")).text()
        assert "#inc-staging" in page
        await browser.post("/command", data={"user": "U0PARKER", "text": "unlock staging"})
        await until_feed_has(browser, "unlock.when_safe")
        pressed = pressed_in(await feed(browser), "unlock.when_safe")
        assert (await browser.post("/click", data=pressed)).status == 200
        await until_feed_has(browser, "as soon as it is safe")
        assert (await browser.post("/click", data={**pressed, "action": "no.such"})).status == 409

    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 130
    assert at_work_in(tmp_path) == []
