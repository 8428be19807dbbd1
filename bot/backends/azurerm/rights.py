"""What Azure has to allow for states in Blob Storage.

Source: "Permissions for calling data operations" in the REST reference of Azure Storage. A role's data actions apply to
every blob of a container.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.backends.azurerm.store import DELETE, READ, WRITE
from bot.core.rights import Grant, Right, Use

if TYPE_CHECKING:
    from bot.backends.azurerm.section import Backend

CLOUD = "azure"

RIGHTS = (
    Right(READ, "the state, its lease and its older versions", ("GET /{container}", "GET /{container}/{blob}",
                                                             "HEAD /{container}/{blob}")),
    Right(WRITE, "the release of a lease by its ID; a hold", ("PUT /{container}/{blob}",), Use.RELEASE),
    Right(DELETE, "doctor: removes the blob that it tried", ("DELETE /{container}/{blob}",), Use.TRIAL),
)  # fmt: skip


def container_of(section: Backend) -> str:
    return (
        "/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Storage/storageAccounts/"
        f"{section.storage_account}/blobServices/default/containers/{section.container}"
    )


def grants(section: Backend) -> Iterator[Grant]:
    """For one state. The subscription and the resource group are not in the configuration."""
    return (Grant(right, container_of(section)) for right in RIGHTS)
