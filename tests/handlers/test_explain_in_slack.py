"""An error explained from what people paste and upload, over the signed door."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bot.core.explain.explain import document_of, explain
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind
from bot.sandbox.stage import CHANNEL
from handlers.commands import explain_text
from handlers.typed.grammar import parse
from handlers.typed.values import Explain, Misunderstood
from tests.worlds.terraform_says import MESSAGES, print_plain

HELD = """Error: Error acquiring the state lock

Error message: HTTP remote state already locked: ID=6638e4a0
Lock Info:
  ID:        6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42
  Operation: OperationTypeApply
  Who:       runner@fv-az881-525
"""


async def by_shortcut(office, text, *files):
    message = office.slack.say("U0QUINN", CHANNEL, text, files=list(files))
    payload = slack_payloads.shortcut(
        office.slack.team, user="U0PARKER", message=message, callback_id="explain_error", response_url=""
    )
    payload["message"]["files"] = list(files)
    assert await office.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
    await office.work()
    return office.told("U0PARKER")[-1]


async def by_mention(office, text, *files):
    inner = {"type": "app_mention", "user": "U0PARKER", "channel": CHANNEL, "text": text, "ts": "1.1"}
    payload = slack_payloads.event(office.slack.team, {**inner, "files": list(files)})
    assert await office.dispatch(EnvelopeKind.EVENT, payload) == 200
    await office.work()
    return office.told("U0PARKER")[-1]


@pytest.mark.parametrize(
    "encoded", [HELD.encode(), HELD.encode("utf-16"), (HELD + "Still creating...\n" * 60_000).encode()]
)
async def test_the_shortcut_reads_the_log_file_of_a_message(office, encoded):
    told = await by_shortcut(office, "what now?", office.slack.attached("apply.log", encoded))

    assert "held by another run" in told
    assert "runner@fv-az881-525" in told
    assert ("its middle was not read" in told) is (len(encoded) > 1_048_576)


@pytest.mark.parametrize("meant", [("{env}", "staging-two"), None])
async def test_the_pattern_that_would_mean_the_state_is_named(office, meant):
    held = HELD.replace("  Operation:", "  Path:      acme/environments/two\n  Operation:")
    world = replace(office.world, meant={"acme/environments/two": meant}.get)

    await explain_text(world, Explain(held), office.asker())

    told = office.told()[-1]
    assert "No state of the configuration has the path" in told
    assert ("The pattern `{env}` would mean it, as `staging-two`. tflock has not found it yet" in told) is bool(meant)
    assert ("/tflock status staging-two" in told) is bool(meant)


async def test_a_file_can_be_uploaded_with_a_mention(office):
    told = await by_mention(office, "<@U0TFLOCK> explain", office.slack.attached("apply.log", HELD.encode()))
    assert "held by another run" in told


async def test_the_words_of_the_message_count_together_with_its_file(office):
    file = office.slack.attached("apply.log", b"Error: Failed to persist state to backend\n")
    assert "The state was not saved" in await by_shortcut(office, HELD, file)


async def test_a_file_that_is_too_large_is_not_read_and_the_answer_says_so(office):
    file = office.slack.attached("apply.log", b"x" * (20 * 1024 * 1024 + 1))

    told = await by_shortcut(office, "", file)

    assert "There was nothing to read" in told
    assert "larger than 20 MiB" in told
    assert "larger than 20 MiB" in await by_shortcut(office, HELD, file)


async def test_a_file_that_cannot_be_had_is_said_with_the_reason_beside_what_the_text_says(office):
    file = office.slack.attached("apply.log", b"x") | {"id": "F0GONE"}

    told = await by_shortcut(office, HELD, file)

    assert "held by another run" in told
    assert "A file was not read" in told


async def test_pictures_and_deleted_files_are_left_alone(office):
    picture = office.slack.attached("shot.png", b"x", mimetype="image/png")
    deleted = office.slack.attached("old.log", b"x", mode="tombstone")
    assert "not read" not in await by_shortcut(office, HELD, picture, deleted)


async def test_more_files_than_are_read_are_counted(office):
    files = [office.slack.attached(f"{number}.log", b"fine") for number in range(4)]
    assert "Only the first 3 files were read" in await by_shortcut(office, HELD, *files)


def test_every_command_that_an_answer_names_is_one():
    steps = [step for message in MESSAGES for step in document_of(explain(print_plain(message), {}))["do"]]
    named = {found for step in steps for found in re.findall(r"/tflock (\S+) (\w+)", step)}

    assert {word for word, _ in named} == {"status", "unlock", "kill-job"}
    for word, state in named:
        assert not isinstance(parse(f"{word} {state}"), Misunderstood), word


SECRETS = """remote: https://ci:hunter2hunter2@github.com/acme/infra
  ~ db_password             = "hunter2hunter2" -> "hunter2hunter3"
"""


async def test_no_secret_of_the_paste_is_said_again_by_shortcut_or_mention(office):
    paste = SECRETS + HELD.replace("runner@", "token=hunter2hunter2@")
    file = office.slack.attached("apply.log", paste.encode())

    for told in (
        await by_shortcut(office, paste),
        await by_shortcut(office, "what now?", file),
        await by_mention(office, f"<@U0TFLOCK> explain {paste}"),
        await by_mention(office, "<@U0TFLOCK> explain", file),
    ):
        assert "held by another run" in told
        assert "hunter2" not in told
