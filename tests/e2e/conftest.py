from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio

from bot.core.record.timeline import Entry
from bot.sandbox.slack.dispatch import Delivery
from bot.sandbox.slack.team import TeamMessage
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import DEPLOY, REPO
from bot.store.connect import connect
from bot.store.embedded import attached_url
from bot.store.redis_journal import RedisJournal
from tests.worlds.clocks import WallClock
from tests.worlds.logs import held
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage

QUINN, PARKER, ELLIOTT = "U0QUINN", "U0PARKER", "U0ELLIOTT"
PEOPLE = [QUINN, PARKER, ELLIOTT, "U0GUEST", "U0STRANGER", "U0GONE"]
PATIENCE = 90.0
"""Seconds until what must happen is said not to happen. No test is faster or slower for it, unless it fails."""

_NUMBERS = itertools.count(1)


@dataclass
class Scene:
    """One test's own incident channel on a stage that the module's tests share. Parker acts unless told otherwise."""

    stage: FullStage
    channel: str
    began: TeamMessage

    @property
    def slack(self):
        return self.stage.slack

    async def types(self, text: str, *, user: str = PARKER, channel: str | None = None) -> Delivery:
        """A slash command, which must be acked."""
        delivery = await self.slack.command(user, channel or self.channel, text)
        assert delivery.is_acked, delivery
        return delivery

    async def click(self, message: TeamMessage, action, *, user: str = PARKER, **more) -> Delivery:
        delivery = await self.slack.click(user, message, action, **more)
        assert delivery.is_acked, delivery
        return delivery

    async def shown(self, *words: str, within: float = PATIENCE) -> TeamMessage:
        """The newest message in this channel with all these words."""
        return await self.stage.posted(*words, channel=self.channel, within=within)

    async def told(self, *words: str, user: str = PARKER, after: TeamMessage | None = None, within: float = PATIENCE):
        """The newest message that only this user sees, since the test began."""
        return await self.stage.whispered(user, *words, after=after or self.began, within=within)

    async def letter(
        self, *words: str, user: str = ELLIOTT, after: TeamMessage | None = None, within: float = PATIENCE
    ):
        """The newest DM to this user, since the test began."""
        return await self.stage.wrote(user, *words, after=after or self.began, within=within)

    def letters(self, user: str = ELLIOTT) -> list[TeamMessage]:
        return [message for message in self.slack.directs(user) if message.ts > self.began.ts]

    def posts(self, *words: str) -> list[TeamMessage]:
        """The bot's messages in this channel that have all these words, but for the checklists in their threads."""
        said = [m for m in self.slack.messages(self.channel) if not m.text.startswith("Checklist of ")]
        return [m for m in said if all(w.lower() in flat(m).lower() for w in words)]

    async def until(self, holds: Callable[[], object], within: float = PATIENCE):
        try:
            return await self.slack.wait_for(holds, within)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.seen()}") from error

    async def becomes(self, message: TeamMessage, *words: str, within: float = PATIENCE) -> TeamMessage:
        """Returns when this very message has all these words."""

        def has_all() -> bool:
            return all(word.lower() in flat(message).lower() for word in words)

        await self.until(has_all, within)
        return message

    async def checklist(self, text: str = "unlock staging", *words: str, user: str = PARKER) -> TeamMessage:
        """Asks for an unlock; the message with the verdict, whatever else the bot posts meanwhile."""
        before = len(self.slack.messages(self.channel))
        await self.types(text, user=user)

        def answer() -> TeamMessage | None:
            later = [m for m in self.slack.messages(self.channel)[before:] if not m.text.startswith("Checklist of ")]
            return next((m for m in later if all(word.lower() in flat(m).lower() for word in words)), None)

        return await self.until(answer)

    async def journal(self) -> list[Entry]:
        """The whole timeline of the incident of this channel, open or closed last."""
        client = connect(self.stage.environment.get("REDIS_URL") or attached_url(self.stage.var))
        try:
            journal = RedisJournal(client, clock=WallClock(), rng=random.Random(1))
            mine = [incident for incident in await journal.incidents() if incident.channel == self.channel]
            return [entry async for entry in journal.entries(mine[0].id)] if mine else []
        finally:
            await client.aclose()

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.journal()]

    async def has_recorded(self, kind: str, within: float = PATIENCE) -> list[Entry]:
        async def recorded() -> list[Entry]:
            return [entry for entry in await self.journal() if entry.kind == kind]

        return await self.slack.wait_for(recorded, within)

    async def stands(self, lock, state: str = "staging") -> bool:
        """Whether exactly this lock stands in every place that the state has, read past bot and proxy."""
        of = self.stage.states[state]
        return await self.stage.lock_ids(state) == {
            "item": lock.id if of.item else None,
            "file": lock.id if of.file else None,
        }

    async def running(self):
        """A lock taken an hour ago, and its run, which goes on; once it is over its log shows that it holds it."""
        created = self.stage.oldest(timedelta(hours=1))
        await self.stage.aws.put_state(self.stage.states["staging"].key)
        lock = await self.stage.take_lock(created=created)
        began = created - timedelta(minutes=1)
        return lock, held(self.stage.runs.start_run(REPO, DEPLOY, at=began, actor="elliott-ci"), lock)

    async def is_settled_once(self, checklist: TeamMessage) -> None:
        """Released, told in the one message and to the owner, and written down, each exactly once."""
        await self.becomes(checklist, "staging is unlocked")
        assert not await self.stage.lock_stands()
        await self.until(lambda: any("was released" in flat(letter) for letter in self.letters()))
        await self.settles()
        kinds = await self.kinds()
        assert kinds.count("unlock.released") == 1
        assert kinds.count("unlock.releasing") == 1
        assert "unlock.failed" not in kinds
        assert len(self.posts("staging is unlocked")) == 1, self.seen()
        assert len(self.posts()) == 1, self.seen()
        assert sum("was released" in flat(letter) for letter in self.letters()) == 1
        assert "staging is unlocked" in flat(checklist)

    async def settles(self) -> None:
        """Returns when a later command has been answered, which looks as long as an unlock does and changes nothing."""
        asked = len(self.slack.ephemerals(QUINN, "C0RANDOM"))
        await self.types(f"unlock {next(iter(self.stage.states))} --dry-run", user=QUINN, channel="C0RANDOM")
        await self.until(lambda: len(self.slack.ephemerals(QUINN, "C0RANDOM")) > asked)

    async def soon(self) -> float:
        """Seconds in which an ack surely comes: Slack gives 3, and a machine that runs all these tests is slower."""
        alone = await self.types("status staging", user=QUINN, channel="C0RANDOM")
        return max(10, 50 * alone.seconds)

    async def metrics(self) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{self.stage.url}/metrics") as answer:
            return await answer.text()

    def seen(self) -> str:
        """The channel, the owner's messages and the ends of the bots' logs, for whom a test fails."""
        said = [flat(message) for message in (*self.slack.messages(self.channel), *self.letters())]
        return "\n\n".join((*said, self.log_tail()))

    def log_tail(self) -> str:
        return "\n".join(f"{bot.name}:\n{bot.tail()}" for bot in self.stage.bots.values())


@pytest.fixture(scope="module")
def staged(tmp_path_factory) -> dict[str, object]:
    """How the module's stage differs from the usual one; a module overrides this."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, staged) -> AsyncIterator[FullStage]:
    slack = FullWorkspace(ack_timeout=10)  # Slack's own 3 s are held in tests/bench, beside what the machine can do
    async with stage(tmp_path_factory.mktemp("stage"), **{"slack": slack, **staged}) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def scene(world) -> AsyncIterator[Scene]:
    """A fresh incident channel on a quiet stage: no lock, no run, no trouble."""
    await quieten(world)
    yield new_scene(world)
    await quieten(world)


@pytest_asyncio.fixture(loop_scope="module")
async def bots(scene) -> AsyncIterator[FullStage]:
    """The stage without any process of the bot before and after."""
    yield scene.stage
    for bot in scene.stage.bots.values():
        await bot.kill()
    scene.stage.bots.clear()


async def quieten(world: FullStage) -> None:
    world.slack.heal()
    world.proxy.lift_all()
    world.github.heal()
    world.github.remaining = 5000
    for workflow in world.runs.workflows:
        world.github.stop_loop(workflow.repo, workflow.file)
        workflow.state = "active"
    world.runs._runs.clear()
    for key in await world.aws.items():
        await world.aws.delete_item(key)
    for key in await world.aws.objects():
        await world.aws.delete_object(key)


def new_scene(world: FullStage, *, members=PEOPLE, name: str = "inc") -> Scene:
    number = next(_NUMBERS)
    channel = f"C0E2E{number:04}"
    world.slack.add_channel(channel, f"{name}-{number}", members)
    return Scene(world, channel, world.slack.say(QUINN, channel, "something is wrong with staging"))
