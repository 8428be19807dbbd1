"""Reports as Slack messages. Pure: a value goes in, a `Message` comes out, inside Slack's limits for any input.

facts, verdict   what is known, as labelled sentences, for Slack and the terminal alike
mrkdwn, blocks   how phrases and blocks are written; all escaping and cutting happens here
page, status …   one module for each family of messages; controls has the buttons of requests
plain            the same facts as plain lines and as JSON, for the command line
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.core.account.edition import ExportReport
from bot.core.recovery.recovery import Recovery
from bot.core.reports.alert import Bulletin
from bot.core.reports.followups import FollowUpsReport
from bot.core.reports.hold import HoldReport
from bot.core.reports.kill import KillReport
from bot.core.reports.owner_message import Nudge, OwnerMessage
from bot.core.reports.report import Checklist, Notice, Overview, StatusReport, TimelineReport
from bot.core.reports.step import StepReport
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.waiting import QueueNews, WatchReport
from bot.core.reports.who import UserReport, WhoReport
from bot.ports.messenger import Message, Report
from bot.slack.render.alert import alerts_message
from bot.slack.render.exported import exported_message
from bot.slack.render.followups import followups_message
from bot.slack.render.hold import hold_message
from bot.slack.render.kill import kill_message
from bot.slack.render.owner import nudge_message, owner_message
from bot.slack.render.page import notice_message
from bot.slack.render.recovery import recovery_message
from bot.slack.render.status import checklist_message, overview_message, status_message
from bot.slack.render.step import step_message
from bot.slack.render.timeline import timeline_message
from bot.slack.render.unlock import unlock_message
from bot.slack.render.waiting import queue_message, watch_message
from bot.slack.render.who import user_message, who_message

_RENDERERS: Mapping[type, Callable[[Any], Message]] = {
    Bulletin: alerts_message,
    Checklist: checklist_message,
    ExportReport: exported_message,
    FollowUpsReport: followups_message,
    HoldReport: hold_message,
    KillReport: kill_message,
    Notice: notice_message,
    Nudge: nudge_message,
    Overview: overview_message,
    OwnerMessage: owner_message,
    QueueNews: queue_message,
    Recovery: recovery_message,
    StatusReport: status_message,
    StepReport: step_message,
    TimelineReport: timeline_message,
    UnlockReport: unlock_message,
    UserReport: user_message,
    WatchReport: watch_message,
    WhoReport: who_message,
}


def message_of(report: Report) -> Message:
    """The report in words."""
    return _RENDERERS[type(report)](report)
