"""What someone asked for, as a value: any process can work it off, also one that finds it after another has died."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

from bot.core.codec import RECORDS, read, written
from bot.core.record.redact import redact
from bot.usecases.world import World
from handlers import boundary, clicks, commands, dialogs, home, record
from handlers.asker import Asker
from handlers.dialogs import EntryEdit, Review
from handlers.typed import values
from handlers.typed.grammar import parse

OnShortcut: TypeAlias = "Callable[[World, Delivery], Awaitable[str]]"

_READING = (values.Help, values.Status, values.Who, values.Timeline, values.Explain, values.Misunderstood)
"""Commands that change nothing: they are answered without Redis, too."""

_READING_SHORTCUTS = frozenset({"explain_error", "check_lock", "terraform_locks"})


class Way(StrEnum):
    """How it came: words are a command or a mention, a dialog is one that was sent, a home is a tab that was opened."""

    WORDS = "words"
    CLICK = "click"
    DIALOG = "dialog"
    SHORTCUT = "shortcut"
    HOME = "home"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of Slack's. `name` is its action or callback id, empty for words; `value` what is on the button, or
    the message of a shortcut; `sent` what a dialog says, None for one that this program did not write.
    """

    way: Way
    asker: Asker
    name: str = ""
    text: str = ""
    files: tuple[str, ...] = ()
    value: str = ""
    on_tab: bool = False
    sent: EntryEdit | Review | None = None

    @property
    def command(self) -> str:
        """Its name in the metrics."""
        match self.way:
            case Way.WORDS:
                return self._parsed.name
            case Way.CLICK:
                return self.name if self.name in clicks.CLICKS else "unknown"
            case Way.SHORTCUT:
                return SHORTCUTS[self.name][0] if self.name in SHORTCUTS else "unknown"
            case Way.DIALOG:
                return self.name
            case Way.HOME:
                return "home"

    @property
    def only_reads(self) -> bool:
        match self.way:
            case Way.WORDS:
                return isinstance(self._parsed, _READING)
            case Way.CLICK:
                return self.name not in clicks.CLICKS or self.name in clicks.READING
            case Way.SHORTCUT:
                return self.name in _READING_SHORTCUTS
            case Way.DIALOG:
                return False
            case Way.HOME:
                return True

    @property
    def _parsed(self) -> values.Command:
        return _parsed(self.text, self.files)

    async def work(self, world: World) -> None:
        """Never raises: the boundary is inside."""
        asker = self.asker
        await boundary.run(world, self.command, asker, lambda: self._outcome(world))
        if self.on_tab and self.name not in home.HOME_BUTTONS:  # those draw the tab themselves
            await home.redraw(world, asker)

    async def _outcome(self, world: World) -> str:
        match self.way:
            case Way.WORDS:
                return await commands.run(world, self._parsed, self.text, self.asker)
            case Way.CLICK:
                return await clicks.run(world, self.name, self.value, self.asker)
            case Way.DIALOG:
                return await dialogs.save(world, self.name, self.sent)
            case Way.SHORTCUT:
                return await SHORTCUTS[self.name][1](world, self)
            case Way.HOME:
                return await home.show_home(world, self.asker)


@lru_cache(64)
def _parsed(text: str, files: tuple[str, ...]) -> values.Command:
    """Asked for the name, for what it is, and for the work."""
    return parse(text, files)


def kept(delivery: Delivery) -> Mapping[str, Any]:
    """As it is written down: without the secrets in people's words, and without the addresses that Slack lends, which
    anyone could answer at. A process that finds it answers in the channel, to the asker only.
    """
    sent = delivery.sent
    if isinstance(sent, EntryEdit):
        text = None if sent.text is None else redact(sent.text)
        sent = replace(sent, asker=_without_addresses(sent.asker), text=text, why=redact(sent.why))
    elif sent is not None:
        said = {about: redact(text) for about, text in sent.said.items()}
        sent = replace(sent, asker=_without_addresses(sent.asker), said=said)
    asker = _without_addresses(delivery.asker)
    return written(replace(delivery, asker=asker, text=redact(delivery.text), sent=sent), RECORDS)


def found(what: Mapping[str, Any]) -> Delivery:
    """What `kept` wrote, for the process that takes it up. Raises ValueError for what cannot be read."""
    delivery = read(Delivery, what, RECORDS)
    sent = delivery.sent
    if sent is not None:
        sent = replace(sent, asker=replace(sent.asker, is_again=True))
    return replace(delivery, asker=replace(delivery.asker, is_again=True), sent=sent)


def _without_addresses(asker: Asker) -> Asker:
    return replace(asker, response_url="", trigger="", text="")


SHORTCUTS: Mapping[str, tuple[str, OnShortcut]] = {
    "explain_error": (
        "explain",
        lambda w, it: commands.explain_text(w, values.Explain(it.text, it.files), it.asker),
    ),
    "check_lock": ("check_lock", lambda w, it: commands.check_lock(w, it.text, it.asker)),
    "add_to_timeline": ("capture", lambda w, it: record.capture_message(w, it.value, it.asker)),
    "terraform_locks": ("terraform_locks", lambda w, it: home.open_dialog(w, it.asker)),
}
"""By the callback id of the manifest: the command's name in the metrics, and what is done."""
