"""The rights of the Slack app: each scope, what it is for, and the methods and events that need it.

Source: the page of each method and of each event on https://docs.slack.dev/reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.rights import Right, Use

_TWO_READERS = ("conversations.history", "conversations.replies")
_ABOUT_CHANNELS = ("conversations.info", "conversations.list", "conversations.members")
_IN_PUBLIC, _IN_PRIVATE = "event message.channels", "event message.groups"

RIGHTS = (
    Right("app_mentions:read", "mentions in threads, where Slack gives no slash commands", ("event app_mention",)),
    Right("channels:history", "messages of public channels on the timeline: marks, the shortcut, `capture`, edits",
          (*_TWO_READERS, _IN_PUBLIC)),
    Right("channels:read", "who is in a public channel", (*_ABOUT_CHANNELS, "event channel_archive")),
    Right("chat:write", "every answer", ("chat.postMessage", "chat.postEphemeral", "chat.update"), Use.RELEASE),
    Right("commands", "/tflock and the shortcuts", ("event command", "event shortcut"), Use.RELEASE),
    Right("dnd:read", "an owner's do-not-disturb", ("dnd.info",), Use.DETAIL),
    Right("files:read", "an export that a crash cut short; an uploaded log to explain", ("files.info",), Use.DETAIL),
    Right("files:write", "the exported timeline", ("files.getUploadURLExternal", "files.completeUploadExternal"),
          Use.EXPORT),
    Right("groups:history", "messages of private channels on the timeline, in the same ways",
          (*_TWO_READERS, _IN_PRIVATE)),
    Right("groups:read", "who is in a private channel", (*_ABOUT_CHANNELS, "event group_archive")),
    Right("im:history", "whether a message to an owner was written, after a crash: without it they may get it twice",
          _TWO_READERS, Use.DETAIL),
    Right("im:write", "the message to an owner", ("conversations.open",)),
    Right("reactions:read", "marks that put messages on the timeline",
          ("reactions.get", "event reaction_added", "event reaction_removed")),
    Right("usergroups:read", "policy.unlock_groups", ("usergroups.users.list",)),
    Right("users.profile:read", "an owner's status", ("users.profile.get",), Use.DETAIL),
    Right("users:read", "guests and deactivated users", ("users.info", "users.getPresence"), Use.RELEASE),
    Right("users:read.email", "owners known by email, and whether a second person is another person",
          ("users.lookupByEmail",)),
)  # fmt: skip
"""The scopes of the manifest."""

SCOPES: Mapping[str, str] = {right.name: right.purpose for right in RIGHTS}
"""The scopes of the manifest, with what each is for."""

WITHOUT_A_SCOPE = (
    "auth.test",
    "chat.getPermalink",
    "event app_home_opened",
    "functions.completeError",
    "functions.completeSuccess",
    "views.open",
    "views.publish",
    "views.update",
)
"""What any bot token may, or whose right comes with the event that leads to it."""

APP_TOKEN = Right("connections:write", "Socket Mode", ("apps.connections.open",))
"""The scope of the app-level token (`SLACK_APP_TOKEN`)."""
