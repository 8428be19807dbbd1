"""HCP Terraform and Terraform Enterprise as a kind of backend."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from bot.backends.frame import Means, Store
from bot.backends.hcp.section import Backend
from bot.backends.hcp.store import OF_ACCOUNTS, HcpStore
from bot.backends.remote import Folder, ListingSweep, RemoteBackend
from bot.core.lock import PlaceKind, Rights
from bot.hcp.api import READ, SYSTEM, Resource, client_of, listing, workspaces_path
from bot.http.client import Client, Limits
from bot.http.values import text

_LIMITS = Limits(connect=3, read=8, overall=10)


class HcpKind:
    system = "hcp backend"
    rights = Rights(
        grant="the workspace's team access, for the team of the token",
        state=READ,
        versions=READ,
        trial=READ,
        sweep=READ,
        swept=PlaceKind.WORKSPACE,
        container="workspace",
        honours=f"{SYSTEM} does",
    )

    def open(self, section: Backend, means: Means) -> Store:
        store = _store(section, means)
        return Store(backend=RemoteBackend(store, OF_ACCOUNTS, means.clock, address=section.address))

    def sweep(self, sections: Mapping[str, Backend], means: Means) -> ListingSweep[HcpStore]:
        return ListingSweep(
            {name: _store(section, means) for name, section in sections.items()},
            means.clock,
            path_of=lambda store: store.target,
            way_to=lambda name: _way(sections[name]),
            held=_held,
        )

    async def warm(self, sections: Mapping[str, Backend], means: Means) -> None:
        """Nothing: a client is made in no time."""


KIND = HcpKind()


async def _held(folder: Folder[HcpStore]) -> Mapping[str, HcpStore]:
    """The workspaces of one organization that are locked, and those that its list does not show."""
    store = folder.any
    about, path = f"the workspaces of {store.organization}", workspaces_path(store.organization)
    missing = {each.workspace.casefold() for each in folder.stores.values()}

    def is_last(entry: Resource) -> bool:
        missing.discard(_name(entry))
        return not missing

    found = await listing(store.client, path, about, "workspaces", {}, until=is_last)
    free = {_name(entry) for entry in found if entry.attributes.get("locked") is False}
    return {name: each for name, each in folder.stores.items() if each.workspace.casefold() not in free}


def _name(workspace: Resource) -> str:
    return text(workspace.attributes.get("name")).casefold()


def _way(section: Backend) -> tuple[str, str]:
    return section.address, section.token_env


def _store(section: Backend, means: Means) -> HcpStore:
    return HcpStore(_client(section, means), section.organization, section.workspace)


def _client(section: Backend, means: Means) -> Client:
    """One for all states of one installation that are read with one token."""
    key = ("hcp", _way(section))
    if key not in means.shared:
        token = means.secrets.get(section.token_env, SecretStr(""))
        client = client_of(section.address, token, section.token_env, clock=means.clock, limits=_LIMITS)
        means.closing.append(client.aclose)
        means.shared[key] = client
    shared: Client = means.shared[key]
    return shared
