"""AWS's errors in this program's words, mapped in one place.

Sources: "Error responses" of the Amazon S3 API, "Error handling with DynamoDB", botocore's `retries.standard`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from bot.core.evidence import NotFound, Trouble, Unseen
from bot.errors import UpstreamError

_SYSTEMS = {"cloudwatch": "CloudWatch", "dynamodb": "DynamoDB", "s3": "S3", "sts": "STS"}
_THROTTLING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NOT_ACCEPTED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_HINTS = {"s3:GetObject": " (s3:ListBucket is needed, too: without it S3 denies what is not there)"}
_PATIENCE = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_CONDITION_FAILED = frozenset({"ConditionalCheckFailedException", "PreconditionFailed"})
_CONFLICT = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthorizationError"})
_MISSING = {
    "404": "object",
    "NoSuchBucket": "bucket",
    "NoSuchKey": "object",
    "NoSuchVersion": "object",
    "ResourceNotFoundException": "table",
}


class AwsError(UpstreamError):
    """What AWS said instead of doing what was asked.

    `trouble` is None where it answered with a plain no, and did nothing: `missing` then names what does not exist
    (`object`, `bucket` or `table`), or a condition did not hold. `code` is AWS's own, empty where no answer came.
    `answer` is the error as botocore parsed it; `retry_after` in seconds.
    """

    def __init__(
        self,
        system: str,
        detail: str,
        *,
        trouble: Trouble | None,
        code: str = "",
        missing: str | None = None,
        retry_after: float | None = None,
        answer: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(system, detail)
        self.trouble = trouble
        self.code = code
        self.missing = missing
        self.retry_after = retry_after
        self.answer = answer or {}

    @property
    def is_open(self) -> bool:
        """True if AWS may have done what was asked all the same; False if it has answered that it did not."""
        lost = {Trouble.TIMED_OUT, Trouble.NO_CONNECTION, Trouble.SERVER_ERROR}
        return self.trouble in lost or (self.trouble is Trouble.GARBLED and not self.code)

    def as_observation(self, at: datetime) -> Unseen | NotFound:
        """The error as the outcome of a look-up that was begun at this time."""
        if self.trouble is None:
            return NotFound(self.system, self.detail, at)
        return Unseen(self.system, self.trouble, self.detail, at, self.retry_after)


def is_passing(error: Exception) -> bool:
    """True if the same question may well be answered when it is asked again at once."""
    passing = {Trouble.THROTTLED, Trouble.NO_CONNECTION, Trouble.SERVER_ERROR}
    return isinstance(error, AwsError) and error.trouble in passing


@contextmanager
def translated(action: str, target: str) -> Iterator[None]:
    """Turns everything that botocore raises into AwsError.

    `action` is the IAM action that the call needs (`dynamodb:GetItem`), `target` what it is done to (`table locks`).
    """
    system = system_of(action)
    try:
        yield
    except ClientError as error:
        raise _answered(error, action, target) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError) as error:
        detail = f"no usable AWS credentials were found for {action}"
        raise AwsError(system, detail, trouble=Trouble.DENIED) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise timed_out(action, target) from error
    except (NoConnectionError, HTTPClientError, IncompleteReadError) as error:
        detail = f"the connection to {system} failed or was cut during {action} on {target}"
        raise AwsError(system, detail, trouble=Trouble.NO_CONNECTION) from error
    except (BotoCoreError, ResponseParserError) as error:
        detail = f"{action} on {target} brought no usable answer ({type(error).__name__})"
        raise AwsError(system, detail, trouble=Trouble.GARBLED) from error


def timed_out(action: str, target: str) -> AwsError:
    """The error for a call that took longer than it was given."""
    system = system_of(action)
    return AwsError(system, f"{system} did not answer {action} on {target} in time", trouble=Trouble.TIMED_OUT)


def system_of(action: str) -> str:
    """The proper name of the service that an IAM action belongs to."""
    return _SYSTEMS[action.partition(":")[0]]


def _answered(error: ClientError, action: str, target: str) -> AwsError:
    if error.operation_name == "AssumeRole":
        action, target = "sts:AssumeRole", "the configured role"
    system = system_of(action)
    code = str(error.response.get("Error", {}).get("Code", ""))
    http = error.response.get("ResponseMetadata", {})
    trouble, detail = _meaning(code, int(http.get("HTTPStatusCode", 0)), system, action, target)
    return AwsError(
        system,
        detail,
        trouble=trouble,
        code=code,
        missing=_MISSING.get(code),
        retry_after=_seconds(http.get("HTTPHeaders", {}).get("retry-after")),
        answer=error.response,
    )


def _meaning(code: str, status: int, system: str, action: str, target: str) -> tuple[Trouble | None, str]:
    if code in _THROTTLING or status in _PATIENCE:
        return Trouble.THROTTLED, f"{system} throttles {action} on {target} ({code or status})"
    if code in _NOT_ACCEPTED:
        return Trouble.DENIED, f"{system} does not accept the AWS credentials ({code})"
    if code in _DENIED or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Trouble.DENIED, f"{system} denies {action} on {target}{_HINTS.get(action, '')}"
    plain = _plain_no(code, status, action, target)
    if plain:
        return None, plain
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Trouble.SERVER_ERROR, f"{system} failed with {status} at {action} on {target}"
    return Trouble.GARBLED, f"{system} refused {action} on {target} ({code or status})"


def _plain_no(code: str, status: int, action: str, target: str) -> str | None:
    if code in _CONDITION_FAILED or status == HTTPStatus.PRECONDITION_FAILED:
        return f"the condition of {action} on {target} did not hold"
    if code in _CONFLICT:
        return f"{target} was being changed at the same time"
    if code in _MISSING:
        return target if _MISSING[code] != "bucket" else f"the bucket of {target}"
    return None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None
