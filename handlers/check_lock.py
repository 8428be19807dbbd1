"""The message shortcut "Check the lock": the status of the state that a message speaks of, to the asker alone."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.explain.states_named import states_spoken_of
from bot.core.phrase import Phrase, Quoted
from bot.core.reports.report import Notice
from bot.slack.render import notice_message
from bot.usecases.look.home import locked_now
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.commands import Commands
from handlers.typed import grammar

CHECK_SHORTCUT = "check_lock"
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class CheckLock:
    """Answers what a message is about. Returns the outcome for the metrics, or raises for the boundary."""

    world: World
    commands: Commands

    async def run(self, text: str, asker: Asker) -> str:
        paths = {state.path: name for name, state in self.world.states.items() if state.path}
        found = states_spoken_of(text, self.world.states, paths, {})
        if not found:  # only now the locks are looked at, whose IDs may stand in the message
            found = states_spoken_of(text, self.world.states, paths, await locked_now(self.world))
        if len(found) == 1:
            return await self.commands.run(grammar.Status(found[0]), f"status {found[0]}", asker)
        notice = _several(found) if found else _none(tuple(self.world.states))
        await answer(self.world.notifier, asker, notice_message(notice))
        return "several" if found else "none"


def _several(found: list[str]) -> Notice:
    lines: list[Phrase] = [(Quoted(f"/tflock status {state}"),) for state in found[:_MOST_NAMED]]
    more = len(found) - _MOST_NAMED
    return Notice("This message speaks of several states", (*lines, *([(f"… and {more} more.",)] if more > 0 else [])))


def _none(known: tuple[str, ...]) -> Notice:
    lines: tuple[Phrase, ...] = (
        ("It has neither the name of a configured state nor the path or the ID of a lock in it.",),
        ("Ask by name: ", Quoted(f"/tflock status {known[0] if known else 'STATE'}"), ". Nothing was changed."),
    )
    return Notice("This message speaks of no state that tflock knows", lines)
