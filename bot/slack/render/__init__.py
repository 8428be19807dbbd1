"""Reports as Slack messages. Pure: a value goes in, a `Message` comes out, inside Slack's limits for any input.

facts, verdict   what is known, as labelled sentences, for Slack and the terminal alike
mrkdwn, blocks   how phrases and blocks are written; all escaping and cutting happens here
status … notice  one module for each family of messages; controls has the buttons of requests
plain            the same facts as plain lines and as JSON, for the command line
"""

from __future__ import annotations

from bot.slack.render.alert import alerts_message
from bot.slack.render.blocks import Message
from bot.slack.render.correction import edited_message, marked_message
from bot.slack.render.exported import exported_message
from bot.slack.render.followups import followups_message
from bot.slack.render.help import help_message
from bot.slack.render.kill import kill_message
from bot.slack.render.notice import notice_message
from bot.slack.render.owner import letter_message, nudge_message
from bot.slack.render.status import overview_message, status_message
from bot.slack.render.timeline import timeline_message
from bot.slack.render.unlock import unlock_message
from bot.slack.render.waiting import queue_message, watch_message
from bot.slack.render.who import user_message, who_message

__all__ = [
    "Message",
    "alerts_message",
    "edited_message",
    "exported_message",
    "followups_message",
    "help_message",
    "kill_message",
    "letter_message",
    "marked_message",
    "notice_message",
    "nudge_message",
    "overview_message",
    "queue_message",
    "status_message",
    "timeline_message",
    "unlock_message",
    "user_message",
    "watch_message",
    "who_message",
]
