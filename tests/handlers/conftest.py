"""A world for the listeners: real Slack calls to the local workspace, everything else in memory."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.app.metrics import Metrics
from bot.core.gate.inspection import StateName
from bot.core.lock import PlaceKind
from bot.core.policy import Holders, Policy
from bot.errors import JournalAway
from bot.export.exporter import FileExporter
from bot.sandbox.slack import payloads as slack_payloads
from bot.sandbox.slack.dispatch import EnvelopeKind, Signing, encoded
from bot.sandbox.slack.team import elements
from bot.sandbox.slack.text import flat
from bot.sandbox.stage import CHANNEL, populate
from bot.slack.client import slack_client
from bot.slack.directory import SlackDirectory
from bot.slack.files import SlackFiles
from bot.slack.messages import SlackMessages
from bot.slack.messenger import SlackMessenger
from bot.usecases.world import State, World
from handlers.asker import Asker
from handlers.backlog import Backlog
from handlers.intake import Intake
from handlers.listeners import listen
from tests.worlds.clocks import MovableClock
from tests.worlds.memory.ci import MemoryCI
from tests.worlds.memory.journal import MemoryJournal, MemoryRecords
from tests.worlds.memory.memory import MemoryLockBackend, MemoryStore, Switchboard
from tests.worlds.memory.people import MemoryJobs
from tests.worlds.memory.world import DEPLOY
from tests.worlds.slack.workspace import FullWorkspace

SECRET = "sandbox-signing-secret"


@dataclass
class Office:
    """The listeners on a Bolt app, with what is around them. Work stays in the backlog until `work`."""

    slack: FullWorkspace
    world: World
    store: MemoryStore
    journal: MemoryJournal
    clock: MovableClock
    records_fault: Switchboard
    app: AsyncApp
    backlog: Backlog
    intake: Intake
    logs: list[dict] = field(default_factory=list)
    numbers: itertools.count = field(default_factory=itertools.count)

    def asker(self, **facts) -> Asker:
        usual = {"user": "U0PARKER", "channel": CHANNEL, "thread": "", "response_url": "", "delivery": ""}
        return Asker(**{**usual, **facts})

    async def dispatch(self, kind: EnvelopeKind, payload: dict) -> int:
        """Gives a signed payload to Bolt, as the web server does; the status of the answer."""
        return (await self.answered(payload, kind=kind)).status

    async def answered(self, payload: dict, *, kind: EnvelopeKind = EnvelopeKind.COMMAND) -> BoltResponse:
        """As `dispatch`; the whole answer."""
        body, content_type = encoded(kind, payload)
        headers = {"Content-Type": content_type, **Signing(SECRET).headers(body, time.time())}
        with self.backlog.receiving():
            return await self.app.async_dispatch(AsyncBoltRequest(body=body.decode(), headers=headers))

    async def types(self, text: str, *, user: str = "U0PARKER") -> dict:
        payload = slack_payloads.command(
            self.slack.team, user=user, channel=CHANNEL, command_name="/tflock", text=text, response_url=""
        )
        assert await self.dispatch(EnvelopeKind.COMMAND, payload) == 200
        return payload

    async def work(self) -> None:
        """Works off what is in the backlog."""
        async with self.backlog.worked_off():
            pass

    def told(self, user: str = "U0PARKER") -> list[str]:
        return [flat(message) for message in self.slack.ephemerals(user)]

    async def clicks(self, action_id: str, *, user: str = "U0PARKER", message=None) -> None:
        """The button with this action on the message, else on the newest that only this user sees; and what follows."""
        message = message or self.slack.ephemerals(user)[-1]
        block_id, element = next(
            (block["block_id"], element)
            for block in message.blocks
            for element in elements(block)
            if element["action_id"] == action_id
        )
        payload = slack_payloads.block_action(
            self.slack.team, user=user, message=message, action=slack_payloads.acted(block_id, element, None),
            values={}, response_url="",
        )  # fmt: skip
        assert await self.dispatch(EnvelopeKind.INTERACTIVE, payload) == 200
        await self.work()

    def redis_goes_away(self) -> None:
        async def away(_name: str) -> None:
            raise JournalAway("Redis cannot be reached")

        self.records_fault.fault = away

    def hold(self) -> None:
        created = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        info = {"ID": "5a5a5a5a-1b2c-4d3e-8f40-2b756fec4d7f", "Operation": "OperationTypeApply", "Info": ""}
        info |= {"Who": "runner@fv-az1-1", "Version": "1.11.4", "Created": created, "Path": "b/k"}
        self.store.write(PlaceKind.ITEM, json.dumps(info))


@pytest.fixture
async def office(tmp_path):
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FullWorkspace())
        populate(slack)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = slack_client(slack.bot_token, base_url=slack.api_url, session=session)
        clock, switchboard, store = MovableClock(), Switchboard(), MemoryStore((PlaceKind.ITEM,))
        directory = SlackDirectory(client, clock=clock)
        await directory.introduce()
        journal = MemoryJournal(clock, switchboard)
        ids = itertools.count(1)
        backend = MemoryLockBackend(store, clock)
        staging = StateName("staging", "", protected=False)
        world = World(
            states={"staging": State(staging, backend, "memory", (DEPLOY,), holds=backend)},
            sources={"github": MemoryCI(clock, (DEPLOY,))},
            journal=journal,
            records=MemoryRecords(clock, switchboard),
            directory=directory,
            messages=SlackMessages(client, clock=clock),
            messenger=SlackMessenger(client),
            exporter=FileExporter(journal, Path(tmp_path), ()),
            files=SlackFiles(client),
            jobs=MemoryJobs(clock),
            clock=clock,
            meter=Metrics(),
            policy=Policy(),
            holders=Holders(),
            incident_channels=("inc-*",),
            capture_reactions=("pushpin", "round_pushpin"),
            upload_exports=True,
            new_id=lambda: f"ref{next(ids)}",
        )
        backlog = Backlog()
        intake = Intake(world, backlog)
        app = _bolt(client, world, intake)
        with structlog.testing.capture_logs() as logs:
            yield Office(slack, world, store, journal, clock, switchboard, app, backlog, intake, logs)


def _bolt(client, world, intake) -> AsyncApp:
    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T0SANDBOX", bot_token="xoxb-x", bot_user_id="U0TFLOCK")

    app = AsyncApp(client=client, signing_secret=SECRET, authorize=authorize)
    listen(app, world, intake)
    return app


@pytest.fixture
def until():
    """Polls a condition until it holds."""

    return FullWorkspace.wait_for
