"""Slack's mrkdwn taken apart: its tokens and its dates. The demo draws them in a terminal and in a browser.

Source: docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_INSIDE = r"(?:<[^>\n]*>|`[^`\n]+`|[^{0}\n])+"
TOKEN = re.compile(
    r"(?P<break>\n)"
    r"|`(?P<code>[^`\n]+)`"
    r"|<!date\^(?P<unix>-?\d+)\^(?P<form>[^|^>]*)(?:\^(?P<goto>[^|>]*))?\|(?P<fallback>[^>]*)>"
    r"|<(?P<mark>[@#!])(?P<target>[^|>]*)(?:\|(?P<said>[^>]*))?>"
    r"|<(?P<url>(?:https?://|mailto:)[^|>]+)(?:\|(?P<label>[^>]*))?>"
    rf"|(?<![\w*])\*(?P<bold>{_INSIDE.format('*')})\*(?![\w*])"
    rf"|(?<![\w_])_(?P<italic>{_INSIDE.format('_')})_(?![\w_])"
    rf"|(?<![\w~])~(?P<strike>{_INSIDE.format('~')})~(?![\w~])"
    r"|:(?P<emoji>[a-z0-9_+'-]+):"
)
_FIRST, _LAST = 11, 13
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def dated(form: str, at: datetime, now: datetime, *, clock: str = "%-I:%M{} %p") -> str:
    """A date token's form filled in. `clock` has `{}` where the seconds go; both times are in the reader's zone."""
    day = f"{at:%b} {at.day}, {at.year}"
    ordinal = "th" if _FIRST <= at.day <= _LAST else _ENDINGS.get(at.day % 10, "th")
    long = f"{at:%B} {at.day}{ordinal}, {at.year}"
    near = {0: "today", -1: "yesterday", 1: "tomorrow"}.get((at.date() - now.date()).days)
    days = {"date_num": f"{at:%Y-%m-%d}", "date_short": day, "date": long, "date_long": f"{at:%A}, {long}"}
    parts = days | {f"{name}_pretty": near or shown for name, shown in days.items()}
    parts |= {
        "time": at.strftime(clock.format("")),
        "time_secs": at.strftime(clock.format(":%S")),
        "ago": ago(now - at),
    }
    return re.sub(r"\{(\w+)\}", lambda found: parts.get(found[1], found[0]), form)


def ago(past: timedelta) -> str:
    """Roughly how long, as `{ago}` says it."""
    minutes = round(abs(past.total_seconds()) / 60)
    hours, days = round(minutes / 60), round(minutes / 1440)
    count, unit = (days, "day") if hours >= 24 else (hours, "hour") if minutes >= 60 else (minutes, "minute")
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{words} ago" if past >= timedelta() else f"in {words}"
