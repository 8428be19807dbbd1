"""What AWS has to allow for exports to a bucket.

Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization Reference: `HeadBucket`
needs `s3:ListBucket`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.aws.arn import arn
from bot.aws.clients import Access
from bot.core.rights import Grant, Right, Use

_PUT_EXPORT = Right("s3:PutObject", "the exported records", ("s3:PutObject",), Use.EXPORT)
_FIND_EXPORTS = Right("s3:ListBucket", "doctor: is the export bucket there", ("s3:HeadBucket",), Use.EXPORT)


def export_grants(bucket: str, prefix: str, access: Access) -> Iterator[Grant]:
    """For `export.s3`."""
    place, inside = arn("s3", bucket, access, regional=False), prefix.strip("/")
    yield Grant(_FIND_EXPORTS, place)
    yield Grant(_PUT_EXPORT, f"{place}/{inside}/*" if inside else f"{place}/*")
