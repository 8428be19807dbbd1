"""AWS's error codes and what each means: one table for the adapters and for the texts that people paste.

Sources: "Error responses" of the Amazon S3 API, "Error handling with DynamoDB", "Common errors" of the Amazon ECS API,
botocore's `retries.standard`, aws-sdk-go-v2's error codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto


class Meaning(Enum):
    """What an answer of AWS's that is an error means. The `NO_…` name what does not exist."""

    THROTTLED = auto()
    NOT_ACCEPTED = auto()
    DENIED = auto()
    CONDITION_FAILED = auto()
    CONFLICT = auto()
    NO_OBJECT = auto()
    NO_BUCKET = auto()
    NO_TABLE = auto()
    NO_CLUSTER = auto()
    NO_TASK = auto()
    OWN_TROUBLE = auto()
    REFUSED = auto()


CODES: Mapping[str, Meaning] = {
    "ProvisionedThroughputExceeded": Meaning.THROTTLED,
    "RequestLimitExceeded": Meaning.THROTTLED,
    "SlowDown": Meaning.THROTTLED,
    "Throttled": Meaning.THROTTLED,
    "Throttling": Meaning.THROTTLED,
    "TooManyRequests": Meaning.THROTTLED,
    "ExpiredToken": Meaning.NOT_ACCEPTED,
    "IncompleteSignature": Meaning.NOT_ACCEPTED,
    "InvalidAccessKeyId": Meaning.NOT_ACCEPTED,
    "InvalidClientTokenId": Meaning.NOT_ACCEPTED,
    "InvalidSignature": Meaning.NOT_ACCEPTED,
    "InvalidToken": Meaning.NOT_ACCEPTED,
    "MissingAuthenticationToken": Meaning.NOT_ACCEPTED,
    "SignatureDoesNotMatch": Meaning.NOT_ACCEPTED,
    "UnrecognizedClient": Meaning.NOT_ACCEPTED,
    "AccessDenied": Meaning.DENIED,
    "AllAccessDisabled": Meaning.DENIED,
    "AuthorizationError": Meaning.DENIED,
    "ConditionalCheckFailed": Meaning.CONDITION_FAILED,
    "PreconditionFailed": Meaning.CONDITION_FAILED,
    "ConditionalRequestConflict": Meaning.CONFLICT,
    "OperationAborted": Meaning.CONFLICT,
    "404": Meaning.NO_OBJECT,  # S3's answer to HEAD has no body, so botocore puts the status here
    "NoSuchKey": Meaning.NO_OBJECT,
    "NoSuchVersion": Meaning.NO_OBJECT,
    "NoSuchBucket": Meaning.NO_BUCKET,
    "ResourceNotFound": Meaning.NO_TABLE,
    "ClusterNotFound": Meaning.NO_CLUSTER,
}
"""Without the `Exception` at the end, which some services add to the same code and others do not."""


def meaning_of(code: str) -> Meaning | None:
    """What the code means; None for one that says nothing beyond the answer's HTTP status."""
    return CODES.get(code.removesuffix("Exception"))


def codes_for(meaning: Meaning) -> tuple[str, ...]:
    return tuple(code for code, what in CODES.items() if what is meaning)
