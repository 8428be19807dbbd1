"""`explain`, typed with a pasted error and by the shortcut on somebody's message."""

from __future__ import annotations

import pytest

from bot.sandbox.slack.text import flat

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUINN = "U0QUINN"
HELD = """Error: Error acquiring the state lock

Error message: operation error DynamoDB: PutItem, https response error StatusCode: 400, \
ConditionalCheckFailedException: The conditional request failed
Lock Info:
  ID:        6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42
  Path:      {bucket}/environments/staging/terraform.tfstate
  Operation: OperationTypeApply
  Who:       runner@fv-az881-525
  Version:   1.11.4
  Created:   2026-11-21 22:41:43.311804893 +0000 UTC
"""


@pytest.fixture(scope="module")
def staged():
    return {}


async def test_a_typed_error_is_explained_with_its_state_and_lock(scene):
    await scene.types("explain " + HELD.format(bucket=scene.stage.aws.bucket))

    told = flat(await scene.told("held by another run"))

    assert "/tflock status staging" in told
    assert "6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42" in told
    assert "force-unlock" in told


async def test_the_shortcut_explains_somebodys_message_to_whoever_asked(scene):
    pasted = scene.slack.say(QUINN, scene.channel, f"what now?\n```{HELD.format(bucket=scene.stage.aws.bucket)}```")

    delivery = await scene.slack.shortcut(QUINN, pasted, "explain_error")
    told = flat(await scene.told("held by another run", user=QUINN))

    assert delivery.is_acked
    assert "/tflock unlock staging" in told
    assert not scene.posts("held by another run")


async def test_what_is_no_error_is_said_to_be_unknown(scene):
    await scene.types("explain the deployment looks odd")

    assert "does not know this error" in flat(await scene.told("not an error that tflock knows"))
