"""What ECS and botocore say when a call brings nothing, in this program's words, mapped in one place.

Sources: "Common errors" and each action's errors in the Amazon ECS API reference, botocore's `retries.standard`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

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

from bot.core.evidence import Trouble
from bot.http.client import Absent, Failed

SYSTEM = "ECS"
_THROTTLING = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})
_NOT_ACCEPTED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NO_SUCH_TASK = re.compile(r"task was not found|invalid (task )?identifier|taskid", re.IGNORECASE)


@contextmanager
def translated(action: str, about: str) -> Iterator[None]:
    """Turns everything that botocore raises into Failed or Absent. `action` is the IAM action that the call needs."""
    try:
        yield
    except (Failed, Absent):
        raise
    except ClientError as error:
        raise _answered(error, action, about) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError) as error:
        raise Failed(Trouble.DENIED, f"no usable AWS credentials were found for {action}") from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise Failed(Trouble.TIMED_OUT, f"ECS did not answer {action} in time") from error
    except (NoConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise Failed(Trouble.NO_CONNECTION, f"the connection to ECS failed or was cut during {action}") from error
    except BotoCoreError as error:
        raise Failed(Trouble.GARBLED, f"{action} brought no usable answer ({type(error).__name__})") from error
    except Exception as error:
        # botocore reads an answer without checking it first, and trips over one of another shape in any way there is
        raise Failed(Trouble.GARBLED, f"ECS gave an answer to {action} of another shape than documented") from error


def _answered(error: ClientError, action: str, about: str) -> Failed | Absent:
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "ClusterNotFoundException":
        return Absent(f"{about}: there is no such cluster in this region and account")
    if code == "InvalidParameterException" and _NO_SUCH_TASK.search(message):
        return Absent(about)
    trouble, detail = _meaning(code, status, action, about)
    return Failed(trouble, detail)


def _meaning(code: str, status: int, action: str, about: str) -> tuple[Trouble, str]:
    if code in _THROTTLING or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Trouble.THROTTLED, f"ECS throttles {action} ({code or status})"
    if code in _NOT_ACCEPTED:
        return Trouble.DENIED, f"ECS does not accept the AWS credentials ({code})"
    if code.startswith("AccessDenied") or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Trouble.DENIED, f"ECS denies {about} ({code or status}): the bot's role needs {action}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code == "ServerException":
        return Trouble.SERVER_ERROR, f"ECS has trouble of its own ({code or status})"
    return Trouble.GARBLED, f"ECS refused {action} on {about} ({code or status})"
