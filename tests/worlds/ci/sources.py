"""Run sources that ask the stand-ins of CI systems, made as the bot makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.config import Config
from botocore.session import Session
from pydantic import SecretStr

from bot.ci.frame import CiSystem, Configured, Source
from bot.ci.jenkins.api import Credentials
from bot.ci.jenkins.source import Jenkins
from bot.core.evidence import Found, Observation
from bot.core.gate.attribution import Attribution, PipelineSeen, Taken, may_hold
from bot.core.gate.tie import attribute
from bot.core.lock import LockInfo
from bot.core.policy import Holders
from bot.core.run import Pipeline
from tests.worlds.clocks import WallClock

T = TypeVar("T")

_OF_ALL = ("name", "clock", "pipelines", "limits")
SESSION = Session()
SKEW = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Nobody:
    """Stands where a stand-in would, for sources that make no request."""

    base_url: str
    token: str = "t"
    user: str = "u"


def source_of(kind: Callable[..., CiSystem], server: Any, *pipelines: Pipeline, **changes: Any) -> Source:
    """A source of a system that has an address and a token. `changes` go before what the stand-in gives it."""
    token, given = SecretStr(server.token), dict[str, Any](base_url=server.base_url)
    given |= {"credentials": Credentials(SecretStr(server.user), token)} if kind is Jenkins else {"token": token}
    return made_of(kind, *pipelines, **(given | changes))


def made_of(kind: Callable[..., CiSystem], *pipelines: Pipeline, **given: Any) -> Source:
    """A source of any system."""
    of_all: dict[str, Any] = {"name": pipelines[0].ci, "clock": WallClock(), "pipelines": pipelines}
    of_all |= {key: given.pop(key) for key in _OF_ALL if key in given}
    return Source(kind(Configured(**of_all), **given))


def value(seen: Observation[T]) -> T:
    """What was found; a failure of the test if nothing was."""
    assert isinstance(seen, Found), seen
    return seen.value


async def holder_by(source: Source, pipeline: Pipeline, who: str, created: datetime) -> Attribution:
    """Which of the pipeline's runs holds a lock of this `Who`, by what the source answers."""
    lock = LockInfo("lock-1", "OperationTypeApply", "", who, "1.9.8", created, "acme-tfstate/staging")
    listing = await source.runs(pipeline, since=created - SKEW)
    suspects = [run for run in value(listing) if may_hold(run, Taken.of(lock), SKEW)]
    closer = {run.ref.id: await source.with_jobs(run) for run in suspects}
    return attribute(lock, [PipelineSeen(pipeline, source.system, listing, closer)], holders=Holders(), skew=SKEW)


def ecs_client(base_url: str, key: str, service: str = "ecs", **limits: float) -> Any:
    """Botocore's client of ECS, or of CloudWatch Logs."""
    return SESSION.create_client(
        service,
        region_name="eu-west-1",
        endpoint_url=base_url,
        aws_access_key_id=key,
        aws_secret_access_key="verysecret",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20, **limits),
    )
