"""Google Cloud Storage as a kind of backend."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from bot.backends.credentials import Credentials, GivenToken
from bot.backends.frame import Means, Store
from bot.backends.gcs.credentials import default_credentials
from bot.backends.gcs.section import Backend
from bot.backends.gcs.store import GOOGLES, SERVICE, Bucket, GcsStore, errors
from bot.backends.holding import HoldingBackend
from bot.backends.proof import Proofs
from bot.backends.remote import LISTED_WITHIN, Folder, ListingSweep, observed
from bot.core.evidence import Observation
from bot.core.lock import Abilities, Fence, PlaceKind, Rights
from bot.http.client import Client, Limits
from bot.http.values import text

CAN = Abilities(conditional=True, fence=Fence.NONE, shows_holder=True, versions=True, swap=True)
_LIMITS = Limits(connect=3, read=8, overall=10)
_API = "/storage/v1"


class GcsKind:
    system = "gcs backend"
    rights = Rights(
        grant="a role on the bucket for the bot's account",
        state="storage.objects.get and storage.objects.list",
        versions="storage.buckets.get",
        trial="storage.objects.create",
        sweep="storage.objects.list",
        swept=PlaceKind.FILE,
        container="bucket",
        honours="Google Cloud Storage does",
    )

    def open(self, section: Backend, means: Means) -> Store:
        store = GcsStore(_bucket(section, means), section.object_base)
        own = section.endpoint_url
        address = _address(section)
        backend = HoldingBackend(
            store,
            CAN,
            means.clock,
            address=address,
            proofs=Proofs(means.records, means.clock),
            endpoint=None if own is None else f"{address} {section.bucket}",
        )
        return Store(backend=backend, holds=backend)

    def sweep(self, sections: Mapping[str, Backend], means: Means) -> ListingSweep[GcsStore]:
        stores = {name: GcsStore(_bucket(section, means), section.object_base) for name, section in sections.items()}
        return ListingSweep(
            stores,
            means.clock,
            path_of=lambda store: store.base,
            way_to=lambda name: _way(sections[name]),
            held=_held,
        )

    async def states(self, section: Backend, means: Means, beginning: str) -> Observation[tuple[str, ...]]:
        bucket, at = _bucket(section, means), means.clock.now()
        about = f"gs://{bucket.name}/{beginning}"

        async def listed() -> tuple[str, ...]:
            found = await bucket.listed(about, prefix=beginning, fields="items(name),nextPageToken")
            names = (text(item.get("name")) for item in found)
            states = (name.removesuffix(".tflock") + ".tfstate" if name.endswith(".tflock") else name for name in names)
            return tuple(dict.fromkeys(states))

        return await observed(listed, SERVICE, "storage.objects.list", at, within=LISTED_WITHIN)

    async def warm(self, sections: Mapping[str, Backend], means: Means) -> None:
        """Nothing: a client is made in no time."""


KIND = GcsKind()


async def _held(folder: Folder[GcsStore]) -> Mapping[str, GcsStore]:
    """The locks in one folder of a bucket."""
    bucket, fields = folder.any.bucket, "items(name),nextPageToken"
    about = f"gs://{bucket.name}/{folder.prefix}"
    found = await bucket.listed(about, prefix=folder.prefix, matchGlob="**.tflock", fields=fields)
    locks = {item.get("name") for item in found}
    return {name: store for name, store in folder.stores.items() if store.lock_name in locks}


def _address(section: Backend) -> str:
    """The service's address. Terraform's `storage_custom_endpoint` is taken, too, which has the API's path."""
    return (section.endpoint_url or GOOGLES).removesuffix("/b").removesuffix(_API)


def _way(section: Backend) -> tuple[str, str, str | None]:
    return _address(section), section.bucket, section.access_token_env


def _bucket(section: Backend, means: Means) -> Bucket:
    """One for all states in the bucket, with one client."""
    key = ("gcs", _way(section))
    if key not in means.shared:
        client = Client(SERVICE, _address(section), headers=dict, errors=errors, clock=means.clock, limits=_LIMITS)
        means.closing.append(client.aclose)
        means.shared[key] = Bucket(client, _credentials(section, means), section.bucket)
    bucket: Bucket = means.shared[key]
    return bucket


def _credentials(section: Backend, means: Means) -> Credentials:
    """Raises ConfigInvalid where Google's library is wanted and not installed."""
    if section.access_token_env is None:
        return default_credentials(SERVICE)
    return GivenToken(means.secrets.get(section.access_token_env, SecretStr("")))
