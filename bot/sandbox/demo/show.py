"""The acts of the demo: each says what was done by hand that day, types a command, and draws the bot's answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bot.core.phrase import duration
from bot.sandbox.demo.scenario import HELD_SECONDS, REPORT, STARTS_EVERY, Scenario, StagedIncident
from bot.sandbox.demo.terminal import draw
from bot.sandbox.slack.team import TeamMessage, Version
from bot.sandbox.slack.text import find_element, flat
from bot.sandbox.stage import CHANNEL, Stage

_PATIENCE = 90.0
_MOST_RUNS = 3
_RUN = re.compile(r"(?:•|:[a-z_]+:) <http")
_STEP = re.compile(r"•")
_CHECK = re.compile(r":white_check_mark: \*")
_SUFFIXES = (".html", ".md", ".png", ".csv", ".json")
_FOR = {
    ".html": "to read: open it in a browser",
    ".md": "for the repository or the wiki",
    ".png": "the chart, as it is in the channel",
    ".csv": "for auditors",
    ".json": "the whole record, which can be verified",
}
_NOTED = "my deployment had the same error"
_PUT_RIGHT = "The deployment of checkout had the same error"
_REASON = "it was not mine"
_RELEASED = "released the lock of"
_LAST_ENTRIES = 8
_NUMBER = re.compile(r"\*(\d+)\*")
_QUINN, _PARKER, _ELLIOTT = "U0QUINN", "U0PARKER", "U0ELLIOTT"


class DemoFailed(Exception):
    """Something did not come out as the story goes. Says what."""


@dataclass(slots=True)
class Show:
    """The acts of the demo, in order. Each waits for conditions, never for time to pass."""

    console: Console
    stage: Stage
    scenario: Scenario
    incident: StagedIncident
    began: float = 0.0
    set_up: float = 0.0
    took: float = 0.0
    typed: list[str] = field(default_factory=list)
    to_unlock: tuple[str, ...] = ()
    whole: str = ""
    applied: str = ""
    noted: str = ""
    report: TeamMessage | None = None

    async def play(self) -> None:
        started = time.monotonic()
        await self.prologue()
        self.set_up = time.monotonic() - started
        await self.status()
        await self.unlock_when_safe()
        await self.kill_job()
        await self.released()
        await self.timeline()
        await self.deployed()
        self.sum_up()

    async def prologue(self) -> None:
        """An earlier deployment has gone well, the next one is lost, and quinn's meets its lock."""
        state = self.scenario.state
        self._happens(f"An earlier deployment of {state} goes well …")
        await self.incident.deploy_well()
        self._happens(
            f"elliott's deployment takes the lock; {HELD_SECONDS:.0f} s later, in the middle of its apply, it is "
            "killed with `kill -9` …"
        )
        await self.incident.lose_a_deployment()
        tried = await self.incident.try_to_deploy()
        if tried is not None:
            if tried.exit_code == 0:
                raise DemoFailed("the lost deployment left no lock")
            self._happens("quinn wants to deploy, and Terraform answers:")
            self._quote(_lock_error(tried.output))
        else:
            self._happens("quinn wants to deploy, and the state is locked.")
        self._says("quinn", f"writes  {REPORT}")
        self.report = await self.stage.slack.speak(_QUINN, CHANNEL, REPORT)
        self._happens(
            f"Meanwhile a dependency update is started every {STARTS_EVERY:.0f} s, and each run fights for the lock …"
        )
        await self.incident.start_the_loop()
        await self._until(self.incident.is_looping, "the dependency update to be started often")

    async def status(self) -> None:
        self._act("1", "What is happening?", "11:00", "11:22")
        self.began = time.monotonic()
        answer = await self._types(_QUINN, f"status {self.scenario.state}", alone=True)
        self._draw(answer)
        self._note("Nobody had to look for the lock's owner. They have this in their messages, with buttons:")
        self._draw(await self.stage.wrote(_ELLIOTT, self.scenario.state, within=_PATIENCE), to="elliott")

    async def unlock_when_safe(self) -> None:
        self._act("2", "May we unlock it?", "11:32", "11:40")
        message = await self._types(_PARKER, f"unlock {self.scenario.state} --when-safe")
        await self._until(
            lambda: bool(_was(message, "unlock itself at about") or _was(message, "throttled")),
            "the bot to say what it waits for",
        )
        waiting = _was(message, "unlock itself at about")
        if waiting is not None:
            self._note("Not yet: CI reports that the job has ended, but its process may keep running for a while.")
            self._draw(waiting, seen_before=True)
            self._note(
                "So the bot waits. It starts the release automatically when it is safe, and hits the busy table …"
            )
        await self._until(lambda: _was(message, "throttled") is not None, "the bot to tell that the table throttles")
        self._draw(_was(message, "throttled") or message)

    async def record(self) -> None:
        """A message is captured by a reaction, and a note says something that was earlier."""
        self._says("parker", "marks quinn's message with :pushpin:")
        if self.report is not None:
            await self.stage.slack.react(_PARKER, self.report, "pushpin")
        answer = await self._types(_PARKER, f"note {_NOTED} -12m", "noted", alone=True)
        self.noted = _entry_in(answer)
        self._draw(answer)

    async def kill_job(self) -> None:
        self._act("3", "Who keeps the table busy?", "11:45", "12:00")
        found = await self._types(_PARKER, f"kill-job {self.scenario.state}")
        self._draw(found)
        self._says("parker", f"presses [ {find_element(found, 'kill.confirm')['text']['text']} ]")
        await self.stage.slack.click(_PARKER, found, "kill.confirm")
        await self._until(lambda: "ended" in flat(found).lower().split("\n")[0], "the loop to be ended")
        self._draw(found)

    async def released(self) -> None:
        self._act("4", "Unlocked, without anyone trying again", "12:07", "12:07")
        released = await self.stage.posted("is unlocked", within=_PATIENCE)
        self.took = time.monotonic() - self.began
        self.to_unlock = tuple(self.typed)
        if await self.stage.lock_stands(self.scenario.state):
            raise DemoFailed("the bot says that the lock is released, and it is still there")
        self._draw(released)

    async def timeline(self) -> None:
        """The record is corrected in two places, closed, exported and verified."""
        self._act("5", "The record of it, which nobody had to type", "12:30", "13:00")
        self._happens("What people know goes onto it by a mark or in words:")
        await self.record()
        shown = await self._types(_PARKER, f"timeline {_LAST_ENTRIES}", alone=True)
        self._draw(shown)
        self._note("The note was not quite right. And the release is what a reader should see first:")
        edit = f"edit {self.noted} {_PUT_RIGHT} because {_REASON}"
        self._draw(await self._types(_PARKER, edit, "is corrected", alone=True))
        await self._types(_PARKER, f"mark {_entry_that_says(shown, _RELEASED)}", "key moment", alone=True)
        self._draw(await self._types(_PARKER, "close"))
        slack = self.stage.slack
        await self._until(lambda: len(slack.files(CHANNEL)) >= len(_SUFFIXES), "the export in the channel")
        self._draw(await self.stage.posted("export of", within=_PATIENCE))
        self._note("And below it what the facts call for, each with its reason:")
        self._draw(await self.stage.posted("follow-ups of", within=_PATIENCE), follow_ups=True)
        code, words = await self.stage.command_line("verify", str(self.export(".json")))
        if code != 0:
            raise DemoFailed(f"the exported timeline does not verify: {words}")
        self.whole = words.strip()

    async def deployed(self) -> None:
        self._act("6", "And quinn deploys", "12:10", "12:10")
        done = await self.incident.try_to_deploy()
        if done is None:
            self.applied = "not tried: there is no terraform on PATH"
            await self.incident.lock_and_give_back()
            self._happens("There is no terraform on PATH: the demo takes the lock as an apply does, and gives it back:")
            self._quote([f"lock item of {self.scenario.state}: none"])
            return
        if done.exit_code != 0:
            raise DemoFailed(f"the last terraform apply failed\n{done.output}")
        self.applied = next(line for line in done.output.splitlines() if line.startswith("Apply complete"))
        self._quote(["$ terraform apply -auto-approve", "…", self.applied])

    def sum_up(self) -> None:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        then = timedelta(minutes=self.scenario.took_minutes)
        table.add_row("Time to unlock", f"{self.took:.0f} s here; {duration(then)} that day, by hand")
        table.add_row("Not counted", f"{self.set_up:.0f} s in which the incident was set up")
        steps, rest = len(self.scenario.between("11:00", "12:07")), len(self.typed) - len(self.to_unlock)
        words = (
            f"{len(self.to_unlock)} commands and 1 button, instead of {steps} steps by hand; then {rest} for the record"
        )
        table.add_row("Typed to unlock", words)
        table.add_row("terraform apply", Text(self.applied))
        table.add_row("Timeline", Text(self.whole.partition(": ")[2].partition(";")[0]))
        self.console.print()
        self.console.print(Rule("Summary", style="bold"))
        self.console.print(table)
        self.console.print()
        self.console.print(Text("The record of the incident, in files:"))
        for suffix, use in _FOR.items():
            self.console.print(Text(f"  {_shown(self.export(suffix))}  {use}"))
        self.console.print(Text(f"Check it again at any time: python -m bot verify {_shown(self.export('.json'))}"))

    def export(self, suffix: str) -> Path:
        """This incident's file of that kind."""
        names = {upload.filename for upload in self.stage.slack.files(CHANNEL)}
        found = [path for path in self.stage.exports.glob(f"*{suffix}") if path.name in names]
        if not found:
            raise DemoFailed(f"there is no {suffix} file among the exports")
        return found[0]

    async def _types(self, user: str, words: str, says: str = "", *, alone: bool = False) -> TeamMessage:
        """The command, and the first message that answers it and `says` so. With `alone`, only the asker sees it."""
        name = self.stage.slack.team.users[user].name
        self._says(name, f"types  /tflock {words}")
        self.typed.append(words)
        slack = self.stage.slack
        old = {message.ts for message in slack.team.messages}

        def answers() -> list[TeamMessage]:
            there = slack.ephemerals(user) if alone else slack.messages(CHANNEL)
            return [message for message in there if message.ts not in old and says in flat(message).lower()]

        delivery = await slack.command(user, CHANNEL, words)
        if delivery.status != 200:
            raise DemoFailed(f"the bot did not take `/tflock {words}`: {delivery.reason or delivery.status}")
        await self._until(lambda: bool(answers()), f"an answer to `/tflock {words}`")
        answer = answers()[0]
        if alone:
            self._dim("(only the asker sees this answer)")
        return answer

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            await self.stage.slack.wait_for(holds, _PATIENCE)
        except TimeoutError as error:
            raise DemoFailed(f"waited {_PATIENCE:.0f} s for {what}") from error

    def _act(self, number: str, title: str, first: str, last: str) -> None:
        self.console.print()
        self.console.print(Rule(Text(f"{number}. {title}", style="bold"), align="left"))
        self._dim("By hand, that day:")
        for step in self.scenario.between(first, last):
            self._dim(f"  {step.at}  {step.who} {step.did}")
        self.console.print()

    def _says(self, name: str, words: str) -> None:
        self.console.print(Text.assemble((f"{name} ", "bold"), words))

    def _happens(self, words: str) -> None:
        self.console.print(Text(f"· {words}"))

    def _note(self, words: str) -> None:
        self.console.print()
        self.console.print(Text(words))

    def _dim(self, words: str) -> None:
        self.console.print(Text(words, style="dim"))

    def _quote(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.console.print(Text(f"    {line}", style="cyan"))

    def _draw(
        self, message: TeamMessage | Version, *, to: str = "", seen_before: bool = False, follow_ups: bool = False
    ) -> None:
        """As Slack would show it, with long lists of runs cut, a checklist that was `seen_before`, and no steps."""
        team = self.stage.slack.team
        names = {user.id: user.name for user in team.users.values()}
        names |= {place.id: place.name for place in team.places.values()}
        blocks = [_without(block, _RUN, _MOST_RUNS, "more") for block in message.blocks]
        if follow_ups:
            blocks = [_without(block, _STEP, 0, "steps to take") for block in blocks]
        if seen_before:
            blocks = [_without(block, _CHECK, 0, "checks that hold, as above") for block in blocks]
        draw(self.console, f"tflock to {to}" if to else "tflock", message.text, blocks, names=names)


def _was(message: TeamMessage, *words: str) -> Version | None:
    """The newest version of the message, the present one included, that has all these words."""
    versions = [*message.history, Version(message.text, message.blocks)]
    texts = ((version, flat({"text": version.text, "blocks": version.blocks}).lower()) for version in versions)
    return next((version for version, text in reversed([*texts]) if all(word in text for word in words)), None)


def _without(block: Mapping[str, Any], kind: re.Pattern[str], most: int, words: str) -> Mapping[str, Any]:
    """The block with at most so many lines of a kind; `words` say in their place what is left out."""
    text = block.get("text")
    if not isinstance(text, Mapping):
        return block
    lines = str(text.get("text", "")).split("\n")
    left_out = [line for line in lines if kind.match(line)][most:]
    if not left_out:
        return block
    instead = f"_… and {len(left_out)} {words}_"
    kept = [instead if line == left_out[0] else line for line in lines if line not in left_out[1:]]
    return {**block, "text": {**text, "text": "\n".join(kept)}}


def _entry_in(answer: TeamMessage) -> str:
    """The number of the entry that the answer speaks of."""
    found = re.search(r"entry (\d+)", flat(answer))
    if found is None:
        raise DemoFailed(f"the answer names no entry: {flat(answer)}")
    return found[1]


def _entry_that_says(page: TeamMessage, words: str) -> str:
    """The number of the last entry on a page of the timeline that has these words."""
    texts = [str(block.get("text", {}).get("text", "")) for block in page.blocks if block.get("type") == "section"]
    numbers = [found[1] for text in texts if words in text and (found := _NUMBER.search(text))]
    if not numbers:
        raise DemoFailed(f"no entry on the page says “{words}”")
    return numbers[-1]


def _lock_error(output: str) -> list[str]:
    """The part of Terraform's output that is about the lock."""
    lines = [line.strip("│╷╵ ").rstrip() for line in output.splitlines()]
    wanted = ("Error:", "ID:", "Who:", "Created:", "Operation:")
    return [line for line in lines if line.startswith(wanted)]


def _shown(path: Path) -> Path:
    """The path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
