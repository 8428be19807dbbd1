"""Leases that a real `terraform apply` took in the Blob service and left behind when it was killed.

Terraform reaches the account by its public name and by TLS only: a proxy that knows one place leads it to the stand-in.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bot.core.lock import PlaceKind, ReleaseResult
from bot.sandbox.machine.terraform import write_workspace_in

ACCOUNT, SUFFIX, METADATA = "acmetfstate", "core.test", "management.core.test"
BACKEND = """\
  backend "azurerm" {{
    storage_account_name = "{account}"
    container_name       = "{container}"
    key                  = "{key}"
    metadata_host        = "{metadata}"
    sas_token            = "{sas}"
  }}
"""
CLOUD = {
    "name": "Test", "portal": "https://portal.core.test", "resourceManager": "https://management.core.test/",
    "authentication": {
        "loginEndpoint": "https://login.core.test", "audiences": ["https://management.core.test/"], "tenant": "common",
        "identityProvider": "AAD",
    },
    "graph": "https://graph.core.test/", "microsoftGraphResourceId": "https://graph.core.test/",
    "suffixes": {"storage": SUFFIX, "keyVaultDns": "vault.core.test", "sqlServerHostname": "db.core.test"},
}  # fmt: skip


async def described(_):
    return web.json_response(CLOUD)


def certified(directory, *names):
    """A server's certificate for these names, and the authority that signed it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    alternatives = [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(issuer, issuer, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = directory / "ca.pem", directory / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    return context, chain


async def lead(port, reader, writer):
    """CONNECT to anywhere leads to the one place."""
    await reader.readuntil(b"\r\n\r\n")
    theirs, ours = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async def pass_on(source, target):
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()

    await asyncio.gather(pass_on(reader, ours), pass_on(theirs, writer))


@pytest.fixture
async def workspace(azure, terraform, tmp_path):
    context, authority = certified(tmp_path, f"{ACCOUNT}.blob.{SUFFIX}", METADATA)
    front = web.Application()
    front.router.add_get("/metadata/endpoints", described)
    front.router.add_route("*", "/{path:.*}", azure.storage.handle)
    runner = web.AppRunner(front, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    proxy = await asyncio.start_server(lambda *pair: lead(port, *pair), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"

    block = BACKEND.format(
        account=ACCOUNT, container=azure.storage.container, key=azure.section.key, metadata=METADATA,
        sas=azure.storage.sas_token,
    )  # fmt: skip
    environment = {"HTTPS_PROXY": address, "SSL_CERT_FILE": str(authority)}
    made = write_workspace_in(block, terraform, tmp_path / "staging", environment)
    await made.init()
    yield made
    proxy.close()
    await runner.cleanup()


async def test_a_killed_apply_leaves_a_lease_that_is_released_and_taken_again(azure, workspace, witness):
    await witness(azure, workspace)


async def test_a_writer_that_still_lives_can_no_longer_write_once_its_lease_was_released(azure, workspace):
    async with workspace.applying(hold=6) as holder:
        seen = await azure.backend().read_lock()
        outcome = await azure.backend().release(seen.held[0])
        await holder._process.wait()

    assert outcome.result is ReleaseResult.RELEASED
    assert "lease" in holder.output.lower()
    assert (workspace.directory / "errored.tfstate").exists()
    assert await azure.stands(PlaceKind.LEASE) is None


async def test_a_plan_prints_the_hold_in_a_dead_locks_place_and_force_unlock_ends_it(azure, workspace, hold_witness):
    await hold_witness(azure, workspace)
