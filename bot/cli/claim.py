"""`claim`: a job says what it runs, on which host and in which run, and tells the bot how it ended.

Where it may, it gives the command a host name of its own, the *seal*: Terraform writes it into the lock, and no other
process has it. The name is the claim's id, so the claim comes first, and the command waits for it a moment at most.

Needs neither the configuration nor Slack: only the bot's address, the claims' token and the CI system's own variables.
A bot that is away, slow or broken never harms the command, nor makes it wait.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from bot.cli.child import ChildHooks, Ended, run_command
from bot.cli.frame import FAILED, OK, WRONG
from bot.cli.host import is_private
from bot.cli.linux import above
from bot.cli.seal import Seal
from bot.config.secret_text import SUFFIX, SecretUnreadable, given_in, secret_in
from bot.core.record.redact import redact
from bot.core.systems import AZURE, ECS, GITHUB, GITLAB, HCP, JENKINS, System

TIMEOUT = 5.0
"""Seconds for each request to the bot."""

ANSWER_WAIT = 2.0
"""Seconds for which a command that can be sealed waits for its claim's id."""

REPORT_WAIT = 20.0
"""Seconds for which the job waits at most until the end is reported: a bot that is restarted is back by then."""

_TRIES_AGAIN_FOR = REPORT_WAIT - TIMEOUT
"""Seconds in which a request that reports the end is begun."""

_FIRST_BEAT, _EVERY = 5.0, 30.0
_METADATA_TIMEOUT = 2.0
_LONGEST_ANSWER = 300
_OLDEST = 600_000
_LONGEST_ACTOR = 255
_TOKEN = "TFLOCK_CLAIM_TOKEN"  # noqa: S105 - the name of a variable
_ECS = "ECS_CONTAINER_METADATA_URI_V4"
_NOT_REPORTED = "The end of the command was not reported."

_ID_FOR_NAME = re.compile(r"[A-Za-z0-9._-]{1,57}")
"""What fits into a host name of Linux after `tflock-`: 64 characters in all."""


class NoClaim(Exception):
    """No claim can be made, or the bot did not take it; says why, in words for the job's log.

    `passes`: the bot is away or in trouble, and may do soon what it was asked. `code` is the exit code where nothing is
    done without a claim.
    """

    def __init__(self, words: str, *, passes: bool = False, code: int = FAILED) -> None:
        super().__init__(words)
        self.passes = passes
        self.code = code


@dataclass(frozen=True, slots=True)
class OwnRun:
    """The run that this job belongs to, as its CI system names it. `actor` is who started it: a login or an address."""

    url: str
    attempt: int = 1
    actor: str = ""


@dataclass(frozen=True, slots=True)
class ClaimServer:
    """Where claims go. Blocks, as all of the process that waits for a command does: `bot.http` wants an event loop."""

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
            words = f"tflock at {self.shown} does not answer: {str(error) or type(error).__name__}"
            raise NoClaim(words, passes=True) from None
        found, status = _document(answer), answer.status_code
        if status not in {HTTPStatus.OK, HTTPStatus.CREATED} or found is None:
            said = found.get("error") if found else None
            passes = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            words = f"tflock at {self.shown} answered {status}: {said or 'that is not its answer'}"
            code = WRONG if status == HTTPStatus.UNPROCESSABLE_ENTITY else FAILED  # a state that it does not know
            raise NoClaim(words, passes=passes, code=code)
        return found


def _document(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def server_in(environ: Mapping[str, str]) -> ClaimServer:
    """Raises NoClaim for what is not set."""
    found = {name: value.strip() for name, value in environ.items() if value.strip()}
    try:
        file = given_in(found, _TOKEN)
        if file is not None:
            found[_TOKEN] = secret_in(file)
    except SecretUnreadable as why:
        raise NoClaim(f"{_TOKEN}{SUFFIX}: {why}") from None
    missing = [name for name in ("TFLOCK_URL", _TOKEN) if name not in found]
    if missing:
        raise NoClaim(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set")
    return ClaimServer(found["TFLOCK_URL"].rstrip("/"), found[_TOKEN])


def run_in(environ: Mapping[str, str]) -> OwnRun:
    """The run that this job is part of, from each CI system's own variables. Raises NoClaim outside of them all."""
    found = (own_run(environ) for own_run in OWN_RUNS.values())
    run = next((run for run in found if run is not None), None)
    if run is None:
        raise NoClaim("this does not run in a CI system that tflock knows: none of their variables is set")
    return run


def _in_github(environ: Mapping[str, str]) -> OwnRun | None:
    if not _has(environ, "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
        return None
    repository = f"{environ['GITHUB_SERVER_URL']}/{environ['GITHUB_REPOSITORY']}"
    actor = _first(environ, "GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR")
    return OwnRun(
        f"{repository}/actions/runs/{environ['GITHUB_RUN_ID']}", _ordinal(environ, "GITHUB_RUN_ATTEMPT"), actor
    )


def _in_gitlab(environ: Mapping[str, str]) -> OwnRun | None:
    if not _has(environ, "GITLAB_CI"):
        return None
    url = environ.get("CI_PIPELINE_URL") or environ.get("CI_JOB_URL") or ""
    if not url:
        raise NoClaim("neither CI_PIPELINE_URL nor CI_JOB_URL is set")
    return OwnRun(url, actor=_first(environ, "GITLAB_USER_LOGIN", "GITLAB_USER_EMAIL"))


def _in_azure(environ: Mapping[str, str]) -> OwnRun | None:
    if not _has(environ, "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID"):
        return None
    project = f"{environ['SYSTEM_COLLECTIONURI'].rstrip('/')}/{quote(environ['SYSTEM_TEAMPROJECT'], safe='')}"
    actor = _first(environ, "BUILD_REQUESTEDFOREMAIL", "BUILD_REQUESTEDFOR")
    page = f"{project}/_build/results?buildId={environ['BUILD_BUILDID']}"
    return OwnRun(page, _ordinal(environ, "SYSTEM_JOBATTEMPT"), actor)


def _in_jenkins(environ: Mapping[str, str]) -> OwnRun | None:
    if not _has(environ, "BUILD_URL"):
        return None
    # Jenkins' own variables name nobody; these are of its plugin build-user-vars
    return OwnRun(environ["BUILD_URL"], actor=_first(environ, "BUILD_USER_ID", "BUILD_USER_EMAIL"))


def _in_ecs(environ: Mapping[str, str]) -> OwnRun | None:
    return OwnRun(_task_arn(environ[_ECS])) if _has(environ, _ECS) else None


def _in_hcp(environ: Mapping[str, str]) -> OwnRun | None:
    if not _has(environ, "TFC_RUN_ID", "TFC_WORKSPACE_SLUG"):
        return None
    organization, _, workspace = environ["TFC_WORKSPACE_SLUG"].partition("/")
    address = (_first(environ, "TFC_ADDRESS", "ATLAS_ADDRESS") or "https://app.terraform.io").rstrip("/")
    return OwnRun(f"{address}/app/{organization}/workspaces/{workspace}/runs/{environ['TFC_RUN_ID']}")


OWN_RUNS: Mapping[System, Callable[[Mapping[str, str]], OwnRun | None]] = {
    GITHUB: _in_github,
    GITLAB: _in_gitlab,
    AZURE: _in_azure,
    JENKINS: _in_jenkins,
    HCP: _in_hcp,
    # last: a runner of any system above may itself be a task of ECS
    ECS: _in_ecs,
}
"""Sources: GitHub "Default environment variables", GitLab "Predefined CI/CD variables", Azure "Predefined variables",
Jenkins "Using environment variables", HCP Terraform "Run environment", ECS "Task metadata endpoint version 4"."""


def _has(environ: Mapping[str, str], *names: str) -> bool:
    return all(environ.get(name, "").strip() for name in names)


def _first(environ: Mapping[str, str], *names: str) -> str:
    """The first of these that says something, unless it is longer than any login or address."""
    said = (environ.get(name, "").strip() for name in names)
    return next((text for text in said if text and text.isprintable() and len(text) <= _LONGEST_ACTOR), "")


def _ordinal(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "").strip()
    return max(1, int(text)) if text.isascii() and text.isdigit() else 1


def _task_arn(metadata: str) -> str:
    """The task that this container is part of, as the agent next to it says."""
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
    host = socket.gethostname()
    body: dict[str, object] = {"state": state, "host": host, "run_url": run.url, "attempt": run.attempt}
    body |= {"actor": run.actor} if run.actor else {}
    body |= {"private_host": True} if is_private(environ, host, [each.name for each in above(os.getpid())]) else {}
    age = 0.0 if began is None else time.monotonic() - began  # measured last: making a client takes a while
    body |= {"age_ms": min(int(age * 1000), _OLDEST)}
    claim_id = server.send("POST", "/api/v1/claims", body).get("id")
    if not isinstance(claim_id, str) or not claim_id:
        raise NoClaim(f"tflock at {server.shown} gave the claim no id")
    return server, claim_id


@dataclass
class Reporter:
    """Tells the bot of the command: a claim, heartbeats, its end. Works in a thread of its own, and never raises.

    What `run_command` wants of it: `name`, `ready`, `waits` and `ended`.
    """

    state: str
    environ: Mapping[str, str]
    strict: bool = False
    seal: Seal = Seal.AUTO
    lock_id: str | None = None
    _started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=time.monotonic)
    _worker: threading.Thread | None = None
    _answered: threading.Event = field(default_factory=threading.Event)
    _claim_id: str | None = None
    _no_claim: NoClaim | None = None
    _why_not: str | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _ended: Ended | None = None

    def name(self, problem: int) -> str | None:
        """The command's host name; None if it keeps the machine's, and then `ready` says why.

        Makes the claim, and waits for it as long as it is needed: not at all for a command that cannot be sealed.
        """
        can_seal = self.seal is not Seal.NEVER and problem == 0
        self._why_not = None if can_seal else _why_not(problem)
        if self.seal is Seal.ALWAYS and not can_seal:
            return None
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()
        if self.strict or self.seal is Seal.ALWAYS:
            self._answered.wait()
        elif can_seal:
            self._answered.wait(ANSWER_WAIT)
        if not can_seal or not self._answered.is_set():
            self._why_not = self._why_not or f"tflock did not answer within {ANSWER_WAIT:.0f} s"
            return None
        if self._claim_id is None or not _ID_FOR_NAME.fullmatch(self._claim_id):
            self._why_not = str(self._no_claim or "the claim's id cannot be a host name")
            return None
        return f"tflock-{self._claim_id}"

    def ready(self, taken: int | None) -> int | None:
        """Says once whether the host is sealed. Returns an exit code if the command must not run."""
        if self.strict and self._no_claim is not None:
            warn(f"{self._no_claim}. Nothing was run.")
            return self._no_claim.code
        if taken:
            self._why_not = _why_not(taken)
        if self.seal is Seal.ALWAYS and self._why_not is not None:
            say(f"host not sealed: {self._why_not}. Nothing was run, because of --seal always")
            return WRONG
        if self._why_not is None:
            say(f"host sealed as tflock-{self._claim_id}")
        elif self.seal is not Seal.NEVER and self._no_claim is None:
            say(f"host not sealed: {self._why_not}")
        return None

    def waits(self) -> bool:
        """Whether there is a claim, or may still be one, whose end can be reported."""
        return self._no_claim is None

    def ended(self, ended: Ended) -> None:
        """Waits until the end is reported, for a while."""
        self._ended = ended
        self._over.set()
        if self._worker is not None:
            self._worker.join(REPORT_WAIT)
            if self._worker.is_alive():
                warn(f"tflock did not answer within {REPORT_WAIT:.0f} s. {_NOT_REPORTED}")

    def _work(self) -> None:
        """Until the end: heartbeats; then the exit. Ends at once if there is no claim."""
        try:
            server, self._claim_id = make_claim(self.state, self.environ, began=self._began)
        except NoClaim as problem:
            self._no_claim = problem
            if not self.strict and self.seal is not Seal.ALWAYS:
                warn(f"{problem}. The command runs without a claim.")
            return
        finally:
            self._answered.set()
        path = f"/api/v1/claims/{self._claim_id}"
        pause = _FIRST_BEAT
        while not self._over.wait(pause):
            self._beat(server, path)
            pause = _EVERY
        try:
            _insist(partial(server.send, "PATCH", path, self._end() | self._named()))
        except NoClaim as problem:
            warn(f"{problem}. {_NOT_REPORTED}")

    def _end(self) -> dict[str, object]:
        if self._ended is None:
            return {}
        left = {} if self._ended.left is None else {"processes_left": self._ended.left}
        return {"exit_code": self._ended.code, **left}

    def _beat(self, server: ClaimServer, path: str) -> None:
        try:
            seen = server.send("PATCH", path, self._named())
        except NoClaim:
            return  # the report is repeated for a bot that is away; silence proves nothing to it
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


def _insist(send: Callable[[], object]) -> None:
    """Sends until the bot has taken it, or the time for that is over: it may be restarted just now. Raises NoClaim.

    The bot counts the first report, so that one whose answer got lost may be sent again.
    """
    try:
        send()
    except NoClaim as problem:
        if not problem.passes:
            raise
    else:
        return
    import stamina  # noqa: PLC0415 - a job whose bot answers must not wait for the import

    stamina.instrumentation.set_on_retry_hooks([])  # they would write into the command's output
    for attempt in stamina.retry_context(
        on=lambda error: isinstance(error, NoClaim) and error.passes,
        attempts=None, timeout=_TRIES_AGAIN_FOR, wait_initial=0.5, wait_max=3.0, wait_jitter=0.5,
    ):  # fmt: skip
        with attempt:
            send()


def _why_not(problem: int) -> str:
    if problem in {errno.EPERM, errno.EACCES}:
        return "that takes root or CAP_SYS_ADMIN"
    if problem == errno.ENOSYS:
        return "this system gives no host name to one command"
    return os.strerror(problem)


def claim(
    state: str, command: Sequence[str], environ: Mapping[str, str], *, strict: bool, seal: Seal = Seal.AUTO
) -> int:
    """Records a claim and, with a command, runs it. Returns the exit code; a death by signal is died again.

    Without `strict` a claim that cannot be made is a warning; with it nothing is run.
    """
    if command:
        reporter = Reporter(state, environ, strict, seal)
        wanted = ChildHooks(reporter.name, reporter.ready, reporter.waits, reporter.ended, say)
        return run_command(command, wanted, seal=seal is not Seal.NEVER)
    if seal is Seal.ALWAYS:
        say("--seal always is for a command, after --. No claim was recorded")
        return WRONG
    try:
        _, claim_id = make_claim(state, environ)
    except NoClaim as problem:
        warn(f"{problem}. No claim was recorded.")
        return problem.code if strict else OK
    print(claim_id)  # noqa: T201 - the claim's id is what this command is asked for
    return OK


def warn(words: str) -> None:
    say(f"warning: {words}")


def say(words: str) -> None:
    """One line on standard error; the command's own output stays as it is."""
    shown = json.dumps(words, ensure_ascii=False)[1:-1] if not words.isprintable() else words
    print(f"tflock: {redact(shown)[:_LONGEST_ANSWER]}", file=sys.stderr, flush=True)  # noqa: T201 - a job's log
