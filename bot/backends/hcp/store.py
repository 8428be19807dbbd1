"""One workspace of HCP Terraform or Terraform Enterprise: its lock and its states.

A run holds the lock, or an account (a user or a team; the command line with local execution, too). A run's lock ends
through that very run and nothing else, so that no other holder's can be hit. An account's ends by `force-unlock`, which
has no condition: the workspace is read right before it, and whatever takes the lock in between loses it.
Sources: "Show workspace", "Force unlock a workspace", "List" and "Show a state version" of the API; `Lock` and `Unlock`
in Terraform's `internal/cloud/state.go`; `LockedByChoice` of HashiCorp's go-tfe.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx
from httpx import codes

from bot.backends.frame import Writing
from bot.backends.remote import Leaving, Unmet, newest_whole
from bot.backends.state_text import StateReader
from bot.core.evidence import Trouble
from bot.core.lock import APPLY as APPLYING
from bot.core.lock import PLAN as PLANNING
from bot.core.lock import Abilities, Fence, LockInfo, LockPlace, PlaceKind, StateAbsent, StateSeen
from bot.core.recovery.contents import Version
from bot.hcp.api import ADMIN, API, APPLY, READ, SYSTEM, Resource, listing, one, way_to, workspace_path
from bot.hcp.runs import (
    CoolOff,
    End,
    ask_end,
    author_of,
    begun_at,
    created_at,
    is_over,
    is_run_id,
    next_end,
    read_run,
    status_of,
)
from bot.http.client import Absent, Client, Failed, Portion, Sink, denied, garbled
from bot.http.values import inner, instant, text

OF_ACCOUNTS = Abilities(conditional=False, fence=Fence.NONE, shows_holder=False, versions=True, swap=False)
OF_RUNS = replace(OF_ACCOUNTS, conditional=True, fence=Fence.ENFORCED, shows_holder=True)

_WHOLE = Portion(head=1024 * 1024 * 1024, tail=0)
_NEWEST = 20
_LOOKS = 6
_BETWEEN = 0.5
"""Six looks, half a second apart: an end that was asked for "might not happen immediately"."""


@dataclass(frozen=True, slots=True)
class HcpStore:
    """Implements `bot.backends.remote.StoreWithRights`."""

    client: Client
    organization: str
    workspace: str

    kind = PlaceKind.WORKSPACE
    service = SYSTEM
    reads = READ
    deletes = f"{APPLY} (a run's lock) or {ADMIN} (an account's)"

    @property
    def target(self) -> str:
        return f"{self.organization}/{self.workspace}"

    async def read(self) -> LockPlace | None:
        place, _ = await self._lock_in(await self._workspace())
        return place

    async def delete(self, fence: str, leaving: Leaving) -> None:
        workspace = await self._workspace()
        place, run = await self._lock_in(workspace)
        if place is None or place.fence != fence:
            raise Unmet
        await (self._force_unlock(workspace, leaving) if run is None else self._end(run, leaving))

    async def state(self) -> StateSeen | StateAbsent:
        """The state that the workspace has, or gets when it is unlocked: the newest one that was uploaded whole.

        A newer one that is still on its way is a sign of life.
        """
        found = await self._newest()
        whole = next((entry for entry in found if _is_uploaded(entry)), None)
        if whole is None and found:
            raise Failed(Trouble.TIMED_OUT, f"the first state of {self.target} is still being uploaded")
        if whole is None and not await self._may_read_states():
            raise denied(f"{SYSTEM} shows no state of {self.target}: the token needs {READ}")
        if whole is None:
            return StateAbsent()
        seen = await self._pulled(whole, max(self._written(entry) for entry in found))
        if seen.fault is None:
            return seen
        older = [entry for entry in found[found.index(whole) + 1 :] if _is_uploaded(entry)]
        return replace(seen, last_good_version=await newest_whole((version.id for version in older), self.pour))

    async def listed(self, most: int) -> tuple[Version, ...]:
        uploaded = [entry for entry in await self._newest(most) if _is_uploaded(entry)][:most]
        return tuple(
            Version(entry.id, self._written(entry), _size(entry), number == 0) for number, entry in enumerate(uploaded)
        )

    async def writings(self, most: int) -> tuple[Writing, ...]:
        """When the newest versions were made, and by which run: by none what Terraform uploaded from elsewhere."""
        found = [(entry, entry.points_at("run")) for entry in (await self._newest(most))[:most]]
        return tuple(Writing(self._written(entry), run[1] if run else "") for entry, run in found)

    async def pour(self, version: str | None, into: Sink) -> None:
        about = f"the state of {self.target}"
        if version is None:
            entry = next((entry for entry in await self._newest() if _is_uploaded(entry)), None)
            if entry is None:
                raise Absent(about)
        else:
            entry = await one(self.client, f"{API}/state-versions/{version}", about, "state-versions")
        url = text(entry.attributes.get("hosted-state-download-url"))
        if not url:
            raise denied(f"{SYSTEM} gives no address of {about}: the token needs {READ}")
        path = way_to(self.client, url)
        if not await self.client.stream(path, about, into, _WHOLE, needs=READ, follows=True):
            raise Failed(Trouble.TOO_MUCH, f"{about} is too long to read")

    async def keeps_versions(self) -> bool:
        """It always does; that the workspace can be read at all has to be seen."""
        await self._workspace()
        return True

    async def missing_rights(self) -> tuple[str, ...]:
        may = inner((await self._workspace()).attributes, "permissions")
        needed = (
            ("can-read-state-versions", READ),
            ("can-queue-apply", APPLY),
            ("can-force-unlock", ADMIN),
        )
        if not any(key in may for key, _ in needed):
            raise garbled(f"{SYSTEM} does not say what the token may do in {self.target}")
        return tuple(right for key, right in needed if may.get(key) is not True)

    async def _workspace(self) -> Resource:
        """The workspace, and who locked it, in one answer."""
        about = f"workspace {self.target}"
        path = workspace_path(self.organization, self.workspace)
        found = await one(self.client, path, about, "workspaces", include="locked_by")
        if text(found.attributes.get("name")).casefold() != self.workspace.casefold():
            raise garbled(f"{SYSTEM} answered with another workspace than {self.target}")
        return found

    async def _lock_in(self, workspace: Resource) -> tuple[LockPlace | None, Resource | None]:
        """The lock that this answer shows, and the run that holds it, if one does."""
        locked = workspace.attributes.get("locked")
        if locked is False:
            return None, None
        if locked is not True:
            raise garbled(f"{SYSTEM} did not say whether {self.target} is locked")
        kind, holder = workspace.points_at("locked-by") or ("", "")
        if kind == "runs" and is_run_id(holder):
            run = await read_run(self.client, holder)
            return self._held_by_run(run), run
        if kind in {"users", "teams"} and holder:
            return self._held_by_account(workspace, holder), None
        return self._unreadable(f"{SYSTEM} does not say who holds the lock"), None

    def _held_by_run(self, run: Resource) -> LockPlace:
        began = begun_at(run) or created_at(run)
        if began is None:
            return self._unreadable(f"{SYSTEM} does not say when run {run.id} began")
        info = LockInfo(
            id=run.id,
            operation=PLANNING if run.attributes.get("plan-only") is True else APPLYING,
            info=text(run.attributes.get("message")),
            who=f"{author_of(run)}@{run.id}",
            version=text(run.attributes.get("terraform-version")),
            created=began,
            path=self.target,
        )
        return LockPlace(self.kind, self.target, run.id, info, service=SYSTEM, can=OF_RUNS)

    def _held_by_account(self, workspace: Resource, holder: str) -> LockPlace:
        """The API tells two locks of one account apart by their time at most. Without `locked-at` it does not say since
        when there is one: the workspace may have changed since, in any way.
        """
        known = instant(workspace.attributes.get("locked-at"))
        since = known or instant(workspace.attributes.get("updated-at"))
        if since is None:
            return self._unreadable(f"{SYSTEM} does not say since when {self.target} is locked")
        account = workspace.along("locked-by")
        named = {} if account is None else account.attributes
        info = LockInfo(
            id=f"{holder}-{int(since.astimezone(UTC).timestamp() * 1000)}",
            operation="",
            info=text(workspace.attributes.get("locked-reason")),
            who=f"{text(named.get('username')) or text(named.get('name')) or holder}@",
            version="",
            created=since,
            path=self.target,
            is_since_known=known is not None,
        )
        return LockPlace(self.kind, self.target, info.id, info, service=SYSTEM, can=OF_ACCOUNTS)

    def _unreadable(self, why: str) -> LockPlace:
        return LockPlace(self.kind, self.target, "", None, why, service=SYSTEM, can=OF_ACCOUNTS)

    async def _end(self, run: Resource, leaving: Leaving) -> None:
        """Ends this run by the gentlest way that there is now, and waits for its lock to go with it."""
        if is_over(run):
            said = f"run {run.id} has ended ({status_of(run)}), and {SYSTEM} has not unlocked {self.target} yet"
            raise denied(said, "tflock can't release the lock of a run that is over: ask an admin of the workspace")
        match next_end(run, force=True):
            case End() as end:
                if not await ask_end(self.client, run.id, end, leaving):
                    raise Unmet
            case CoolOff(until=until):
                raise self._cooling(run.id, until)
            case None:
                raise denied(f"{SYSTEM} lets nobody end run {run.id} now ({status_of(run)})")
        taken = f"{SYSTEM} accepted the request to {end} run {run.id}"
        for _ in range(_LOOKS):
            try:
                place, _ = await self._lock_in(await self._workspace())
            except (Absent, Failed) as error:  # it was sent: only a later look can tell what it came to
                words = error.words if isinstance(error, Failed) else f"there is no {error.what}"
                raise Failed(Trouble.TIMED_OUT, f"{taken}; then {words}") from error
            if place is None or (place.info is not None and place.fence != run.id):
                return
            await asyncio.sleep(_BETWEEN)
        raise Failed(Trouble.TIMED_OUT, f"{taken}, which is not over yet")

    def _cooling(self, run_id: str, until: datetime | None) -> Failed:
        said = f"run {run_id} was cancelled, and {SYSTEM} does not let it be ended by force yet"
        wait = None if until is None else max(0.0, (until - self.client.clock.now()).total_seconds())
        return Failed(Trouble.THROTTLED, said, retry_after=wait, was_sent=False)

    async def _force_unlock(self, workspace: Resource, leaving: Leaving) -> None:
        """Without a condition: it ends the lock that is there when it arrives."""
        path, doing = f"{API}/workspaces/{workspace.id}/actions/force-unlock", "force-unlocking"
        answer = await self.client.send(
            "POST", path, self.target, doing=doing, needs=ADMIN, passing=_says, tries=1, leaving=leaving
        )
        if answer.status_code == codes.NOT_FOUND:  # the workspace has just been read
            raise denied(f"{SYSTEM} denies {doing} {self.target} (404): the token's team or user needs {ADMIN}")
        if not answer.is_success:
            raise Unmet

    async def _newest(self, most: int = _NEWEST) -> list[Resource]:
        """The newest state versions, newest first, those that are still being uploaded among them."""
        about = f"the states of {self.target}"
        params = {"filter[workspace][name]": self.workspace, "filter[organization][name]": self.organization}
        seen = 0

        def is_enough(_: Resource) -> bool:
            nonlocal seen
            seen += 1
            return seen >= most

        found = await listing(self.client, f"{API}/state-versions", about, "state-versions", params, until=is_enough)
        return sorted(found, key=self._written, reverse=True)

    async def _may_read_states(self) -> bool:
        may = inner((await self._workspace()).attributes, "permissions")
        return may.get("can-read-state-versions") is True

    def _written(self, entry: Resource) -> datetime:
        at = instant(entry.attributes.get("created-at"))
        if at is None:
            raise garbled(f"{SYSTEM} did not say when state version {entry.id} was written")
        return at

    async def _pulled(self, entry: Resource, written: datetime) -> StateSeen:
        reader, offset = StateReader(), self.client.offset
        await self.pour(entry.id, reader)
        return reader.finish().seen(written if offset is None else written - offset.ahead, entry.id)


def _is_uploaded(entry: Resource) -> bool:
    """Old installations name no status, and list only what is complete."""
    return text(entry.attributes.get("status", "finalized")) == "finalized"


def _size(entry: Resource) -> int:
    size = entry.attributes.get("size")
    return size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else 0


def _says(answer: httpx.Response) -> bool:
    return answer.status_code in {codes.NOT_FOUND, codes.CONFLICT}
