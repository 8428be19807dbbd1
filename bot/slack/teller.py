"""Says reports in Slack: renders them and hands them to the notifier."""

from __future__ import annotations

from datetime import datetime

import structlog

from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.reports.kill import KillReport, KillRequest
from bot.core.reports.letter import OwnerLetter
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.errors import Final
from bot.ports.messenger import Notifier, Posted
from bot.slack.render import Message, kill_message, letter_message, notice_message, nudge_message, unlock_message

log = structlog.get_logger()

_PASSING = frozenset({UnlockStage.ARMED, UnlockStage.RELEASING, KillStage.CANCELLING, KillStage.ESCALATED})
"""Stages that are shown in the request's own message or not at all: there are many such updates."""


class SlackTeller:
    """A `bot.ports.Teller`. Raises UpstreamError if Slack did not take a message."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    async def unlock(self, report: UnlockReport) -> Posted:
        """Posts the request's message, or updates it if it stands already.

        An outcome is posted anew where that message was deleted or cannot be changed any more.
        """
        return await self._say(report.request, unlock_message(report), passing=report.stage in _PASSING)

    async def kill(self, report: KillReport) -> Posted:
        """As `unlock`."""
        return await self._say(report.request, kill_message(report), passing=report.stage in _PASSING)

    async def letter(self, owner: str, letter: OwnerLetter, *, posted: Posted | None = None, mark: str = "") -> Posted:
        """Writes to the owner, or updates what was written."""
        words = letter_message(letter)
        if posted is None:
            return await self._notifier.direct(owner, text=words.text, blocks=words.blocks, mark=mark)
        await self._notifier.update(posted, text=words.text, blocks=words.blocks)
        return posted

    async def nudge(self, owner: str, letter: OwnerLetter, posted: Posted, *, mark: str) -> Posted:
        """Names the owner in the thread of what was written: Slack notifies him of that, and not of updates."""
        words = nudge_message(owner, letter)
        return await self._notifier.direct(owner, text=words.text, blocks=words.blocks, mark=mark, thread=posted.ts)

    async def find_letter(self, owner: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        return await self._notifier.find_direct(owner, mark=mark, since=since, thread=thread)

    async def notice(self, channel: str, notice: Notice, *, thread: str = "", posted: Posted | None = None) -> Posted:
        """Says something to the whole channel, or in the place of what was said there before."""
        words = notice_message(notice)
        if posted is not None:
            await self._notifier.update(posted, text=words.text, blocks=words.blocks)
            return posted
        return await self._notifier.post(channel, text=words.text, blocks=words.blocks, thread=thread or None)

    async def whisper(self, channel: str, user: str, notice: Notice) -> None:
        """Says something to one person in a channel."""
        words = notice_message(notice)
        await self._notifier.whisper(channel, user, text=words.text, blocks=words.blocks)

    async def _say(self, request: UnlockRequest | KillRequest, words: Message, *, passing: bool) -> Posted:
        if not request.ts:
            return await self._post(request, words)
        posted = Posted(request.channel, request.ts)
        try:
            await self._notifier.update(posted, text=words.text, blocks=words.blocks)
        except Final as error:
            if passing:
                raise
            log.warning("message.posted_anew", request=request.id, detail=error.detail)
            return await self._post(request, words)
        return posted

    async def _post(self, request: UnlockRequest | KillRequest, words: Message) -> Posted:
        return await self._notifier.post(
            request.channel, text=words.text, blocks=words.blocks, thread=request.thread or None
        )
