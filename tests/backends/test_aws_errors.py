"""What AWS answers and what botocore raises, as this program's errors."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from bot.aws.errors import AwsError, translated
from bot.core.aws_codes import CODES, Meaning, codes_for, meaning_of
from bot.core.evidence import Trouble
from bot.core.explain.explain import ErrorKind, explain
from bot.errors import Denied, Final, Missing, Passing, Rejected, Throttled, Unreachable

LOOKED_FOR = (
    "tflock looked for AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE), a web identity "
    "(AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN), and the role of its task, pod or machine: give it one of them"
)
THROTTLED, DENIED, GARBLED, SERVER = Trouble.THROTTLED, Trouble.DENIED, Trouble.GARBLED, Trouble.SERVER_ERROR
ITEM, TABLE = "dynamodb:GetItem", "table locks"
TASKS, ABOUT = "ecs:ListTasks", "the tasks of prod in cluster c"


def raised(error, action=ITEM, target=TABLE):
    with pytest.raises(AwsError) as caught, translated(action, target):
        raise error
    return caught.value


def answered(code, status, message="", operation="GetItem"):
    http = {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "7"}}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": http}, operation)


@pytest.mark.parametrize(
    ("action", "target", "code", "status", "trouble", "detail"),
    [
        (ITEM, TABLE, "Throttled", 400, THROTTLED, f"DynamoDB throttles {ITEM} on {TABLE} (Throttled)"),
        (ITEM, TABLE, "", 503, THROTTLED, f"DynamoDB throttles {ITEM} on {TABLE} (503)"),
        (ITEM, TABLE, "ExpiredToken", 400, DENIED, "DynamoDB does not accept the AWS credentials (ExpiredToken)"),
        (ITEM, TABLE, "AccessDeniedException", 400, DENIED, f"DynamoDB denies {ITEM} on {TABLE}"),
        (ITEM, TABLE, "InternalServerError", 500, SERVER, f"DynamoDB failed with 500 at {ITEM} on {TABLE}"),
        (ITEM, TABLE, "Validation", 400, GARBLED, f"DynamoDB refused {ITEM} on {TABLE} (Validation)"),
        (ITEM, TABLE, "ConditionalCheckFailedException", 400, None, f"the condition of {ITEM} on {TABLE} did not hold"),
        (ITEM, TABLE, "ResourceNotFoundException", 400, None, TABLE),
        ("s3:GetObject", "s3://b/k", "NoSuchBucket", 404, None, "the bucket of s3://b/k"),
        ("s3:PutObject", "s3://b/k", "OperationAborted", 409, None, "s3://b/k was being changed at the same time"),
        (TASKS, ABOUT, "", 503, SERVER, "ECS returned an error (503)"),
        (TASKS, ABOUT, "Throttling", 400, THROTTLED, f"ECS throttles {TASKS} (Throttling)"),
        (TASKS, ABOUT, "AccessDenied", 400, DENIED, f"ECS denies {ABOUT} (AccessDenied): the bot's role needs {TASKS}"),
    ],
)  # fmt: skip
def test_an_answer_that_is_an_error_is_told_by_its_code_or_its_status(action, target, code, status, trouble, detail):
    error = raised(answered(code, status), action, target)

    assert (error.trouble, error.detail, error.code, error.retry_after) == (trouble, detail, code, 7.0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answered("Throttled", 400), Throttled),
        (answered("AccessDeniedException", 400), Denied),
        (answered("ResourceNotFoundException", 400), Missing),
        (answered("ConditionalCheckFailedException", 400), Rejected),
        (answered("Validation", 400), Rejected),
        (answered("InternalServerError", 500), Unreachable),
        (ReadTimeoutError(endpoint_url="https://example.com"), Unreachable),
        (EndpointConnectionError(endpoint_url="https://example.com"), Unreachable),
        (ResponseParserError("not what it should be"), Unreachable),
        (NoCredentialsError(), Denied),
    ],
)
def test_every_error_is_either_worth_another_try_or_final(error, kind):
    found = raised(error)

    assert isinstance(found, kind)
    assert isinstance(found, Passing) is not isinstance(found, Final)


def test_what_does_not_exist_is_named():
    def missing(code, message="", action=ITEM):
        return raised(answered(code, 400, message), action).missing

    assert raised(answered("404", 404, operation="HeadObject")).missing == "object"
    assert raised(answered("404", 404, operation="GetObject")).missing is None
    assert [missing(code) for code in ("NoSuchKey", "NoSuchBucket", "ResourceNotFoundException")] == [
        "object",
        "bucket",
        "table",
    ]
    assert missing("ClusterNotFoundException", action=TASKS) == "cluster"
    assert missing("InvalidParameterException", "The referenced task was not found.", TASKS) == "task"
    assert missing("InvalidParameterException", "The referenced task was not found.") is None


def test_a_role_that_cannot_be_assumed_is_said_to_be_denied_by_sts():
    error = raised(answered("AccessDenied", 403, operation="AssumeRole"))

    assert (error.system, error.detail) == ("STS", "STS denies sts:AssumeRole on the configured role")


@pytest.mark.parametrize(
    ("failure", "trouble", "detail", "of_ecs"),
    [
        (
            NoCredentialsError(),
            Trouble.NO_CREDENTIALS,
            f"no AWS credentials were found for {ITEM}. {LOOKED_FOR}",
            f"no AWS credentials were found for {TASKS}. {LOOKED_FOR}",
        ),
        (
            CredentialRetrievalError(provider="sso", error_msg="s3cr3t"),
            DENIED,
            f"the AWS credentials for {ITEM} could not be fetched: have they expired, is their source right?",
            f"the AWS credentials for {TASKS} could not be fetched: have they expired, is their source right?",
        ),
        (
            ConnectTimeoutError(endpoint_url="http://x"),
            Trouble.TIMED_OUT,
            f"DynamoDB did not answer {ITEM} on {TABLE} in time",
            f"ECS did not answer {TASKS} in time",
        ),
        (
            EndpointConnectionError(endpoint_url="http://x"),
            Trouble.NO_CONNECTION,
            f"the connection to DynamoDB failed or was cut during {ITEM} on {TABLE}",
            f"the connection to ECS failed or was cut during {TASKS}",
        ),
        (
            NoRegionError(),
            GARBLED,
            f"{ITEM} on {TABLE} brought no usable answer (NoRegionError)",
            f"{TASKS} brought no usable answer (NoRegionError)",
        ),
        (
            KeyError("Table"),
            GARBLED,
            f"{ITEM} on {TABLE} brought no usable answer (KeyError)",
            f"ECS gave an answer to {TASKS} in a different form than documented",
        ),
    ],
)
def test_a_call_without_an_answer_says_why(failure, trouble, detail, of_ecs):
    error, ecs = raised(failure), raised(failure, TASKS, ABOUT)

    assert (error.trouble, error.detail, error.code) == (trouble, detail, "")
    assert (ecs.trouble, ecs.detail) == (trouble, of_ecs)


@pytest.mark.parametrize("code", CODES)
def test_a_code_means_the_same_with_and_without_exception_at_its_end(code):
    assert meaning_of(code) is meaning_of(f"{code}Exception") is CODES[code]


@pytest.mark.parametrize("code", sorted({*codes_for(Meaning.THROTTLED)} - {"TooManyRequests"}))
def test_a_pasted_error_with_a_code_of_throttling_is_a_throttled_table(code):
    text = f"Error acquiring the state lock: DynamoDB: GetItem, api error {code}Exception: slow down"

    assert explain(text, {}).kind is ErrorKind.THROTTLED


@pytest.mark.parametrize("word", ["throttling", "throttled"])
def test_the_words_alone_make_no_throttled_table(word):
    assert explain(f"We saw {word} of DynamoDB yesterday", {}).kind is ErrorKind.UNKNOWN
