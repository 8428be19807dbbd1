"""Azure Blob Storage as a kind of backend."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from bot.backends.azurerm.credentials import SharedAccessSignature, default_credentials
from bot.backends.azurerm.section import Backend
from bot.backends.azurerm.store import DELETE, READ, SERVICE, AzureStore, Container, errors, is_leased
from bot.backends.credentials import Credentials
from bot.backends.frame import Means, Store
from bot.backends.holding import HoldingBackend
from bot.backends.proof import Proofs
from bot.backends.remote import LISTED_WITHIN, Folder, ListingSweep, observed
from bot.core.evidence import Observation
from bot.core.lock import Abilities, Fence, PlaceKind, Rights
from bot.http.client import Client, Limits

CAN = Abilities(conditional=True, fence=Fence.ENFORCED, shows_holder=True, versions=True, swap=True)
_LIMITS = Limits(connect=3, read=8, overall=10)


class AzureKind:
    system = "azurerm backend"
    rights = Rights(
        grant="a role of the bot's identity on the container (Storage Blob Data Contributor), or in the SAS",
        state=READ,
        versions=READ,
        trial=DELETE,
        sweep=READ,
        swept=PlaceKind.LEASE,
        container="storage account",
        honours="Azure Blob Storage does",
    )

    def open(self, section: Backend, means: Means) -> Store:
        address = _address(section)
        backend = HoldingBackend(
            AzureStore(_container(section, means), section.blob),
            CAN,
            means.clock,
            address=address,
            proofs=Proofs(means.records, means.clock),
            endpoint=None if section.endpoint_url is None else f"{address} {section.container}",
        )
        return Store(backend=backend, holds=backend)

    def sweep(self, sections: Mapping[str, Backend], means: Means) -> ListingSweep[AzureStore]:
        stores = {name: AzureStore(_container(section, means), section.blob) for name, section in sections.items()}
        return ListingSweep(
            stores,
            means.clock,
            path_of=lambda store: store.blob,
            way_to=lambda name: _way(sections[name]),
            held=_held,
        )

    async def states(self, section: Backend, means: Means, beginning: str) -> Observation[tuple[str, ...]]:
        container, at = _container(section, means), means.clock.now()
        about = f"{container.name}/{beginning}"

        async def listed() -> tuple[str, ...]:
            found = await container.listed(about, beginning, "metadata")
            return tuple(entry.findtext("Name", "") for entry in found)

        return await observed(listed, SERVICE, READ, at, within=LISTED_WITHIN)

    async def warm(self, sections: Mapping[str, Backend], means: Means) -> None:
        """Nothing: a client is made in no time."""


KIND = AzureKind()


async def _held(folder: Folder[AzureStore]) -> Mapping[str, AzureStore]:
    """The leases in one folder of a container."""
    container = folder.any.container
    found = await container.listed(f"{container.name}/{folder.prefix}", folder.prefix, "metadata")
    leased = {entry.findtext("Name", "") for entry in found if is_leased(entry)}
    return {name: store for name, store in folder.stores.items() if store.blob in leased}


def _address(section: Backend) -> str:
    return section.endpoint_url or f"https://{section.storage_account}.blob.core.windows.net"


def _way(section: Backend) -> tuple[str, str, str | None]:
    return _address(section), section.container, section.sas_token_env


def _container(section: Backend, means: Means) -> Container:
    """One for all states in the container, with one client."""
    key = ("azurerm", _way(section))
    if key not in means.shared:
        client = Client(SERVICE, _address(section), headers=dict, errors=errors, clock=means.clock, limits=_LIMITS)
        means.closing.append(client.aclose)
        means.shared[key] = Container(client, _credentials(section, means), section.container)
    container: Container = means.shared[key]
    return container


def _credentials(section: Backend, means: Means) -> Credentials:
    """Raises ConfigInvalid where Azure's library is wanted and not installed."""
    if section.sas_token_env is None:
        return default_credentials(SERVICE)
    return SharedAccessSignature(means.secrets.get(section.sas_token_env, SecretStr("")))
