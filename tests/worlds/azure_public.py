"""A storage account as the public sees it: Terraform reaches one by its public name and by TLS only.

A proxy that knows one place leads it there; `metadata_host` describes the cloud that the account is in.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.worlds.azure import AzureStorage

_ACCOUNT, _SUFFIX, _METADATA = "acmetfstate", "core.test", "management.core.test"
_BLOCK = """\
  backend "azurerm" {{
    storage_account_name = "{account}"
    container_name       = "{container}"
    key                  = "{key}"
    metadata_host        = "{metadata}"
    sas_token            = "{sas}"
  }}
"""
_CLOUD = {
    "name": "Test", "portal": "https://portal.core.test", "resourceManager": "https://management.core.test/",
    "authentication": {
        "loginEndpoint": "https://login.core.test", "audiences": ["https://management.core.test/"], "tenant": "common",
        "identityProvider": "AAD",
    },
    "graph": "https://graph.core.test/", "microsoftGraphResourceId": "https://graph.core.test/",
    "suffixes": {"storage": _SUFFIX, "keyVaultDns": "vault.core.test", "sqlServerHostname": "db.core.test"},
}  # fmt: skip


@asynccontextmanager
async def public(storage: AzureStorage, key: str, directory: Path) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """The backend block of a state in this storage, and what Terraform needs in its environment to reach it."""
    context, authority = certified(directory, f"{_ACCOUNT}.blob.{_SUFFIX}", _METADATA)
    front = web.Application()
    front.router.add_get("/metadata/endpoints", _described)
    front.router.add_route("*", "/{path:.*}", storage.handle)
    runner = web.AppRunner(front, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    proxy = await asyncio.start_server(lambda *pair: lead(port, *pair), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    block = _BLOCK.format(
        account=_ACCOUNT, container=storage.container, key=key, metadata=_METADATA, sas=storage.sas_token
    )
    try:
        yield block, {"HTTPS_PROXY": address, "SSL_CERT_FILE": str(authority)}
    finally:
        proxy.close()
        await runner.cleanup()


async def _described(_: web.Request) -> web.Response:
    return web.json_response(_CLOUD)


def certified(directory: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
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
    chain, private = directory.with_suffix(".ca.pem"), directory.with_suffix(".key.pem")
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    return context, chain


async def lead(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """CONNECT to anywhere leads to the one place."""
    await reader.readuntil(b"\r\n\r\n")
    theirs, ours = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.gather(_pass_on(reader, ours), _pass_on(theirs, writer))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
    finally:  # also where the test is over first
        target.close()
