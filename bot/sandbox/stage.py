"""The whole sandbox with the real bot on it: Slack, AWS behind a fault proxy, GitHub, and the bot's own processes.

    async with stage(tmp_path) as world:
        lock, run = await world.dead_lock("staging")
        await world.slack.command("U0PARKER", "C0STAGING", "unlock staging")
        checklist = await world.posted("unlock")
        await world.slack.click("U0PARKER", checklist, "unlock.confirm")
        await world.posted("released")
        assert not await world.lock_stands("staging")

Only URLs, tokens and waiting times differ from a real installation.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from bot.sandbox.github.runs import GitHubRuns
from bot.sandbox.github.server import GitHubStandIn
from bot.sandbox.machine.aws import CREDENTIALS, REGION, LocalAws, WrittenLock, local_aws
from bot.sandbox.machine.process import BotProcess, free_port, start_bot
from bot.sandbox.machine.proxy import FaultProxy, fault_proxy
from bot.sandbox.slack.team import TeamMessage
from bot.sandbox.slack.text import flat
from bot.sandbox.slack.workspace import SlackWorkspace
from bot.store.embedded import redis_for

REPO = "acme/infra"
CHANNEL = "C0STAGING"
DEPLOY = "deploy.yml"
UPDATE = "dependency-update.yml"

SHORT_TIMES: Mapping[str, Any] = MappingProxyType(
    {
        "settle": {"failed": "1s", "cancelled": "1s", "timed_out": "2s", "lost": "2s"},
        "state_quiet": "0s",
        "clock_skew": "30s",
        "release_deadline": "60s",
    }
)
"""The policy of a stage unless another is given: the gate's waiting times, short enough to wait for."""

_READY_LIMIT = 150.0
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class SandboxState:
    """A state of the bot's configuration. `item` and `file` say in which places its lock is."""

    name: str
    key: str
    item: bool = True
    file: bool = False
    protected: bool = False
    description: str = ""
    workflows: tuple[str, ...] = (DEPLOY, UPDATE)


STATES = (
    SandboxState("staging", "environments/staging/terraform.tfstate", description="Staging, all services"),
    SandboxState(
        "production",
        "environments/prod/terraform.tfstate",
        file=True,
        protected=True,
        description="Production",
        workflows=(DEPLOY,),
    ),
)


AnyStage = TypeVar("AnyStage", bound="Stage")


@dataclass
class Stage:
    """The running sandbox. `aws` reaches past the proxy; the bot and Terraform go through it.

    `bots` are the processes by their names, ended ones too. `settings` is the bot's configuration as it is written at
    each start; change it between starts.
    """

    aws_kind: ClassVar[type[LocalAws]] = LocalAws

    directory: Path
    slack: SlackWorkspace
    aws: LocalAws
    proxy: FaultProxy
    github: GitHubStandIn
    states: Mapping[str, SandboxState]
    settings: dict[str, Any]
    environment: dict[str, str]
    port: int
    bots: dict[str, BotProcess] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The bot's own address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def runs(self) -> GitHubRuns:
        """Workflows and runs, to start, finish and look at."""
        return self.github.runs

    @property
    def exports(self) -> Path:
        """Where the bot writes exported timelines."""
        return self.directory / str(self.settings["export"]["directory"])

    @property
    def var(self) -> Path:
        """Where the embedded Redis lives, for `bot.store.embedded.redis_for`."""
        return self.directory / "var"

    async def start(self, command: str = "serve", *, name: str | None = None) -> BotProcess:
        """Starts one process of the bot (`serve`, `serve --no-worker`, `worker`) and returns when it is ready.

        Its name is the command unless another is given. Raises BotFailed with the end of its log.
        """
        name = name or command
        (self.directory / "tflock.yml").write_text(json.dumps(self.settings, indent=2), "utf-8")
        begun = await start_bot(
            name.replace(" ", ""), *command.split(), directory=self.directory, environment=self.environment
        )
        self.bots[name] = begun
        before = len(begun.events("working"))

        def is_working() -> bool:
            return len(begun.events("working")) > before

        await begun.until(self.is_ready if command.startswith("serve") else is_working, within=_READY_LIMIT)
        return begun

    async def command_line(self, *words: str) -> tuple[int, str]:
        """Runs `python -m bot WORDS` to its end; its exit code and everything that it printed."""
        name = f"cli-{secrets.token_hex(3)}"
        begun = await start_bot(name, *words, directory=self.directory, environment=self.environment)
        try:
            await begun.ended()
        finally:
            await begun.kill()
        return begun.exit_code or 0, begun.log

    def is_ready(self) -> bool:
        """Whether the bot's web process says that it reaches Redis and Slack. Blocks for a moment."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except (urllib.error.URLError, OSError):
            return False

    async def take_lock(
        self,
        state: str = "staging",
        *,
        who: str = "runner@fv-az881-525",
        created: datetime | None = None,
        lock_id: str | None = None,
        operation: str = "OperationTypeApply",
    ) -> WrittenLock:
        """Takes a state's lock in all its places, as Terraform does; made two hours ago unless said otherwise."""
        of = self.states[state]
        lock = WrittenLock(
            id=lock_id or f"{secrets.token_hex(4)}-1b2c-4d3e-8f40-{secrets.token_hex(6)}",
            created=created or datetime.now(UTC) - timedelta(hours=2),
            path=f"{self.aws.bucket}/{of.key}",
            who=who,
            operation=operation,
        )
        await self.aws.hold(of.key, lock.text, item=of.item, file=of.file)
        return lock

    async def lock_ids(self, state: str = "staging") -> dict[str, str | None]:
        """The IDs of the locks in the two places: `{"item": …, "file": …}`."""
        return await self.aws.lock_ids(self.states[state].key)

    async def lock_stands(self, state: str = "staging") -> bool:
        """Whether the state's lock is held in any of its places, read past proxy and bot."""
        return any((await self.lock_ids(state)).values())

    async def posted(
        self, *words: str, channel: str = CHANNEL, after: TeamMessage | None = None, within: float = 60.0
    ) -> TeamMessage:
        """The newest message of the bot in a channel that has all these words, upper and lower case being the same.

        `after` leaves out that message and all before it. Raises AssertionError with what is there instead.
        """
        return await self.found(lambda: self.slack.messages(channel), words, after, within)

    async def wrote(
        self, user: str, *words: str, after: TeamMessage | None = None, within: float = 60.0
    ) -> TeamMessage:
        """The newest message in the user's DM that has all these words."""
        return await self.found(lambda: self.slack.directs(user), words, after, within)

    async def found(
        self, read: Callable[[], list[TeamMessage]], words: Sequence[str], after: TeamMessage | None, within: float
    ) -> TeamMessage:
        def newest() -> TeamMessage | None:
            later = (m for m in reversed(read()) if after is None or m.ts > after.ts)
            return next((m for m in later if all(word.lower() in flat(m).lower() for word in words)), None)

        try:
            found = await self.slack.wait_for(newest, within)
        except TimeoutError as error:
            there = "\n---\n".join(flat(message) for message in read()) or "nothing"
            logs = "\n".join(f"{bot.name}:\n{bot.tail()}" for bot in self.bots.values())
            raise AssertionError(f"no message with {words} after {within} s. There is:\n{there}\n{logs}") from error
        if found is None:
            raise LookupError(words)
        return found

    async def aclose(self) -> None:
        """Ends the bot's processes and its Redis."""
        await asyncio.gather(*(process.stop(patience=_PATIENCE) for process in self.bots.values()))
        if (self.var / "redis").exists():
            async with redis_for(None, self.var):
                pass  # its last user stops it, also if the bot was killed


@asynccontextmanager
async def stage(  # noqa: PLR0913 - every part of the world can be given by keyword
    directory: Path,
    *,
    states: Sequence[SandboxState] = STATES,
    policy: Mapping[str, Any] = SHORT_TIMES,
    processes: Sequence[str] = ("serve",),
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    slack: SlackWorkspace | None = None,
    github: GitHubStandIn | None = None,
    kind: type[AnyStage],
) -> AsyncIterator[AnyStage]:
    """Sets the sandbox up in a directory, starts the bot's processes, and ends everything again.

    `settings` are merged over the bot's configuration (a mapping into a mapping, anything else replaces), `environment`
    over its variables. One at a time in a process, as moto is.
    """
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        workspace = await stack.enter_async_context(slack or SlackWorkspace())
        populate(workspace)
        aws = await stack.enter_async_context(local_aws(kind.aws_kind))
        proxy = await stack.enter_async_context(fault_proxy(aws.endpoint))
        hub = await stack.enter_async_context(github or GitHubStandIn())
        hub.runs.add_workflow(REPO, DEPLOY)
        hub.runs.add_workflow(REPO, UPDATE)
        port = free_port()
        workspace.bot_url = f"http://127.0.0.1:{port}/slack/events"
        named = {state.name: state for state in states}
        written = merged(_settings(states, policy, aws, proxy, hub), settings or {})
        variables = _environment(workspace, hub, port) | dict(environment or {})
        made = kind(directory, workspace, aws, proxy, hub, named, written, variables, port)
        stack.push_async_callback(made.aclose)
        for command in processes:
            await made.start(command)
        yield made


def populate(slack: SlackWorkspace) -> None:
    """The people of the scenario, with one of each kind that may not unlock, and their channels.

    `C0STAGING` is an incident channel, `C0RANDOM` is not.
    """
    slack.add_user("U0QUINN", "quinn", email="quinn@example.com")
    slack.add_user("U0PARKER", "parker", email="parker@example.com")
    slack.add_user(
        "U0ELLIOTT",
        "elliott",
        email="elliott@example.com",
        presence="away",
        status_text="On PTO until Monday",
        status_emoji=":palm_tree:",
    )
    slack.add_user("U0GUEST", "gale", is_guest=True)
    slack.add_user("U0STRANGER", "sasha", is_stranger=True, team="T0PARTNER")
    slack.add_user("U0GONE", "glenn", is_deleted=True)
    slack.add_user("U0OUTSIDE", "oakley")
    inside = ["U0QUINN", "U0PARKER", "U0ELLIOTT", "U0GUEST", "U0STRANGER", "U0GONE"]
    slack.add_channel(CHANNEL, "inc-staging", inside)
    slack.add_channel("C0RANDOM", "random", ["U0QUINN", "U0PARKER", "U0OUTSIDE"])


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both together; where both have a mapping they are merged, else `over` wins."""
    both = dict(under)
    for key, value in over.items():
        mine = both.get(key)
        both[key] = merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return both


def _settings(
    states: Sequence[SandboxState], policy: Mapping[str, Any], aws: LocalAws, proxy: FaultProxy, github: GitHubStandIn
) -> dict[str, Any]:
    return {
        "version": 1,
        "slack": {"incident_channels": ["inc-*"]},
        "aws": {"region": REGION, "endpoint_url": proxy.url},
        "ci": {"github": {"type": "github_actions", "base_url": github.base_url}},
        "states": {state.name: _state(state, aws) for state in states},
        "holders": {"people": {"elliott": {"slack": "U0ELLIOTT", "github": "elliott-ci", "who": ["elliott@*"]}}},
        "policy": {"lock_age_alert": "30d", **policy},
        "watch": {"every": "24h"},  # what the bot says unasked would come between the messages that are waited for
        "export": {"formats": ["markdown", "json"], "directory": "exports"},
    }


def _state(state: SandboxState, aws: LocalAws) -> dict[str, Any]:
    return {
        "description": state.description,
        "protected": state.protected,
        "backend": {
            "type": "s3",
            "bucket": aws.bucket,
            "key": state.key,
            "dynamodb_table": aws.table if state.item else None,
            "use_lockfile": state.file,
        },
        "pipelines": [{"ci": "github", "repo": REPO, "workflow": workflow} for workflow in state.workflows],
    }


def _environment(slack: SlackWorkspace, github: GitHubStandIn, port: int) -> dict[str, str]:
    return {
        **CREDENTIALS,
        **slack.environment(),
        "GITHUB_TOKEN": github.token,
        "PORT": str(port),
        "TFLOCK_CONFIG": "tflock.yml",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "INFO",
    }
