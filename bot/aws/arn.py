"""Names of things in AWS, for policies. What the configuration does not say is `*`."""

from __future__ import annotations

import re

from bot.aws.clients import Access

_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}
_ROLE = re.compile(r"arn:[a-z-]+:iam::(\d{12}):role/.+")


def arn(service: str, resource: str, access: Access, *, regional: bool = True) -> str:
    """`resource` as AWS writes it behind the account, or already an ARN. An S3 name has neither region nor account."""
    if resource.startswith("arn:"):
        return resource
    region = access.region or ""
    partition = next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")
    if not regional:
        return f"arn:{partition}:{service}:::{resource}"
    role = _ROLE.fullmatch(access.assume_role or "")
    return f"arn:{partition}:{service}:{region or '*'}:{role[1] if role else '*'}:{resource}"
