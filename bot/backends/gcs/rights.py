"""What Google has to allow for states in Cloud Storage.

Source: "IAM permissions for JSON methods" in the documentation of Cloud Storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.core.rights import Grant, Right, Use

if TYPE_CHECKING:
    from bot.backends.gcs.section import Backend

CLOUD = "google"

RIGHTS = (
    Right("storage.objects.get", "the state, its lock and its older versions", ("GET /b/{bucket}/o/{object}",)),
    Right("storage.objects.list", "the locks of many states at once, and older versions", ("GET /b/{bucket}/o",)),
    Right("storage.objects.delete", "the lock object, under a condition", ("DELETE /b/{bucket}/o/{object}",),
          Use.RELEASE),
    Right("storage.buckets.get", "doctor: are old versions kept", ("GET /b/{bucket}",), Use.DETAIL),
    Right("storage.objects.create", "a hold, under a condition, and doctor's throw-away lock",
          ("POST /upload/storage/v1/b/{bucket}/o",), Use.HOLD),
)  # fmt: skip


def grants(section: Backend) -> Iterator[Grant]:
    """For one state."""
    return (Grant(right, section.bucket) for right in RIGHTS)
