"""The demo's Slack workspace with all else that people do in Slack, and with trouble."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from bot.sandbox.slack.call import ApiError, Args, Method, decoded
from bot.sandbox.slack.dispatch import Delivery, Signing
from bot.sandbox.slack.payloads import reaction
from bot.sandbox.slack.reading import message_shown, replies_of
from bot.sandbox.slack.server import WebApiCall
from bot.sandbox.slack.shapes import file_shown
from bot.sandbox.slack.team import Json, Team, TeamMessage, Upload, User, Usergroup
from bot.sandbox.slack.text import find_element
from bot.sandbox.slack.workspace import SlackWorkspace
from tests.worlds.slack import payloads
from tests.worlds.slack.limits import Cut, Fault, Limits
from tests.worlds.slack.methods import METHODS
from tests.worlds.slack.sockets import SocketDispatcher, Sockets
from tests.worlds.slack.trouble import TroubledServer, check


class FullWorkspace(SlackWorkspace):
    """Trouble: `skip` calls of a method pass, then the next `times` meet it; None: until `heal`. `*` is any method,
    `response_url` the answers to interactions.
    """

    def __init__(
        self,
        *,
        strict_rate: bool = False,
        enterprise: str | None = None,
        rng: random.Random | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(**facts)
        self.app_token = "xapp-sandbox-app"
        self.team.enterprise, self.team.check = enterprise, check
        self.limits = Limits(clock=self.team.clock, strict=strict_rate)
        self.sockets = Sockets(rng or random.Random())
        self._server = TroubledServer(
            self.team, self.bot_token, limits=self.limits, sockets=self.sockets, app_token=self.app_token
        )
        self._server.methods.update({**METHODS, **STEPS})
        self._delivering = partial(SocketDispatcher, sockets=self.sockets)

    def environment(self, *, socket_mode: bool = False) -> dict[str, str]:
        return super().environment() | ({"SLACK_APP_TOKEN": self.app_token} if socket_mode else {})

    def attached(self, name: str, content: bytes, **facts: Any) -> Json:
        """A file of a person's, as the message that shows it has it. `facts` are further fields of it."""
        upload = Upload(self.team.fresh("F"), name, len(content), content=content, is_completed=True)
        self.team.uploads[upload.id] = upload
        return file_shown(upload) | {"mode": "snippet", "mimetype": "text/plain"} | facts

    def change_user(self, user_id: str, **facts: Any) -> User:
        """Changes what is known of a person."""
        self.team.users[user_id] = replace(self.team.users[user_id], **facts)
        return self.team.users[user_id]

    def add_usergroup(self, group_id: str, handle: str, users: Iterable[str] = ()) -> Usergroup:
        self.team.groups[group_id] = Usergroup(group_id, handle, tuple(users))
        return self.team.groups[group_id]

    def throttle(self, method: str = "*", *, retry_after: int = 1, times: int | None = 1, skip: int = 0) -> None:
        """Calls are answered with 429."""
        self.limits.faults.append(Fault(method, status=429, retry_after=retry_after, times=times, skip=skip))

    def crash(self, method: str = "*", *, status: int = 500, times: int | None = 1, skip: int = 0) -> None:
        """Calls are answered with a server error and a page of HTML."""
        self.limits.faults.append(Fault(method, status=status, times=times, skip=skip))

    def cut(self, method: str = "*", *, when: Cut = Cut.BEFORE, times: int | None = 1, skip: int = 0) -> None:
        """Connections are cut before or after Slack has done what was asked."""
        self.limits.faults.append(Fault(method, cut=when, times=times, skip=skip))

    def refuse(self, method: str, error: str, *, times: int | None = 1, **facts: Any) -> None:
        """Calls get this error; `facts` are further fields (`needed`, `provided`)."""
        self.limits.faults.append(Fault(method, error=error, times=times, facts=facts))

    @property
    def calls(self) -> list[WebApiCall]:
        """Every call of the Web API so far."""
        return self._server.calls

    @property
    def deliveries(self) -> list[Delivery]:
        """Everything sent to the bot so far, retries included."""
        return self._running.sent

    def slow(self, method: str = "*", *, seconds: float) -> None:
        """Every call takes this much longer, besides all other trouble; until `heal`."""
        self.limits.delays[method] = seconds

    def heal(self) -> None:
        """Ends all trouble."""
        self.limits.faults.clear()
        self.limits.delays.clear()

    @contextmanager
    def signing(self, *, secret: str | None = None, age: float = 0.0) -> Iterator[None]:
        """Inside, requests to the bot carry a forged signature or an old timestamp (`age` in seconds)."""
        usual = self._running.signing
        self._running.signing = Signing(secret or usual.secret, age)
        try:
            yield
        finally:
            self._running.signing = usual

    async def run_step(self, callback_id: str, inputs: Mapping[str, Any]) -> str:
        """A workflow comes to a step of the app; the id of its execution. `executions` tells what becomes of it."""
        execution = self.team.fresh("Fx")
        self.team.executions[execution] = {"state": "running"}
        payload = payloads.function_executed(
            self.team, execution=execution, callback_id=callback_id, inputs=inputs, token="xwfp-sandbox"
        )
        await self.event(payload)
        return execution

    async def again(self, delivery: Delivery) -> Delivery:
        """Delivers the very same payload once more, freshly signed."""
        return await self._running.deliver(delivery.kind, delivery.payload, retry=delivery.retry)

    async def unreact(self, user: str, message: TeamMessage, name: str) -> None:
        """Takes a reaction off. Raises LookupError if it is not there."""
        users = message.reactions.get(name, [])
        if user not in users:
            raise LookupError("no_reaction")
        users.remove(user)
        if not users:
            del message.reactions[name]
        await self.notify(message.channel, reaction(message, user, name, added=False))

    async def edit(self, message: TeamMessage, text: str) -> None:
        """The author's edit of their message."""
        before = message_shown(self.team, message)
        message.replace(text, (), self.team.stamp())
        await self.notify(message.channel, payloads.changed(self.team, message, before))

    async def delete(self, message: TeamMessage) -> None:
        """The author's deletion. Where replies hang on it a stone is left, and Slack tells of a change."""
        before = message_shown(self.team, message)
        message.is_deleted = True
        stays = bool(replies_of(self.team, message))
        told = payloads.changed(self.team, message, before) if stays else payloads.deleted(self.team, message, before)
        await self.notify(message.channel, told)

    async def archive(self, user: str, channel: str) -> None:
        place = self.team.places[channel]
        place.is_archived = True
        kind = "group_archive" if place.is_private else "channel_archive"
        await self.notify(channel, {"type": kind, "channel": channel, "user": user})

    @property
    def executions(self) -> dict[str, Json]:
        """What has become of each step of a workflow, by its execution's id."""
        return self.team.executions

    @staticmethod
    def find_button(message: TeamMessage, action_id: str, *, value: str | None = None) -> Json:
        """The button or menu with this action id. Raises LookupError, naming what the message has."""
        return find_element(message, action_id, value=value)


def _complete_success(team: Team, args: Args) -> Json:
    execution = _running_step(team, args)
    outputs = decoded(args.get("outputs"))
    if isinstance(outputs, str):
        raise ApiError("invalid_arguments")
    if not isinstance(outputs, Mapping):
        raise ApiError("parameter_validation_failed")
    execution.update({"state": "succeeded", "outputs": dict(outputs)})
    return {}


def _complete_error(team: Team, args: Args) -> Json:
    execution, error = _running_step(team, args), str(args.get("error") or "")
    if not error:
        raise ApiError("invalid_arguments")
    execution.update({"state": "failed", "error": error})
    return {}


def _running_step(team: Team, args: Args) -> Json:
    execution = team.executions.get(str(args.get("function_execution_id")))
    if execution is None:
        raise ApiError("function_execution_not_found")
    if execution["state"] != "running":
        raise ApiError("execution_not_in_running_state")
    return execution


STEPS: Mapping[str, Method] = {
    "functions.completeSuccess": _complete_success,
    "functions.completeError": _complete_error,
}
"""docs.slack.dev/reference/methods/functions.completeSuccess and functions.completeError."""
