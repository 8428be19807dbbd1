"""Azure's and Google's default credentials, by their own libraries, against servers that give tokens.

Entra ID is asked at its public address, by TLS: a proxy that knows one place leads there to the stand-in.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.compute_engine import _metadata

from bot.app import logs
from bot.backends.azurerm.credentials import default_credentials as azures
from bot.backends.credentials import FetchedToken
from bot.backends.gcs.credentials import default_credentials as googles
from bot.core.evidence import Trouble
from bot.http.client import Failed
from tests.worlds.azure_public import certified, lead
from tests.worlds.tokens import ACCOUNT, ASSERTION, AUDIENCE, CLIENT, SECRET, TENANT, TOKEN, TokenServer

ENTRA = "login.microsoftonline.com"
OTHERS = ("AZURE_", "GOOGLE_", "IDENTITY_", "IMDS_", "MSI_", "CLOUDSDK_", "GCE_")
SERVICE = "the store"


@pytest.fixture(scope="module")
def key():
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = made.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()


@pytest.fixture
async def server(key):
    async with TokenServer(public_key=key[1]) as running:
        yield running


@pytest.fixture
def environment(monkeypatch, server, tmp_path):
    """One in which nothing of this machine is found, and the metadata servers of both clouds are the stand-in."""
    for name in [name for name in os.environ if name.startswith(OTHERS)]:
        monkeypatch.delenv(name)
    address = server.origin.removeprefix("http://")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("GCE_METADATA_IP", "127.0.0.1:9")
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", address)
    return monkeypatch


@pytest.fixture
async def entra(environment, server, tmp_path):
    """The stand-in at Entra ID's address."""
    context, authority = certified(tmp_path, ENTRA)
    front = web.Application(middlewares=[server._answered])
    for line, handler in server.routes().items():
        method, _, path = line.partition(" ")
        front.router.add_route(method, path, server._served(handler))
    runner = web.AppRunner(front, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    proxy = await asyncio.start_server(lambda *pair: lead(port, *pair), "127.0.0.1", 0)
    environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    environment.setenv("REQUESTS_CA_BUNDLE", str(authority))
    environment.setenv("AZURE_CLIENT_ID", CLIENT)
    environment.setenv("AZURE_TENANT_ID", TENANT)
    yield environment
    proxy.close()
    await runner.cleanup()


@pytest.fixture
def written(capsys):
    """What a process that logs all it can has written, and nothing of it is a secret."""

    def set_up():
        logs.set_up(form="json", level="debug")
        return lambda: capsys.readouterr().err

    return set_up


def secret(entra, _):
    entra.setenv("AZURE_CLIENT_SECRET", SECRET)


def workload(entra, directory):
    file = directory / "federated-token"
    file.write_text(ASSERTION)
    entra.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))


def machine(entra, directory, server):
    entra.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.origin)


def app_service(entra, directory, server):
    entra.setenv("IDENTITY_ENDPOINT", f"{server.origin}/msi/token")
    entra.setenv("IDENTITY_HEADER", SECRET)


async def failed(token):
    with pytest.raises(Failed) as caught:
        await token.headers()
    return caught.value


def shows_nothing(*texts):
    return not any(hidden in text for text in texts for hidden in (SECRET, ASSERTION, TOKEN))


# Azure


@pytest.mark.parametrize(
    ("source", "asked"),
    [(secret, {"client_secret": SECRET}), (workload, {"client_assertion": ASSERTION})],
)
async def test_an_application_of_azure_gets_a_token_for_the_storage_by(entra, server, tmp_path, written, source, asked):
    source(entra, tmp_path)
    said, token = written(), azures(SERVICE)

    headers = await token.headers()

    assert headers == {"Authorization": f"Bearer {TOKEN}-1"}
    wanted = {"client_id": CLIENT, "grant_type": "client_credentials", "scope": "https://storage.azure.com/.default"}
    assert wanted.items() | asked.items() <= server.forms[-1].items()
    assert shows_nothing(said(), repr(token), str(vars(token)))


@pytest.mark.parametrize("source", [machine, app_service])
async def test_a_managed_identity_of_azure_gets_a_token_by(environment, server, tmp_path, source):
    source(environment, tmp_path, server)

    assert (await azures(SERVICE).headers())["Authorization"].startswith(f"Bearer {TOKEN}-")
    assert "resource=https" in server.asked[-1]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"AZURE_CLIENT_SECRET": f"{SECRET}-old"}, "AADSTS7000215"), ({"AZURE_CLIENT_ID": TENANT}, "AADSTS700016")],
)
async def test_a_refusal_of_entra_id_is_its_code_and_what_to_check(entra, tmp_path, written, change, code):
    secret(entra, tmp_path)
    for name, value in change.items():
        entra.setenv(name, value)
    said = written()

    no = await failed(azures(SERVICE))

    assert (no.trouble, no.was_sent, code in no.words) == (Trouble.DENIED, False, True)
    assert "check AZURE_CLIENT_ID" in no.words
    assert shows_nothing(said(), no.words, repr(no))


async def test_a_federated_token_for_another_audience_is_refused_and_one_that_is_not_there_is_no_credential(
    entra, tmp_path, written
):
    workload(entra, tmp_path)
    (tmp_path / "federated-token").write_text(f"{ASSERTION}-of-another")
    said = written()
    wrong = await failed(azures(SERVICE))
    (tmp_path / "federated-token").unlink()
    missing = await failed(azures(SERVICE))

    assert (wrong.trouble, "AADSTS700212" in wrong.words, "audience" in wrong.words) == (Trouble.DENIED, True, True)
    assert (missing.trouble, "AZURE_FEDERATED_TOKEN_FILE" in missing.words) == (Trouble.NO_CREDENTIALS, True)
    assert shows_nothing(said(), wrong.words, missing.words)


async def test_an_entra_id_that_is_down_or_slow_is_not_a_refusal(entra, server, tmp_path):
    secret(entra, tmp_path)
    server.answer_next("oauth2/v2.0/token", status=503, body="down", times=9)
    down = await failed(azures(SERVICE))
    server.heal()
    entra.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    away = await failed(azures(SERVICE))

    assert (down.trouble, "fault of its own" in down.words) == (Trouble.SERVER_ERROR, True)
    assert (away.trouble, "did not answer" in away.words) == (Trouble.NO_CONNECTION, True)


@pytest.mark.parametrize(("lasts", "tokens"), [(200, 2), (3600, 1)])
async def test_azures_token_is_renewed_before_it_ends_and_not_sooner(entra, server, tmp_path, lasts, tokens):
    secret(entra, tmp_path)
    server.lasts, token = lasts, azures(SERVICE)

    for _ in range(2):
        headers = await token.headers()

    assert (server.given, headers["Authorization"]) == (tokens, f"Bearer {TOKEN}-{tokens}")


async def test_where_azure_has_no_credentials_at_all_it_is_said_what_was_looked_for_and_what_to_set(environment):
    no = await failed(azures(SERVICE))

    assert (no.trouble, no.was_sent) == (Trouble.NO_CREDENTIALS, False)
    assert "no credentials for the store were found" in no.words
    assert all(named in no.words for named in ("AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "sas_token_env"))


# Google


@pytest.fixture
def file(environment, key, server, tmp_path):
    """Writes the file that GOOGLE_APPLICATION_CREDENTIALS names."""

    def write(kind, **changed):
        token = tmp_path / "subject-token"
        token.write_text(ASSERTION)
        forms = {
            "key": {
                "type": "service_account", "client_email": ACCOUNT, "private_key": key[0], "private_key_id": "1",
                "project_id": "acme", "token_uri": f"{server.origin}/token",
            },
            "federation": {
                "type": "external_account", "audience": AUDIENCE, "token_url": f"{server.origin}/v1/token",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"file": str(token)},
            },
        }  # fmt: skip
        url = f"{server.origin}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
        forms["impersonation"] = forms["federation"] | {"service_account_impersonation_url": url}
        (tmp_path / "adc.json").write_text(json.dumps(forms[kind] | changed))
        environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))

    return write


@pytest.mark.parametrize(
    ("kind", "asked"), [("key", "/token"), ("federation", "/v1/token"), ("impersonation", ":generateAccessToken")]
)
async def test_googles_credentials_get_a_token_by(file, server, written, kind, asked):
    file(kind)
    said, token = written(), googles(SERVICE)

    headers = await token.headers()

    assert headers == {"Authorization": f"Bearer {TOKEN}-{server.given}"}
    assert server.asked[-1].endswith(asked)
    assert shows_nothing(said(), repr(token), str(vars(token)))


async def test_the_account_of_a_machine_of_googles_gets_a_token(environment, server):
    environment.setenv("GCE_METADATA_IP", server.origin.removeprefix("http://"))

    assert await googles(SERVICE).headers() == {"Authorization": f"Bearer {TOKEN}-1"}
    assert "/service-accounts/" in server.asked[-1]


OTHER = "/v1/projects/-/serviceAccounts/other@acme.iam.gserviceaccount.com:generateAccessToken"


@pytest.mark.parametrize(
    ("kind", "changed", "code"),
    [
        ("key", {"token_uri": "{origin}/token", "private_key": "another"}, "invalid_grant"),
        ("federation", {"audience": f"{AUDIENCE}-other"}, "invalid_target"),
        ("impersonation", {"service_account_impersonation_url": "{origin}" + OTHER}, "PERMISSION_DENIED"),
    ],
)
async def test_a_refusal_of_googles_is_its_code_and_what_to_check(file, server, written, kind, changed, code):
    if "private_key" in changed:
        another = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        changed = changed | {"private_key": another.private_bytes(serialization.Encoding.PEM, form, plain).decode()}
    file(kind, **{name: value.replace("{origin}", server.origin) for name, value in changed.items()})
    said = written()

    no = await failed(googles(SERVICE))

    assert (no.trouble, no.was_sent, code in no.words) == (Trouble.DENIED, False, True)
    assert "check that the service account exists" in no.words
    assert shows_nothing(said(), no.words, repr(no))


async def test_a_file_of_googles_that_is_not_there_is_no_credential(file, environment, tmp_path):
    file("federation")
    (tmp_path / "subject-token").unlink()
    inner = await failed(googles(SERVICE))
    environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    outer = await failed(googles(SERVICE))

    assert {inner.trouble, outer.trouble} == {Trouble.NO_CREDENTIALS}
    assert all("a file that is not there" in no.words for no in (inner, outer))


async def test_a_token_service_of_googles_that_is_away_is_not_a_refusal(file):
    file("federation", token_url="http://127.0.0.1:9/v1/token")

    no = await failed(googles(SERVICE))

    assert (no.trouble, "did not answer" in no.words) == (Trouble.NO_CONNECTION, True)


@pytest.mark.parametrize(("lasts", "tokens"), [(200, 2), (3600, 1)])
async def test_googles_token_is_renewed_before_it_ends_and_not_sooner(file, server, lasts, tokens):
    file("federation")
    server.lasts, token = lasts, googles(SERVICE)

    for _ in range(2):
        headers = await token.headers()

    assert (server.given, headers["Authorization"]) == (tokens, f"Bearer {TOKEN}-{tokens}")


async def test_a_token_that_still_holds_is_used_where_the_next_one_does_not_come(file, server, tmp_path):
    file("federation")
    server.lasts, token = 200, googles(SERVICE)
    await token.headers()
    (tmp_path / "subject-token").unlink()

    assert await token.headers() == {"Authorization": f"Bearer {TOKEN}-1"}


async def test_where_google_has_no_credentials_at_all_it_is_said_what_was_looked_for_and_what_to_set(environment):
    environment.setattr(_metadata, "is_on_gce", lambda **_: False)

    no = await failed(googles(SERVICE))

    assert (no.trouble, no.was_sent) == (Trouble.NO_CREDENTIALS, False)
    assert all(named in no.words for named in ("GOOGLE_APPLICATION_CREDENTIALS", "gcloud", "access_token_env"))


# both


async def test_a_source_that_hangs_is_given_up_in_time_and_asked_once_by_all_who_wait():
    asked, go = [], threading.Event()

    def fetch():
        asked.append(1)
        go.wait(5)
        return TOKEN

    token = FetchedToken(SERVICE, fetch, within=0.05)
    first, second = await asyncio.gather(failed(token), failed(token))
    token._within = 5
    go.set()

    assert {first.trouble, second.trouble} == {Trouble.TIMED_OUT}
    assert await token.headers() == {"Authorization": f"Bearer {TOKEN}"}
    assert len(asked) == 1
