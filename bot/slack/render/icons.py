"""The signs at the start of a line: each has one meaning, in every message."""

from __future__ import annotations

from enum import Enum


class Icon(Enum):
    """Slack's emoji name, and what stands for it in a terminal."""

    NONE = ("", "")
    LOCKED = ("lock", "■")
    """A lock is held."""
    FREE = ("unlock", "□")
    """A state is free."""
    GOOD = ("white_check_mark", "✓")
    """A check passed, or something is done."""
    WARNING = ("warning", "!")
    """Something needs attention, and stops nothing."""
    APPROVAL = ("busts_in_silhouette", "+")
    """A second person is needed."""
    WAIT = ("hourglass_flowing_sand", "…")
    """Not yet: time, or someone else, will change it."""
    BAD = ("no_entry", "✗")
    """No: it stays so until someone changes something."""
    UNKNOWN = ("grey_question", "?")
    """We could not find out."""
    ALERT = ("rotating_light", "!")
    """Nobody asked: tflock saw this."""
    LOOP = ("repeat", "↻")
    """A pipeline is started again and again."""
    WATCH = ("eyes", "◎")
    """Someone is notified when a state is free."""
    INCIDENT = ("triangular_flag_on_post", "⚑")
    """An incident was opened, renamed or closed."""
    COMMAND = ("keyboard", ">")
    """Someone typed a command."""
    GATE = ("scales", "=")
    """The checks were made."""
    KILL = ("octagonal_sign", "x")
    """Runs were ended."""
    OWNER = ("bust_in_silhouette", "@")
    """The owner was asked, or answered."""
    NOTE = ("memo", "#")
    """Someone wrote a note."""
    MESSAGE = ("speech_balloon", "“")
    """Someone's message was added."""
    EXPORT = ("page_facing_up", "¶")
    """A record was exported."""
    FOLLOWUP = ("clipboard", "☐")
    """Something to do afterwards."""
    TICKET = ("ticket", "#")
    """A ticket was filed."""
    KEY_MOMENT = ("star", "*")
    """A key moment of an incident."""
    OTHER = ("black_small_square", "·")
    """Any other entry."""

    def __init__(self, emoji: str, sign: str) -> None:
        self.emoji = emoji
        self.sign = sign

    @property
    def code(self) -> str:
        """As Slack's mrkdwn writes it; empty for none."""
        return f":{self.emoji}:" if self.emoji else ""
