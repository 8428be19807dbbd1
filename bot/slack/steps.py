"""Steps of workflows: their messages, and telling Slack that one is over (`functions.*`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.reports.step import StepReport
from bot.ports.messenger import Notifier, Posted
from bot.slack.client import translated
from bot.slack.marks import CALL_SECONDS, find_marked, marked
from bot.slack.render.blocks import Message
from bot.slack.render.step import step_message

log = structlog.get_logger()

_OVER = frozenset({"execution_not_in_running_state", "function_execution_not_found"})
_LONGEST_ERROR = 500


class SlackSteps:
    """Implements `bot.ports.Steps` with the bot's own token: that of the step itself does not live long enough."""

    def __init__(self, client: AsyncWebClient, notifier: Notifier) -> None:
        self._client = client
        self._notifier = notifier

    async def show(self, report: StepReport, *, posted: Posted | None = None) -> Posted:
        words = step_message(report)
        if posted is None:
            return await self._post(report, words)
        await self._notifier.update(posted, text=words.text, blocks=words.blocks)
        return posted

    async def find(self, execution: str, channel: str, *, since: datetime) -> Posted | None:
        return await find_marked(self._client, channel, mark=_mark(execution), thread="", since=since)

    async def _post(self, report: StepReport, words: Message) -> Posted:
        with translated("posting a message"):
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._client.chat_postMessage(
                    channel=report.channel,
                    text=words.text,
                    blocks=[dict(block) for block in words.blocks],
                    metadata=marked(_mark(report.execution)),
                    unfurl_links=False,
                    unfurl_media=False,
                )
        return Posted(str(answer.get("channel") or report.channel), str(answer["ts"]))

    async def complete(self, execution: str, outputs: Mapping[str, str]) -> None:
        """Says that the step has done what it was for. One that is over already stays as it is."""
        with translated("completing a workflow's step"):
            try:
                await self._client.functions_completeSuccess(function_execution_id=execution, outputs=dict(outputs))
            except SlackApiError as error:
                _check_over(error, execution)

    async def fail(self, execution: str, why: str) -> None:
        """As `complete`, with a sentence for whoever has started the workflow."""
        with translated("ending a workflow's step"):
            try:
                await self._client.functions_completeError(function_execution_id=execution, error=why[:_LONGEST_ERROR])
            except SlackApiError as error:
                _check_over(error, execution)


def _mark(execution: str) -> str:
    return f"step/{execution}"


def _check_over(error: SlackApiError, execution: str) -> None:
    code = str(error.response.get("error") or "") if hasattr(error.response, "get") else ""
    if code not in _OVER:
        raise error
    log.info("step.over_already", execution=execution, code=code)
