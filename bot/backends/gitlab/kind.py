"""GitLab's managed states as a kind of backend."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from bot.backends.frame import Means, Store, Writing
from bot.backends.gitlab.section import Backend
from bot.backends.gitlab.store import ADMIN, READ, SERVICE, GitLabStore, Project, is_locked
from bot.backends.gitlab.writings import newest
from bot.backends.remote import LISTED_WITHIN, LONG_LIST, Folder, ListingSweep, RemoteBackend, observed
from bot.core.evidence import Observation
from bot.core.lock import Abilities, Fence, PlaceKind, Rights
from bot.http.client import Absent, Client, Errors, Limits, Refusal, denied

CAN = Abilities(conditional=True, fence=Fence.ENFORCED, shows_holder=False, versions=True, swap=False, tries_held=True)
_LIMITS = Limits(connect=3, read=8, overall=10)


class GitLabKind:
    system = "gitlab backend"
    rights = Rights(
        grant="the project to the token's user (role) and to the token (scope)",
        state=READ,
        versions=READ,
        trial=ADMIN,
        sweep=READ,
        swept=PlaceKind.RECORD,
        container="project",
        honours="GitLab does",
    )

    def open(self, section: Backend, means: Means) -> Store:
        project = _project(section, means)
        store = GitLabStore(project, section.state)

        async def writings(_: int) -> Observation[tuple[Writing, ...]]:
            at = means.clock.now()
            return await observed(lambda: newest(project, section.state), SERVICE, READ, at, within=LISTED_WITHIN)

        return Store(backend=RemoteBackend(store, CAN, means.clock, address=section.base_url), writings=writings)

    def sweep(self, sections: Mapping[str, Backend], means: Means) -> ListingSweep[GitLabStore]:
        stores = {name: GitLabStore(_project(section, means), section.state) for name, section in sections.items()}
        return ListingSweep(
            stores,
            means.clock,
            path_of=lambda _: "",  # one list has all states of a project
            way_to=lambda name: _way(sections[name]),
            held=_held,
            call_timeout=LONG_LIST,
        )

    async def states(self, section: Backend, means: Means, beginning: str) -> Observation[tuple[str, ...]]:
        project, at = _project(section, means), means.clock.now()
        return await observed(lambda: project.names(beginning), SERVICE, READ, at, within=LISTED_WITHIN)

    async def warm(self, sections: Mapping[str, Backend], means: Means) -> None:
        """Nothing: a client is made in no time."""


KIND = GitLabKind()


async def _held(folder: Folder[GitLabStore]) -> Mapping[str, GitLabStore]:
    """The states of one project that are locked, each with what the list says of it."""
    project = folder.any.project
    listed = await project.listed()
    if not listed:
        await project.may_read(folder.any.name)
    locked = {entry["name"]: entry for entry in listed if is_locked(entry)}
    return {
        name: GitLabStore(project, store.name, locked[store.name])
        for name, store in folder.stores.items()
        if store.name in locked
    }


def _way(section: Backend) -> tuple[str, str, str]:
    return section.api, section.project, section.token_env


def _project(section: Backend, means: Means) -> Project:
    """One for all states of the project, with one client."""
    key = ("gitlab", _way(section))
    if key not in means.shared:
        token, variable = means.secrets.get(section.token_env, SecretStr("")), section.token_env

        def headers() -> Mapping[str, str]:
            return {"PRIVATE-TOKEN": token.get_secret_value()}

        def errors(no: Refusal) -> Errors:
            """How GitLab says no ("REST API", status codes)."""
            refused = f"GitLab denies {no.deed} (403): the user and the token of {variable} need {no.needs}"
            return {
                401: denied(f"GitLab refuses the token (401): {variable} is wrong, expired or revoked"),
                403: denied(refused),
                404: Absent(f"project {section.project}, or the token may not see {no.about}"),
                429: no.throttled("GitLab throttles the bot", patience=1),
            }

        client = Client(SERVICE, section.api, headers=headers, errors=errors, clock=means.clock, limits=_LIMITS)
        project = means.shared[key] = Project(client, section.project)
        means.closing.append(project.aclose)
    found: Project = means.shared[key]
    return found
