"""`claim`: a job says what it runs, on which host and in which run, and tells the bot how it ended.

Needs neither the configuration nor Slack: only the bot's address, the claims' token and the CI system's own variables.
A bot that is away, slow or broken never harms the command, nor makes it wait.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from bot.cli.child import run_command
from bot.cli.frame import FAILED, OK

TIMEOUT = 5.0
"""Seconds for each request to the bot."""

_FIRST_BEAT, _EVERY = 5.0, 30.0
_METADATA_TIMEOUT = 2.0
_LONGEST_ANSWER = 300
_OLDEST = 600_000
_LONGEST_ACTOR = 255
_GITHUB_ACTOR = ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR")
_GITLAB_ACTOR = ("GITLAB_USER_LOGIN", "GITLAB_USER_EMAIL")
_AZURE_ACTOR = ("BUILD_REQUESTEDFOREMAIL", "BUILD_REQUESTEDFOR")
_JENKINS_ACTOR = ("BUILD_USER_ID", "BUILD_USER_EMAIL")
"""Jenkins' own variables name nobody; these are of its plugin build-user-vars."""


class NoClaim(Exception):
    """No claim can be made, or the bot did not take it; says why, in words for the job's log."""


@dataclass(frozen=True, slots=True)
class OwnRun:
    """The run that this job belongs to, as its CI system names it. `actor` is who started it: a login or an address."""

    url: str
    attempt: int = 1
    actor: str = ""


@dataclass(frozen=True, slots=True)
class ClaimServer:
    """Where claims go."""

    url: str = field(repr=False)
    token: str = field(repr=False)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=TIMEOUT), repr=False)

    @property
    def shown(self) -> str:
        """The address without a user and a password."""
        scheme, mark, rest = self.url.partition("://")
        return f"{scheme}{mark}{rest.rpartition('@')[2]}"

    def send(self, method: str, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """One request. Raises NoClaim if the bot did not do what was asked of it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            answer = self.client.request(method, self.url + path, json=dict(body), headers=headers)
        except (httpx.LocalProtocolError, httpx.InvalidURL, ValueError) as error:  # their words may quote a secret
            raise NoClaim(f"tflock at {self.shown} cannot be asked ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise NoClaim(f"tflock at {self.shown} does not answer: {str(error) or type(error).__name__}") from None
        found = _document(answer)
        if answer.status_code not in {HTTPStatus.OK, HTTPStatus.CREATED} or found is None:
            said = found.get("error") if found else None
            raise NoClaim(f"tflock at {self.shown} answered {answer.status_code}: {said or 'that is not its answer'}")
        return found


def _document(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def server_in(environ: Mapping[str, str]) -> ClaimServer:
    """Raises NoClaim for what is not set."""
    missing = [name for name in ("TFLOCK_URL", "TFLOCK_CLAIM_TOKEN") if not environ.get(name, "").strip()]
    if missing:
        raise NoClaim(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set")
    return ClaimServer(environ["TFLOCK_URL"].strip().rstrip("/"), environ["TFLOCK_CLAIM_TOKEN"].strip())


def run_in(environ: Mapping[str, str]) -> OwnRun:
    """The run that this job is part of, from each CI system's own variables. Raises NoClaim outside of them all.

    Sources: GitHub "Default environment variables", GitLab "Predefined CI/CD variables", Azure "Predefined
    variables", Jenkins "Using environment variables", ECS "Task metadata endpoint version 4".
    """
    if _has(environ, "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
        repository = f"{environ['GITHUB_SERVER_URL']}/{environ['GITHUB_REPOSITORY']}"
        page, actor = f"{repository}/actions/runs/{environ['GITHUB_RUN_ID']}", _first(environ, *_GITHUB_ACTOR)
        return OwnRun(page, _ordinal(environ, "GITHUB_RUN_ATTEMPT"), actor)
    if _has(environ, "GITLAB_CI"):
        url = environ.get("CI_PIPELINE_URL") or environ.get("CI_JOB_URL") or ""
        return _own(url, "neither CI_PIPELINE_URL nor CI_JOB_URL is set", _first(environ, *_GITLAB_ACTOR))
    if _has(environ, "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID"):
        project = f"{environ['SYSTEM_COLLECTIONURI'].rstrip('/')}/{quote(environ['SYSTEM_TEAMPROJECT'], safe='')}"
        page = f"{project}/_build/results?buildId={environ['BUILD_BUILDID']}"
        return OwnRun(page, _ordinal(environ, "SYSTEM_JOBATTEMPT"), _first(environ, *_AZURE_ACTOR))
    if _has(environ, "BUILD_URL"):
        return OwnRun(environ["BUILD_URL"], actor=_first(environ, *_JENKINS_ACTOR))
    if _has(environ, "ECS_CONTAINER_METADATA_URI_V4"):
        return OwnRun(_task_arn(environ["ECS_CONTAINER_METADATA_URI_V4"]))
    raise NoClaim("this does not run in a CI system that tflock knows: none of their variables is set")


def _has(environ: Mapping[str, str], *names: str) -> bool:
    return all(environ.get(name, "").strip() for name in names)


def _first(environ: Mapping[str, str], *names: str) -> str:
    """The first of these that says something, unless it is longer than any login or address."""
    said = (environ.get(name, "").strip() for name in names)
    return next((text for text in said if text and text.isprintable() and len(text) <= _LONGEST_ACTOR), "")


def _own(url: str, otherwise: str, actor: str) -> OwnRun:
    if not url:
        raise NoClaim(otherwise)
    return OwnRun(url, actor=actor)


def _ordinal(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "").strip()
    return max(1, int(text)) if text.isascii() and text.isdigit() else 1


def _task_arn(metadata: str) -> str:
    """The task that this container is part of, as the agent beside it tells."""
    try:
        task = _document(httpx.get(f"{metadata}/task", timeout=_METADATA_TIMEOUT, trust_env=False))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoClaim(f"the task's metadata cannot be read: {str(error) or type(error).__name__}") from None
    arn = (task or {}).get("TaskARN")
    if not isinstance(arn, str) or not arn:
        raise NoClaim("the task's metadata has no TaskARN")
    return arn


def make_claim(state: str, environ: Mapping[str, str], *, began: float | None = None) -> tuple[ClaimServer, str]:
    """Records the claim and returns its id. `began` is when the command was started (monotonic). Raises NoClaim."""
    server, run = server_in(environ), run_in(environ)
    body: dict[str, object] = {"state": state, "host": socket.gethostname(), "run_url": run.url, "attempt": run.attempt}
    age = 0.0 if began is None else time.monotonic() - began  # measured last: making a client takes a while
    body |= {"actor": run.actor} if run.actor else {}
    body |= {"age_ms": min(int(age * 1000), _OLDEST)}
    claim_id = server.send("POST", "/api/v1/claims", body).get("id")
    if not isinstance(claim_id, str) or not claim_id:
        raise NoClaim(f"tflock at {server.shown} gave the claim no id")
    return server, claim_id


@dataclass
class Reporter:
    """Tells the bot of the command: a claim, heartbeats, its end. Works in a thread of its own, and never raises."""

    state: str
    environ: Mapping[str, str]
    made: tuple[ClaimServer, str] | None = None
    lock_id: str | None = None
    _started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=time.monotonic)
    _over: threading.Event = field(default_factory=threading.Event)
    _exit_code: int | None = None

    def work(self) -> None:
        """Until `end`: heartbeats; then the exit. Ends at once if there is no claim."""
        try:
            server, claim_id = self.made or make_claim(self.state, self.environ, began=self._began)
        except NoClaim as problem:
            warn(f"{problem}. The command runs without a claim.")
            return
        path = f"/api/v1/claims/{claim_id}"
        pause = _FIRST_BEAT
        while not self._over.wait(pause):
            self._beat(server, path)
            pause = _EVERY
        try:
            server.send("PATCH", path, {"exit_code": self._exit_code} | self._named())
        except NoClaim as problem:
            warn(f"{problem}. The end of the command was not reported.")

    def end(self, exit_code: int) -> None:
        self._exit_code = exit_code
        self._over.set()

    def _beat(self, server: ClaimServer, path: str) -> None:
        try:
            seen = server.send("PATCH", path, self._named())
        except NoClaim:
            return  # a bot that is away for a while is told again; silence proves nothing to it
        self.lock_id = self.lock_id or self._own_lock(seen)

    def _own_lock(self, seen: Mapping[str, Any]) -> str | None:
        """The lock that the bot sees on this host, if it was taken after the command began, by this host's clock."""
        lock_id, created = seen.get("lock_id"), seen.get("created")
        try:
            is_later = isinstance(created, str) and datetime.fromisoformat(created) >= self._started
        except (ValueError, TypeError):
            return None
        return lock_id if is_later and isinstance(lock_id, str) else None

    def _named(self) -> dict[str, object]:
        return {"lock_id": self.lock_id} if self.lock_id else {}


def claim(state: str, command: Sequence[str], environ: Mapping[str, str], *, strict: bool) -> int:
    """Records a claim and, with a command, runs it. Returns the exit code; a death by signal is died again.

    Without `strict` a claim that cannot be made is a warning; with it nothing is run.
    """
    if command and not strict:
        return _run(command, Reporter(state, environ))
    try:
        made = make_claim(state, environ)
    except NoClaim as problem:
        warn(f"{problem}. {'Nothing was run.' if command else 'No claim was recorded.'}")
        return FAILED if strict else OK
    if not command:
        print(made[1])  # noqa: T201 - the claim's id is what this command is asked for
        return OK
    return _run(command, Reporter(state, environ, made))


def _run(command: Sequence[str], reporter: Reporter) -> int:
    worker = threading.Thread(target=reporter.work, daemon=True)

    def ended(code: int) -> None:
        reporter.end(code)
        worker.join(2 * TIMEOUT)

    return run_command(command, started=worker.start, ended=ended)


def warn(words: str) -> None:
    """One line on standard error; the command's own output stays as it is."""
    shown = json.dumps(words, ensure_ascii=False)[1:-1] if not words.isprintable() else words
    print(f"tflock: warning: {shown[:_LONGEST_ANSWER]}", file=sys.stderr, flush=True)  # noqa: T201 - a job's log
