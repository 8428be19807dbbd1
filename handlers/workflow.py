"""The step "Unlock a Terraform state when safe" of Slack's workflows: what Slack sends becomes a durable job.

The job is in the queue before the ack. A workflow waits for its result: where the job cannot be kept, the step is ended
at once, with a sentence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.record.redact import redact
from bot.errors import JournalAway, JournalRefused, UpstreamError
from bot.usecases.unlock import workflow_step
from bot.usecases.world import World
from handlers.intake import is_taken

log = structlog.get_logger()

STEP = "unlock_when_safe"
_LONGEST = 500
_AWAY = "The timeline (Redis) cannot be reached, so nothing was changed. Run the workflow again when it is back."
_REFUSED = "Redis does not do what tflock needs, so nothing was changed: {}. `tflock doctor` says how to fix it."


def listen_to_workflows(app: AsyncApp, world: World) -> None:
    """Registers the step. Who is named in its inputs is not believed: a member of the channel has to click."""
    ending: set[asyncio.Task[None]] = set()

    @app.function(STEP, auto_acknowledge=False)
    async def on_step(ack: AsyncAck, body: dict[str, Any]) -> None:
        event = body.get("event") or {}
        execution, inputs = str(event.get("function_execution_id") or ""), event.get("inputs") or {}
        if not execution or not isinstance(inputs, Mapping):
            await ack()
            return
        starting = asyncio.ensure_future(_start(world, execution, inputs))
        is_started = await is_taken(starting)
        await ack()
        if not is_started:
            error = starting.exception() if starting.done() else None
            log.warning("step.not_started", execution=execution, error=str(error or "Redis does not answer"))
            why = _REFUSED.format(error) if isinstance(error, JournalRefused) else _AWAY
            task = asyncio.create_task(_end(world, execution, why))
            ending.add(task)
            task.add_done_callback(ending.discard)


async def _start(world: World, execution: str, inputs: Mapping[str, Any]) -> None:
    state, channel = _text(inputs, "state"), _text(inputs, "channel")
    reason = redact(_text(inputs, "reason"))
    await world.jobs.start("step", execution, state, channel, reason, key=f"step:{execution}")


async def _end(world: World, execution: str, why: str) -> None:
    try:
        await workflow_step.fail(world, execution, why)
    except (UpstreamError, JournalAway) as error:
        log.error("step.not_told", execution=execution, error=str(error))  # noqa: TRY400 - no bug to trace


def _text(inputs: Mapping[str, Any], name: str) -> str:
    return str(inputs.get(name) or "").strip()[:_LONGEST]
