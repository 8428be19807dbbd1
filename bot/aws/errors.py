"""AWS's errors in this program's words, mapped in one place. What AWS's codes mean is in `bot.core.aws_codes`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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

from bot.aws.sending import KeptBack
from bot.core.aws_codes import Meaning, meaning_of
from bot.core.evidence import NotFound, Trouble, Unseen
from bot.errors import Denied, Missing, Rejected, Throttled, Unreachable, UpstreamError

_SYSTEMS = {
    "cloudwatch": "CloudWatch",
    "dynamodb": "DynamoDB",
    "ecs": "ECS",
    "logs": "CloudWatch Logs",
    "s3": "S3",
    "sts": "STS",
}
_HINTS = {
    "s3:GetObject": " (s3:ListBucket is needed, too: without it S3 answers 403 for an object that does not exist)"
}
_NO_SUCH_TASK = re.compile(r"task was not found|invalid (task )?identifier|taskid", re.IGNORECASE)
_BY_STATUS: Mapping[int, Meaning] = {
    HTTPStatus.UNAUTHORIZED: Meaning.DENIED,
    HTTPStatus.FORBIDDEN: Meaning.DENIED,
    HTTPStatus.PRECONDITION_FAILED: Meaning.CONDITION_FAILED,
    HTTPStatus.TOO_MANY_REQUESTS: Meaning.THROTTLED,
}
_NO_CREDENTIALS = (
    "no AWS credentials were found for {action}. tflock looked for AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, a "
    "profile (AWS_PROFILE), a web identity (AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN), and the role of its task, "
    "pod or machine: give it one of them"
)
_MISSING = {
    Meaning.NO_OBJECT: "object",
    Meaning.NO_BUCKET: "bucket",
    Meaning.NO_TABLE: "table",
    Meaning.NO_CLUSTER: "cluster",
    Meaning.NO_TASK: "task",
}

_ODD = (ResponseParserError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""botocore reads an answer without checking it first, and trips over one of another shape in any way there is."""

_DENIES = "{system} denies {action}{on}{hint}"
_FAILS = "{system} failed with {status} at {action}{on}"
_ODD_SHAPE = "{action}{on} brought no usable answer ({error})"
_ANSWERS: Mapping[Meaning, tuple[Trouble | None, str]] = {
    Meaning.THROTTLED: (Trouble.THROTTLED, "{system} throttles {action}{on} ({said})"),
    Meaning.NOT_ACCEPTED: (Trouble.DENIED, "{system} does not accept the AWS credentials ({said})"),
    Meaning.DENIED: (Trouble.DENIED, _DENIES),
    Meaning.CONDITION_FAILED: (None, "the condition of {action} on {target} did not hold"),
    Meaning.CONFLICT: (None, "{target} was being changed at the same time"),
    Meaning.NO_OBJECT: (None, "{target}"),
    Meaning.NO_BUCKET: (None, "the bucket of {target}"),
    Meaning.NO_TABLE: (None, "{target}"),
    Meaning.NO_CLUSTER: (None, "{target}: there is no such cluster in this region and account"),
    Meaning.NO_TASK: (None, "{target}"),
    Meaning.OWN_TROUBLE: (Trouble.SERVER_ERROR, _FAILS),
    Meaning.REFUSED: (Trouble.GARBLED, "{system} refused {action} on {target} ({said})"),
}
_ECS_WORDS = {
    _DENIES: "{system} denies {target} ({said}): the bot's role needs {action}",
    _FAILS: "{system} returned an error ({said})",
    _ODD_SHAPE: "{system} gave an answer to {action} in a different form than documented",
}
"""What ECS is asked about is a phrase (`the tasks of production in cluster terraform`), too long for the others."""


class AwsError(UpstreamError):
    """What AWS said instead of doing what was asked. Raised as one of the kinds of `bot.errors`, by `aws_error`.

    `trouble` is None where it answered with a plain no, and did nothing: `missing` then names what does not exist
    (`object`, `bucket` …), or a condition did not hold. `code` is AWS's own, empty where no answer came.
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


class AwsUnreachable(AwsError, Unreachable):
    pass


class AwsThrottled(AwsError, Throttled):
    pass


class AwsDenied(AwsError, Denied):
    pass


class AwsMissing(AwsError, Missing):
    pass


class AwsRejected(AwsError, Rejected):
    pass


def aws_error(
    system: str, detail: str, *, trouble: Trouble | None, code: str = "", missing: str | None = None, **more: Any
) -> AwsError:
    """The error of the kind that its facts make it."""
    kind: type[AwsError] = AwsUnreachable
    if trouble is None:
        kind = AwsMissing if missing else AwsRejected
    elif trouble in {Trouble.THROTTLED, Trouble.DENIED, Trouble.NO_CREDENTIALS}:
        kind = AwsThrottled if trouble is Trouble.THROTTLED else AwsDenied
    elif trouble is Trouble.GARBLED and code:
        kind = AwsRejected
    return kind(system, detail, trouble=trouble, code=code, missing=missing, **more)


def may_be_asked_again(error: Exception) -> bool:
    """True if the same question may well be answered when it is asked again at once: not after a time-out."""
    passing = {Trouble.THROTTLED, Trouble.NO_CONNECTION, Trouble.SERVER_ERROR}
    return isinstance(error, AwsError) and error.trouble in passing


@contextmanager
def translated(action: str, target: str) -> Iterator[None]:
    """Turns everything that botocore raises into AwsError.

    `action` is the IAM action that the call needs (`dynamodb:GetItem`), `target` what it is done to (`table locks`).
    """
    try:
        yield
    except ClientError as error:
        raise _answered(error, action, target) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise _failed(action, target, Trouble.NO_CREDENTIALS, _NO_CREDENTIALS) from error
    except (CredentialRetrievalError, TokenRetrievalError) as error:
        words = "the AWS credentials for {action} could not be fetched: have they expired, is their source right?"
        raise _failed(action, target, Trouble.DENIED, words) from error
    except (ConnectTimeoutError, ReadTimeoutError, KeptBack) as error:
        raise timed_out(action, target) from error
    except (NoConnectionError, HTTPClientError, IncompleteReadError) as error:
        if isinstance(error, HTTPClientError) and isinstance(error.kwargs.get("error"), KeptBack):
            raise timed_out(action, target) from error
        words = "the connection to {system} failed or was cut during {action}{on}"
        raise _failed(action, target, Trouble.NO_CONNECTION, words) from error
    except BotoCoreError as error:
        words = f"{{action}}{{on}} brought no usable answer ({type(error).__name__})"
        raise _failed(action, target, Trouble.GARBLED, words) from error
    except _ODD as error:
        raise _failed(action, target, Trouble.GARBLED, _ODD_SHAPE, error=type(error).__name__) from error


def timed_out(action: str, target: str) -> AwsError:
    """The error for a call that took longer than it was given."""
    return _failed(action, target, Trouble.TIMED_OUT, "{system} did not answer {action}{on} in time")


def system_of(action: str) -> str:
    """The proper name of the service that an IAM action belongs to."""
    return _SYSTEMS[action.partition(":")[0]]


def _failed(action: str, target: str, trouble: Trouble, words: str, **more: str) -> AwsError:
    system = system_of(action)
    return aws_error(system, _worded(words, system, action, target, **more), trouble=trouble)


def _answered(error: ClientError, action: str, target: str) -> AwsError:
    if error.operation_name == "AssumeRole":
        action, target = "sts:AssumeRole", "the configured role"
    system = system_of(action)
    said, http = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, status = str(said.get("Code", "")), int(http.get("HTTPStatusCode", 0))
    meaning = _meaning(code, str(said.get("Message", "")), status, system)
    if code == str(int(HTTPStatus.NOT_FOUND)) and not error.operation_name.startswith("Head"):
        meaning = Meaning.REFUSED  # a 404 without a word about an object: from a gateway, not from the store
    trouble, words = _ANSWERS[meaning]
    return aws_error(
        system,
        _worded(words, system, action, target, said=code or status, status=status, hint=_HINTS.get(action, "")),
        trouble=trouble,
        code=code,
        missing=_MISSING.get(meaning),
        retry_after=_seconds(http.get("HTTPHeaders", {}).get("retry-after")),
        answer=error.response,
    )


def _meaning(code: str, message: str, status: int, system: str) -> Meaning:
    found = meaning_of(code) or _BY_STATUS.get(status)
    if found is None and status == HTTPStatus.SERVICE_UNAVAILABLE and system != "ECS":
        return Meaning.THROTTLED  # how S3 and DynamoDB ask for patience
    if found is None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Meaning.OWN_TROUBLE
    if code == "InvalidParameterException" and system == "ECS" and _NO_SUCH_TASK.search(message):
        return Meaning.NO_TASK
    return found or Meaning.REFUSED


def _worded(words: str, system: str, action: str, target: str, **more: object) -> str:
    if system == "ECS":
        return _ECS_WORDS.get(words, words).format(system=system, action=action, on="", target=target, **more)
    return words.format(system=system, action=action, on=f" on {target}", target=target, **more)


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None
