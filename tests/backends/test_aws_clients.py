"""How the clients are made and shared, and how credentials get into them."""

from __future__ import annotations

import asyncio

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import create_loader

from bot.aws.clients import Access, _models
from bot.core.evidence import Trouble, Unseen
from bot.core.lock import ReleaseResult
from bot.errors import UpstreamError
from tests.worlds.proxy import Answer

ROLE = "arn:aws:iam::123456789012:role/tflock"


async def test_one_client_is_shared_by_all_who_use_the_same_access(cloud):
    clients = cloud.clients()
    access = Access("eu-west-1", cloud.proxy.url)

    first = clients.client("s3", access)

    assert clients.client("s3", Access("eu-west-1", cloud.proxy.url)) is first
    assert clients.client("s3", Access("us-east-1", cloud.proxy.url)) is not first
    assert clients.client("dynamodb", access) is not first


async def test_threads_that_ask_at_once_get_the_same_client(cloud):
    clients = cloud.clients()
    access = Access("eu-west-1", cloud.proxy.url)

    made = await asyncio.gather(*(clients.run(lambda: clients.client("s3", access)) for _ in range(8)))

    assert len({id(client) for client in made}) == 1


async def test_warming_makes_the_clients_without_a_request(cloud):
    clients = cloud.clients()

    await clients.warm([cloud.address.access, cloud.address.access])

    assert cloud.proxy.log == []


@pytest.mark.parametrize("service", ["dynamodb", "s3", "sso-oidc", "sts"])
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1"])
def test_services_are_described_in_botocores_words(service, kind):
    ours = _models.__wrapped__()  # as it was read: botocore changes its paths when a client sends something
    assert ours.load_service_model(service, kind) == create_loader().load_service_model(service, kind)


def test_a_service_that_botocore_does_not_know_is_an_error(cloud):
    with pytest.raises(UnknownServiceError, match="dynamodb"):
        cloud.clients().client("dynamo", cloud.address.access)


async def test_warming_tells_what_is_wrong_with_an_access(cloud, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    with pytest.raises(UpstreamError, match="NoRegionError"):
        await cloud.clients().warm([Access()])


async def test_an_endpoint_from_the_environment_is_used_with_paths_for_buckets(cloud, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.proxy.url.replace("127.0.0.1", "localhost"))
    await cloud.aws.put_state(cloud.address.key)

    await cloud.backend(endpoint_url=None).read_state()

    assert {entry.call.path for entry in cloud.proxy.calls("s3:GetObject")} == {
        f"/{cloud.aws.bucket}/{cloud.address.key}"
    }


async def test_a_role_is_assumed_only_when_something_is_asked_and_then_once(cloud):
    lock = cloud.lock()
    await cloud.aws.hold(cloud.address.key, lock.text, item=True, file=True)
    backend = cloud.backend(assume_role=ROLE)
    before = list(cloud.proxy.log)

    seen = await backend.read_lock()
    await backend.read_lock()
    outcome = await backend.release(seen.held[0])

    assert before == []
    assert len(seen.held) == 2
    assert outcome.result is ReleaseResult.RELEASED
    assert len([entry for entry in cloud.proxy.log if b"AssumeRole" in entry.call.body]) == 1


async def test_a_role_that_may_not_be_assumed_is_told_as_that(cloud):
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    cloud.proxy.fault(lambda call: b"AssumeRole" in call.body, Answer(403, denied))

    seen = await cloud.backend(assume_role=ROLE).read_lock()

    assert not seen.is_free
    for _, unseen in seen.unseen:
        assert isinstance(unseen, Unseen)
        assert unseen.trouble is Trouble.DENIED
        assert "sts:AssumeRole" in unseen.detail


async def test_without_credentials_nothing_is_seen(cloud, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    seen = await cloud.backend().read_lock()

    assert not seen.is_free
    assert {unseen.trouble for _, unseen in seen.unseen} == {Trouble.NO_CREDENTIALS}
    assert all("no AWS credentials were found" in unseen.detail for _, unseen in seen.unseen)
    assert all("AWS_WEB_IDENTITY_TOKEN_FILE" in unseen.detail for _, unseen in seen.unseen)


async def test_an_endpoint_where_nothing_listens_is_no_connection(cloud):
    seen = await cloud.backend(endpoint_url="http://127.0.0.1:1").read_lock()

    assert not seen.is_free
    assert {unseen.trouble for _, unseen in seen.unseen} == {Trouble.NO_CONNECTION}
