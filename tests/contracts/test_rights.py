"""`tflock policy` against the calls that the adapters make: what is asked for is allowed, and nothing else is."""

import random
import re
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

import pytest

import bot
from bot.aws.clients import AwsClients
from bot.backends import NAMES
from bot.backends.s3.rights import grants
from bot.backends.s3.section import Backend
from bot.backends.s3.sweep import S3Sweep
from bot.cli.policy import iam_policy
from bot.core.hold import HoldWords, hold_info
from bot.core.rights import Right
from bot.tickets.rights import RIGHTS as TICKETS
from tests.contracts.conftest import RIGHTS, TABLES, rows
from tests.contracts.lock_backends.conftest import WORLDS
from tests.contracts.lock_backends.test_hold_contract import NOON
from tests.worlds.calls import AwsCall, Calls, calls_made
from tests.worlds.clocks import WallClock

BOT = Path(bot.__file__).parent
BEHIND = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:GetBucketVersioning": "s3:GetBucketVersioning",
    "s3:GetObject": "s3:GetObject",
    "s3:PutObject": "s3:PutObject",
    "s3:DeleteObject": "s3:DeleteObject",
    "dynamodb:BatchGetItem": "dynamodb:BatchGetItem",
    "dynamodb:GetItem": "dynamodb:GetItem",
    "dynamodb:PutItem": "dynamodb:PutItem",
    "dynamodb:DeleteItem": "dynamodb:DeleteItem",
    "dynamodb:DescribeTable": "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive": "dynamodb:DescribeTimeToLive",
    "cloudwatch:GetMetricData": "cloudwatch:GetMetricData",
}
"""The IAM action behind each operation, by AWS's Service Authorization Reference."""


def demands(call):
    """Pairs of an action and a resource that AWS checks for a call."""
    given = call.parameters
    if call.service == "cloudwatch":
        return [(BEHIND[call.name], "*")]
    if call.service == "dynamodb":
        names = [given["TableName"]] if "TableName" in given else list(given["RequestItems"])
        return [(BEHIND[call.name], f"arn:aws:dynamodb:eu-west-1:123456789012:table/{name}") for name in names]
    bucket = f"arn:aws:s3:::{given['Bucket']}"
    if "Key" not in given:
        return [(BEHIND[call.name], bucket)]
    action = "s3:GetObjectVersion" if "VersionId" in given else BEHIND[call.name]
    missing = [("s3:ListBucket", bucket)] if call.is_missing else []
    return [(action, f"{bucket}/{given['Key']}"), *missing]


def allows(policy, action, resource):
    return any(
        action in statement["Action"] and any(fnmatchcase(resource, one) for one in statement["Resource"])
        for statement in policy["Statement"]
    )


@pytest.fixture(params=[key for key in WORLDS if key.startswith("s3")])
def chosen(request):
    return WORLDS[request.param]


@pytest.fixture
def world_param(chosen):
    return chosen[1]


async def everything(world):
    """All that the bot does with one state: looks, holds, releases, and the doctor's trial."""
    backend = world.backend()
    await backend.read_lock()
    await backend.read_state()
    await world.put_state()
    await world.put_state(b"broken")
    await backend.read_state()
    await backend.versions(5)
    await backend.versioning()
    await backend.read_table()
    await backend.probe("0123abcd")
    await world.take(world.lock())
    for place in (await backend.read_lock()).held:
        await backend.release(place)
    words = HoldWords("h1", "quinn", "inc-staging", "look first", NOON, "https://acme.slack.com/p1")
    for kind in world.kinds:
        await backend.take(kind, hold_info("6d3a1f0e-5d2b-4b6e-9d3c-1f2e3d4c5b6a", words, created=NOON, path="a"))
    clients = AwsClients()
    world.opened.append(clients)
    sweep = S3Sweep({"staging": world.address}, clients, WallClock(), rng=random.Random(7))
    await sweep.read_locks(["staging"])


async def test_what_is_asked_for_a_state_in_s3_is_allowed_and_what_is_allowed_is_asked_for(s3_world):
    address = s3_world.address
    section = Backend(
        type="s3", bucket=address.bucket, key="environments/staging/terraform.tfstate", region="eu-west-1",
        workspace=s3_world.workspace, dynamodb_table=address.dynamodb_table, use_lockfile=address.use_lockfile,
    )  # fmt: skip
    policy = iam_policy(grants(section))

    made = await calls_of(s3_world)

    asked = {demand for call in made for demand in demands(call)}
    assert [demand for demand in sorted(asked) if not allows(policy, *demand)] == []
    unused = [
        (action, resource)
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
        if not any(action == one and fnmatchcase(there, resource) for one, there in asked)
    ]
    assert unused == []


async def calls_of(world):
    with calls_made() as made:
        await everything(world)
    return made.aws


def test_a_policy_that_lacks_an_action_is_noticed():
    """The oracle says no where it has to: to another bucket, another action, the state in place of its lock."""
    section = Backend(type="s3", bucket="acme", key="a.tfstate", region="eu-west-1", use_lockfile=True)
    policy = iam_policy(grants(section))
    assert allows(policy, "s3:DeleteObject", "arn:aws:s3:::acme/a.tfstate.tflock")
    assert not allows(policy, "s3:DeleteObject", "arn:aws:s3:::acme/a.tfstate")
    assert not allows(policy, "s3:PutObject", "arn:aws:s3:::acme/a.tfstate")
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::other/a.tfstate")
    assert not allows(policy, "dynamodb:DeleteItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/locks")


def test_a_call_without_a_row_is_noticed():
    made = Calls(
        http=["GET /api/v3/repos/a/b/actions/runs/1", "DELETE /repos/a/b"], aws=[AwsCall("s3", "PutBucketAcl", {})]
    )
    assert made.without_a_right(tuple(rows(TABLES["ci.github"]))) == ["DELETE /repos/a/b", "s3:PutBucketAcl"]


def test_every_adapter_has_a_table():
    adapters = {f"ci.{path.parent.name}" for path in BOT.glob("ci/*/source.py")} | {
        f"backends.{name}" for name in NAMES
    }
    assert adapters <= set(TABLES)


def literal_parts(call):
    path = call.partition(" ")[2] or call.partition(":")[2]
    return [part for part in re.split(r"\{\w+\}|[/:]", path) if part]


@pytest.mark.parametrize("name", [name for name in TABLES if name != "backends.s3"])
def test_no_right_is_for_a_call_that_its_adapter_does_not_make(name):
    """By the words of its path or its operation in the adapter's source; S3 is held to it call by call above."""
    folder = BOT / name.replace(".", "/")
    shared = (BOT / "hcp").glob("*.py") if name.endswith(".hcp") else ()
    paths = [*(path for path in folder.glob("*.py") if path.name != "rights.py"), *shared]
    source = "".join(path.read_text() for path in paths)
    for right in rows(TABLES[name]):
        assert right.calls
        absent = [part for call in right.calls for part in literal_parts(call) if part not in source]
        assert absent == [], right.name


@pytest.mark.parametrize("name", TICKETS)
def test_no_right_of_a_ticket_system_is_for_a_call_that_is_not_made(name):
    source = (BOT / "tickets" / f"{name}.py").read_text()
    for right in TICKETS[name]:
        absent = [part for call in right.calls for part in literal_parts(call) if part not in source]
        assert absent == [], right.name


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_names_only_rights_of_the_table(name):
    said = import_module(f"bot.backends.{name}.kind").KIND.rights
    known = {right.name for right in rows(TABLES[f"backends.{name}"])}
    named = [words for words in (said.state, said.versions, said.trial, said.sweep) if words != "nothing"]
    assert [
        one for words in named if words and words not in known for one in words.split(" and ") if one not in known
    ] == []


def test_a_right_is_one_of_a_table():
    assert len(RIGHTS) > 40
    assert all(isinstance(right, Right) for right in RIGHTS)
