"""`/api/v1/claims`: CI jobs say what they run, that they are still running, and how it ended.

Every answer is JSON: the claim's id, or `{"error": …}` in words for people who read the job's log.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from pydantic import SecretStr

from bot.errors import JournalAway, UnknownState
from bot.usecases.decide import claims
from bot.usecases.world import World

log = structlog.get_logger()

LARGEST = 16 * 1024
"""Bytes of a request's body."""

_LONGEST_NAME = 255
_LONGEST_ADDRESS = 2048
_LONGEST_LOCK_ID = 128
_ATTEMPTS = range(1, 100_001)
_AGES = range(600_001)
_EXIT_CODES = range(-255, 2**32)
_PROCESSES = range(2**22 + 1)
"""Linux counts no further (`PID_MAX_LIMIT`)."""

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):
    status: HTTPStatus
    words: str


def claim_routes(world: World, token: SecretStr | None) -> list[web.RouteDef]:
    """The routes. Without a token claims are off, and every answer says so."""
    return [
        web.post("/api/v1/claims", _answering(token, lambda request: _claim(world, request))),
        web.patch("/api/v1/claims/{id}", _answering(token, lambda request: _news(world, request))),
    ]


def _answering(token: SecretStr | None, work: Handler) -> Handler:
    @wraps(work)
    async def handle(request: web.Request) -> web.Response:
        try:
            _authorise(request, token)
            return await work(request)
        except _Refusal as refusal:
            log.info("claim.refused", status=int(refusal.status), reason=refusal.words)
            return _error(refusal.status, refusal.words)
        except JournalAway as error:
            log.warning("claim.not_recorded", why=str(error))
            words = f"{error.in_short}: nothing was recorded; try again in a while"
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, words)

    return handle


def _authorise(request: web.Request, token: SecretStr | None) -> None:
    expected = token.get_secret_value() if token else ""
    if not expected:
        raise _Refusal(HTTPStatus.NOT_FOUND, "claims are off: TFLOCK_CLAIM_TOKEN is not set where tflock runs")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode(errors="replace"), expected.encode(errors="replace"))
    if scheme.lower() != "bearer" or not is_right:
        raise _Refusal(HTTPStatus.UNAUTHORIZED, "the bearer token is missing or wrong")


async def _claim(world: World, request: web.Request) -> web.Response:
    body = await _body(request)
    said = claims.NewClaim(
        state=_text(body, "state", _LONGEST_NAME),
        host=_text(body, "host", _LONGEST_NAME),
        run_url=_address(body),
        attempt=_number(body.get("attempt", 1), "attempt", _ATTEMPTS),
        age=timedelta(milliseconds=_number(body.get("age_ms", 0), "age_ms", _AGES)),
        actor=_text(body, "actor", _LONGEST_NAME) if body.get("actor") else "",
        private_host=_flag(body, "private_host"),
    )
    try:
        # not guessable, and fit for a part of a host name (RFC 1123; Linux allows 64 characters in all)
        made = await claims.claim(world, said, claim_id=secrets.token_hex(16))
    except UnknownState as error:
        meant = f"; did you mean {error.nearest}?" if error.nearest else ""
        raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"state: tflock knows no state of this name{meant}") from None
    log.info("claim.made", state=made.state, host=made.host, run=made.run_url, attempt=made.attempt)
    return web.json_response({"id": made.id}, status=HTTPStatus.CREATED)


async def _news(world: World, request: web.Request) -> web.Response:
    body, claim_id = await _body(request), request.match_info["id"]
    lock_id = None if body.get("lock_id") is None else _text(body, "lock_id", _LONGEST_LOCK_ID)
    if body.get("exit_code") is None:
        found = await claims.heartbeat(world, claim_id, lock_id=lock_id)
    else:
        code = _number(body["exit_code"], "exit_code", _EXIT_CODES)
        left = body.get("processes_left")
        left = None if left is None else _number(left, "processes_left", _PROCESSES)
        found = await claims.end(world, claim_id, exit_code=code, processes_left=left, lock_id=lock_id)
        log.info("claim.ended", known=found is not None, exit_code=code, processes_left=left)
    if found is None:
        raise _Refusal(HTTPStatus.NOT_FOUND, "there is no such claim")
    if found.lock_id is not None or found.ended_at is not None:
        return web.json_response({"id": found.id, "lock_id": found.lock_id})
    lock = await claims.lock_of(world, found)
    taken = {} if lock is None else {"created": lock.created.isoformat()}
    return web.json_response({"id": found.id, "lock_id": None if lock is None else lock.id, **taken})


async def _body(request: web.Request) -> Mapping[str, Any]:
    if request.content_type != "application/json":
        raise _Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be JSON, with Content-Type: application/json")
    raw = await request.read()  # the application limits its time, and the memory that it may take
    if len(raw) > LARGEST:
        raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {LARGEST} bytes")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise _Refusal(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise _Refusal(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
    return body


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(name, "must be text, and not empty")
    if len(value) > longest or not value.isprintable():
        raise _wrong(name, f"must be one line of {longest} characters at most")
    return value.strip()


def _address(body: Mapping[str, Any]) -> str:
    """The run's page; for ECS, which has none of its own, the task's ARN."""
    value = _text(body, "run_url", _LONGEST_ADDRESS)
    try:
        parts = urlsplit(value)
        is_page = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_page = False
    if not is_page and not value.startswith("arn:aws"):
        raise _wrong("run_url", "must be the http(s) address of the run, or the ARN of an ECS task")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, "must be true or false")
    return value is True


def _number(value: object, name: str, within: range) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len(str(within.stop)):
        value = int(value)  # shells quote whatever they put into JSON
    if isinstance(value, bool) or not isinstance(value, int) or value not in within:
        raise _wrong(name, f"must be a whole number from {within.start} to {within.stop - 1}")
    return value


def _wrong(name: str, words: str) -> _Refusal:
    return _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: {words}")


def _error(status: HTTPStatus, words: str) -> web.Response:
    headers = {
        HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
        HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "5"},
    }
    return web.json_response({"error": words}, status=status, headers=headers.get(status))
