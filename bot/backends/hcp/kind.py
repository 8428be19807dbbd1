"""HCP Terraform and Terraform Enterprise as a kind of backend."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from bot.backends.frame import Means, Store, Writing
from bot.backends.hcp.section import Backend
from bot.backends.hcp.store import OF_ACCOUNTS, HcpStore
from bot.backends.remote import LISTED_WITHIN, LONG_LIST, Folder, ListingSweep, RemoteBackend, observed
from bot.core.evidence import Observation
from bot.core.lock import PlaceKind, Rights
from bot.hcp.api import MANY, READ, SYSTEM, Resource, client_of, listing, projects_path, workspaces_path
from bot.http.client import Absent, Client, Limits
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

        async def writings(most: int) -> Observation[tuple[Writing, ...]]:
            return await observed(lambda: store.writings(most), SYSTEM, READ, means.clock.now(), within=LISTED_WITHIN)

        return Store(backend=RemoteBackend(store, OF_ACCOUNTS, means.clock, address=section.address), writings=writings)

    def sweep(self, sections: Mapping[str, Backend], means: Means) -> ListingSweep[HcpStore]:
        return ListingSweep(
            {name: _store(section, means) for name, section in sections.items()},
            means.clock,
            path_of=lambda store: store.target,
            way_to=lambda name: _way(sections[name]),
            held=_held,
            call_timeout=LONG_LIST,
        )

    async def states(self, section: Backend, means: Means, beginning: str) -> Observation[tuple[str, ...]]:
        client, at = _client(section, means), means.clock.now()
        return await observed(lambda: _names(client, section, beginning), SYSTEM, READ, at, within=LISTED_WITHIN)

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

    found = await listing(store.client, path, about, "workspaces", {}, until=is_last, extent=MANY)
    free = {_name(entry) for entry in found if entry.attributes.get("locked") is False}
    return {name: each for name, each in folder.stores.items() if each.workspace.casefold() not in free}


async def _names(client: Client, section: Backend, beginning: str) -> tuple[str, ...]:
    """The workspaces that begin so, of the section's project and with all of its tags.

    Each is looked at again: an installation takes no notice of a filter that it does not know. Source:
    `WorkspaceListOptions` of HashiCorp's go-tfe.
    """
    about, params = f"the workspaces of {section.organization}", dict[str, str]()
    if beginning:
        params["search[wildcard-name]"] = f"{beginning}*"
    if section.tags:
        params["search[tags]"] = ",".join(section.tags)
    project = None if section.project is None else await _project_id(client, section.organization, section.project)
    if project is not None:
        params["filter[project][id]"] = project
    path = workspaces_path(section.organization)
    found = await listing(client, path, about, "workspaces", params, extent=MANY)
    return tuple(
        name
        for each in found
        if (name := text(each.attributes.get("name"))).startswith(beginning)
        and (project is None or each.points_at("project") == ("projects", project))
        and {tag.casefold() for tag in section.tags} <= _tags(each)
    )


async def _project_id(client: Client, organization: str, name: str) -> str:
    """Raises Absent for a project that is not there, or that the token may not see."""
    about = f"the projects of {organization}"
    found = await listing(client, projects_path(organization), about, "projects", {"filter[names]": name})
    same = [each.id for each in found if text(each.attributes.get("name")).casefold() == name.casefold()]
    if len(same) != 1:
        raise Absent(f"project {name} in {organization}, or the token may not see it")
    return same[0]


def _tags(workspace: Resource) -> set[str]:
    tags = workspace.attributes.get("tag-names")
    return {text(tag).casefold() for tag in tags} if isinstance(tags, list) else set()


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
