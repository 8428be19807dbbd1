"""What stands at the bot's address: only what Slack signed is heard, and nothing that comes in breaks it."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from datetime import UTC, datetime

import aiohttp
import pytest

from bot.sandbox.slack.dispatch import EnvelopeKind, Signing, encoded
from bot.sandbox.slack.text import flat
from tests.worlds.ci.github import FullGitHub

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN = "U0PARKER", "U0QUINN"
SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-sandbox-bot",
    "SLACK_SIGNING_SECRET": "sandbox-signing-secret",
    "GITHUB_TOKEN": "ghp_distinctive4711githubtoken0000000000",
    "TFLOCK_CLAIM_TOKEN": "distinctive4711claimtoken",
    "AWS_SECRET_ACCESS_KEY": "distinctive4711awssecretaccesskey",
}


@pytest.fixture(scope="module")
def staged():
    """Every secret can be told from any other text."""
    own = {name: secret for name, secret in SECRETS.items() if not name.startswith("SLACK")}
    return {"github": FullGitHub(token=SECRETS["GITHUB_TOKEN"]), "environment": own}


async def post(scene, body: bytes, *, content_type: str = "application/x-www-form-urlencoded", headers=None):
    """Sends a body, signed by Slack's secret unless other headers are given; the status and the answer."""
    text = body if isinstance(body, bytes) else body.getvalue()
    signed = Signing(scene.slack.signing_secret).headers(text, time.time()) if headers is None else headers
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{scene.stage.url}/slack/events", data=body, headers={"Content-Type": content_type, **signed}
        ) as answer,
    ):
        return answer.status, await answer.text()


async def get(scene, path: str):
    async with aiohttp.ClientSession() as session, session.get(f"{scene.stage.url}{path}") as answer:
        return answer.status, await answer.text()


async def is_untouched(scene, lock) -> None:
    """Nothing was posted, nothing written down, the lock stands, and the bot still answers."""
    await scene.settles()
    assert scene.posts() == []
    assert await scene.kinds() == []
    assert await scene.stands(lock)


async def test_a_forged_signature_gets_401_and_nothing_happens(scene):
    lock, _ = await scene.stage.dead_lock()

    with scene.slack.signing(secret="somebody else's"):
        delivery = await scene.slack.command(PARKER, scene.channel, "unlock staging")

    assert delivery.status == 401
    await is_untouched(scene, lock)


@pytest.mark.parametrize("age", [301, 600, -600])
async def test_a_timestamp_five_minutes_off_gets_401_and_nothing_happens(scene, age):
    lock, _ = await scene.stage.dead_lock()

    with scene.slack.signing(age=age):
        delivery = await scene.slack.command(PARKER, scene.channel, "unlock staging")

    assert delivery.status == 401
    await is_untouched(scene, lock)


@pytest.mark.parametrize("age", [301, 0])
async def test_a_click_with_a_bad_signature_or_an_old_timestamp_releases_nothing(scene, age):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")

    with scene.slack.signing(secret=None if age else "forged", age=age):
        delivery = await scene.slack.click(PARKER, checklist, "unlock.confirm")

    assert delivery.status == 401
    await scene.settles()
    assert await scene.stands(lock)
    assert "unlock.requested" not in await scene.kinds()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Slack-Signature": "v0=00"},
        {"X-Slack-Request-Timestamp": "now", "X-Slack-Signature": "v0=00"},
        {"X-Slack-Request-Timestamp": "", "X-Slack-Signature": ""},
        {"X-Slack-Request-Timestamp": "99999999999999999999999", "X-Slack-Signature": "v0=\xe4"},
    ],
)
async def test_a_request_without_a_proper_signature_gets_401(scene, headers):
    status, _ = await post(scene, b"command=/tflock&text=unlock+staging", headers=headers)

    assert status == 401


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"payload=", "application/x-www-form-urlencoded"),
        (b"payload=%7Bnot+json", "application/x-www-form-urlencoded"),
        (b"payload=%5B1%2C2%5D", "application/x-www-form-urlencoded"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'"text"', "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (
            b"payload=" + json.dumps({"type": "block_actions", "actions": []}).encode(),
            "application/x-www-form-urlencoded",
        ),
        (b'{"type": "event_callback", "event": null}', "application/json"),
        (b"command=/tflock", "application/x-www-form-urlencoded"),
    ],
    ids=range(13),
)
async def test_a_malformed_body_is_answered_and_the_bot_goes_on(scene, body, content_type):
    lock, _ = await scene.stage.dead_lock()

    status, text = await post(scene, body, content_type=content_type)

    assert status < 500, text
    assert "Traceback" not in text
    await is_untouched(scene, lock)


async def test_a_huge_body_is_turned_away(scene):
    lock, _ = await scene.stage.dead_lock()

    status, _ = await post(scene, io.BytesIO(b"command=/tflock&text=" + b"x" * 3_000_000))

    assert 400 <= status < 500
    await is_untouched(scene, lock)


async def test_another_command_an_unknown_event_and_an_unknown_payload_do_nothing(scene):
    lock, _ = await scene.stage.dead_lock()

    other = await scene.slack.command(PARKER, scene.channel, "unlock staging", name="/other")
    event = await scene.slack.event({"type": "channel_archive", "channel": scene.channel, "user": PARKER})
    shortcut = await scene.slack.shortcut(PARKER, scene.began, "unheard_of")

    assert {d.status for d in (other, event, shortcut)} <= {200, 404}
    await is_untouched(scene, lock)


async def test_an_unknown_action_is_answered_in_words(scene):
    lock, _ = await scene.stage.dead_lock()
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    button = {**scene.slack.find_button(checklist, "unlock.confirm"), "action_id": "unlock.everything"}

    await scene.click(checklist, button)

    await scene.told("tflock no longer knows this button", "nothing was changed")
    assert await scene.stands(lock)


async def test_the_address_is_verified_as_slack_asks_for_it(scene):
    body = json.dumps({"type": "url_verification", "challenge": "c0ffee", "token": "t"}).encode()

    status, text = await post(scene, body, content_type="application/json")

    assert status == 200
    assert "c0ffee" in text


async def test_ssl_checks_of_slack_are_answered(scene):
    status, _ = await post(scene, b"ssl_check=1&token=t")

    assert status == 200


async def test_a_very_long_command_is_answered(scene):
    await scene.types("note " + "long " * 1500)

    await scene.told("noted")


async def test_fifty_requests_at_once_are_all_acked_soon(scene):
    await scene.stage.dead_lock()
    soon = await scene.soon()

    deliveries = await asyncio.gather(*(scene.types("status staging") for _ in range(50)))

    assert max(delivery.seconds for delivery in deliveries) < soon
    await scene.until(lambda: len(scene.slack.ephemerals(PARKER, scene.channel)) == 50)


async def test_health_and_readiness_and_unknown_paths_answer(scene):
    assert (await get(scene, "/healthz"))[0] == 200
    assert (await get(scene, "/livez"))[0] == 200
    status, text = await get(scene, "/readyz")
    assert (status, json.loads(text)) == (200, {"redis": True, "slack": True, "jobs": True, "clock": True})
    assert (await get(scene, "/nowhere"))[0] == 404
    assert (await get(scene, "/slack/events"))[0] in {404, 405}


async def test_readiness_fails_soon_after_slack_went_away_and_health_does_not(scene):
    scene.slack.crash("auth.test", times=None)

    async def is_unready() -> bool:
        status, text = await get(scene, "/readyz")
        found = json.loads(text)
        return (status, found["slack"]) == (503, False) and "Slack" in found["wrong"]["slack"]

    async with asyncio.timeout(30):
        while not await is_unready():  # noqa: ASYNC110 - a probe asks again and again
            await asyncio.sleep(0.5)
    assert (await get(scene, "/healthz"))[0] == 200


async def test_whoever_asks_for_readiness_a_hundred_times_asks_slack_no_more_than_once_in_a_while(scene):
    def asked() -> int:
        return len([call for call in scene.slack.calls if call.method == "auth.test"])

    before = asked()

    answers = await asyncio.gather(*(get(scene, "/readyz") for _ in range(100)))

    assert {status for status, _ in answers} <= {200, 503}
    assert asked() - before <= 3


async def test_half_requests_are_dropped_and_whole_ones_beside_them_are_answered(scene):
    """The bot's own limits: ten seconds for headers, and ten for a body."""
    port = int(scene.stage.url.rpartition(":")[2])
    head = b"POST /slack/events HTTP/1.1\r\nHost: bot\r\n"
    soon = await scene.soon()
    half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(90)]
    for number, (_, writer) in enumerate(half):
        writer.write((b"", head, head + b"Content-Length: 5\r\n\r\n")[number % 3])

    assert (await get(scene, "/healthz"))[0] == 200
    delivery = await scene.types("status staging")
    assert delivery.seconds < soon

    async with asyncio.timeout(60):
        ends = await asyncio.gather(*(reader.read() for reader, _ in half), return_exceptions=True)
    for _, writer in half:
        writer.close()
    told = [end for end in ends if isinstance(end, bytes) and end]
    assert len(told) == 30
    assert all(end.startswith(b"HTTP/1.1 408") for end in told)


async def test_the_metrics_of_the_contract_count_what_was_done(scene):
    lock, _ = await scene.stage.dead_lock()
    await scene.types("status staging")
    await scene.told("staging is locked")
    held = await scene.metrics()
    assert 'tflock_lock_held{state="staging"} 1.0' in held
    age = float(re.search(r'tflock_lock_age_seconds\{state="staging"\} ([\d.e+]+)', held)[1])
    assert 0 <= (datetime.now(UTC) - lock.created).total_seconds() - age < 120
    await scene.types("unlock staging", user="U0GUEST")
    refused = await scene.told("staging is locked", user="U0GUEST")
    checklist = await scene.checklist("unlock staging", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    await scene.types("status staging")
    await scene.told("staging is free")
    await scene.settles()

    told = await scene.metrics()

    assert refused
    for line in (
        r'tflock_commands_total\{command="status",outcome="ok"\} [1-9]',
        r'tflock_commands_total\{command="unlock.confirm",outcome="ok"\} [1-9]',
        r'tflock_unlocks_total\{outcome="released",state="staging"\} [1-9]',
        r'tflock_gate_refusals_total\{rule="requester"\} [1-9]',
        r'tflock_lock_held\{state="staging"\} 0\.0',
        r'tflock_lock_age_seconds\{state="staging"\} 0\.0',
        r'tflock_upstream_seconds_count\{call="[^"]+",outcome="[^"]+",system="GitHub[^"]*"\} [1-9]',
        r"tflock_time_to_unlock_seconds_count [1-9]",
    ):
        assert re.search(
            line, told.replace('state="staging",outcome="released"', 'outcome="released",state="staging"')
        ), line


async def test_the_metrics_carry_nothing_that_a_person_typed(scene):
    await scene.types("unlock injected_name_4711")
    await scene.types("injected_word_4711")
    await scene.slack.event({"type": "injected_type_4711"})
    await scene.settles()

    assert "_4711" not in await scene.metrics()


async def test_no_secret_is_in_the_log_a_message_an_export_or_an_answer(scene):
    await scene.stage.dead_lock()
    scene.stage.github.answer_next(".*", status=500, body=f"echo {SECRETS['GITHUB_TOKEN']}", times=1)
    await scene.types("status staging")
    await scene.told("staging is locked")
    scene.slack.crash("chat.postMessage", times=1)
    await scene.types("unlock staging")
    checklist = await scene.checklist("unlock staging because password=hunter2hunter2", "unlock staging")
    await scene.types(f"note the token is {SECRETS['GITHUB_TOKEN']}")
    await scene.told("noted")
    await scene.types("close")
    await scene.click(await scene.told("close this incident now", "staging is still locked"), "incident.close")
    await scene.until(lambda: len(scene.slack.files(scene.channel)) == 3)

    texts = {
        "log": scene.stage.bots["serve"].log,
        "metrics": await scene.metrics(),
        "messages": "\n".join(flat(m) + m.text for m in scene.slack.team.messages if m.by_bot and not m.to),
        "exports": "\n".join(path.read_bytes().decode(errors="replace") for path in scene.stage.exports.iterdir()),
        "uploads": "\n".join((u.content or b"").decode(errors="replace") for u in scene.slack.files(scene.channel)),
    }
    assert checklist
    found = [(where, name) for where, text in texts.items() for name, secret in SECRETS.items() if secret in text]
    assert found == []


async def test_a_signed_request_with_the_content_type_of_another_is_answered(scene):
    body, _ = encoded(EnvelopeKind.COMMAND, {"command": "/tflock", "text": "help"})

    status, _ = await post(scene, body, content_type="text/plain")

    assert status < 500
