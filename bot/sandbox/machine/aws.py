"""AWS on loopback: moto's HTTP server with a versioned bucket and a lock table, and hands to look into them.

moto keeps its world in the process: all servers of one process share it, and `fresh_moto` empties it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.request import Request, urlopen

from botocore.config import Config
from botocore.session import Session
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
CREDENTIALS: Mapping[str, str] = MappingProxyType(
    {
        "AWS_ACCESS_KEY_ID": "AKIASANDBOX",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
)


@contextmanager
def fresh_moto() -> Iterator[str]:
    """Runs moto on a free loopback port and yields its address; everything that it held before is gone."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it prints every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        with urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST"), timeout=10):
            yield f"http://{host}:{port}"
    finally:
        server.stop()
        if server._server is not None:  # noqa: SLF001 - moto stops serving and leaves its socket open
            server._server.server_close()  # noqa: SLF001 - same


@asynccontextmanager
async def local_aws(kind: type[LocalAws]) -> AsyncIterator[LocalAws]:
    """A fresh moto with the bucket (versioned) and the lock table (PROVISIONED). One at a time in a process."""
    running = kind.serve()
    endpoint = await asyncio.to_thread(running.__enter__)
    aws = kind(endpoint)
    try:
        await aws.create()
        yield aws
    finally:
        await aws.aclose()
        await asyncio.to_thread(running.__exit__, None, None, None)


class LocalAws:
    """Looks into and changes one bucket and lock table behind an endpoint, past the bot's back."""

    serve: ClassVar[Callable[[], AbstractContextManager[str]]] = staticmethod(fresh_moto)
    """Runs what is behind the endpoint."""

    def __init__(self, endpoint: str, bucket: str = "acme-tfstate", table: str = "acme-tf-locks") -> None:
        self.endpoint = endpoint
        self.bucket = bucket
        self.table = table
        session = Session()
        self.s3 = self.client(session, "s3")
        self.dynamodb = self.client(session, "dynamodb")

    async def create(self) -> None:
        """Makes the bucket and the table; neither may be there yet."""
        place = {"LocationConstraint": REGION}
        await threaded(self.s3.create_bucket, Bucket=self.bucket, CreateBucketConfiguration=place)
        versioned = {"Status": "Enabled"}
        await threaded(self.s3.put_bucket_versioning, Bucket=self.bucket, VersioningConfiguration=versioned)
        await threaded(
            self.dynamodb.create_table,
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        )

    async def aclose(self) -> None:
        await asyncio.to_thread(self.s3.close)
        await asyncio.to_thread(self.dynamodb.close)

    async def put_state(self, key: str, content: bytes | None = None, *, digest: bool = True) -> str:
        """Writes a state object (a small whole state by default) and its digest item; returns the version id."""
        content = small_state() if content is None else content
        answer = await threaded(self.s3.put_object, Bucket=self.bucket, Key=key, Body=content)
        if digest:
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            await self.put_item(f"{self.bucket}/{key}-md5", Digest=md5)
        return str(answer.get("VersionId", ""))

    async def put_item(self, lock_id: str, **texts: str) -> None:
        """Puts an item into the lock table, whatever is there."""
        item = {"LockID": {"S": lock_id}} | {name: {"S": text} for name, text in texts.items()}
        await threaded(self.dynamodb.put_item, TableName=self.table, Item=item)

    async def delete_item(self, lock_id: str) -> None:
        await threaded(self.dynamodb.delete_item, TableName=self.table, Key={"LockID": {"S": lock_id}})

    async def hold(self, key: str, text: str, *, item: bool, file: bool) -> None:
        """Takes the lock of a state as Terraform does: in order file, item, each only if it is free.

        Raises botocore's ClientError if it is taken.
        """
        if file:
            lockfile = f"{key}.tflock"
            await threaded(self.s3.put_object, Bucket=self.bucket, Key=lockfile, Body=text.encode(), IfNoneMatch="*")
        if item:
            await threaded(
                self.dynamodb.put_item,
                TableName=self.table,
                Item={"LockID": {"S": f"{self.bucket}/{key}"}, "Info": {"S": text}},
                ConditionExpression="attribute_not_exists(LockID)",
            )

    async def item(self, lock_id: str) -> dict[str, str] | None:
        """The texts of an item of the lock table, or None."""
        answer = await threaded(
            self.dynamodb.get_item, TableName=self.table, Key={"LockID": {"S": lock_id}}, ConsistentRead=True
        )
        found = answer.get("Item")
        return None if found is None else {name: value.get("S", "") for name, value in found.items()}

    async def object(self, key: str) -> bytes | None:
        """What an object holds, or None if there is none."""
        with suppress(self.s3.exceptions.NoSuchKey):
            answer = await threaded(self.s3.get_object, Bucket=self.bucket, Key=key)
            return bytes(await asyncio.to_thread(answer["Body"].read))
        return None

    async def lock_ids(self, key: str) -> dict[str, str | None]:
        """The IDs of the locks in the two places of a state: `{"item": …, "file": …}`."""
        item = await self.item(f"{self.bucket}/{key}")
        file = await self.object(f"{key}.tflock")
        return {
            "item": json.loads(item["Info"])["ID"] if item else None,
            "file": json.loads(file)["ID"] if file is not None else None,
        }

    def client(self, session: Session, service: str) -> Any:
        return session.create_client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
        )


@dataclass(frozen=True, slots=True)
class WrittenLock:
    """Lock info as Terraform writes it, made by hand. `text` is its JSON."""

    id: str
    created: datetime
    path: str
    who: str = "runner@fv-az881-525"
    operation: str = "OperationTypeApply"
    version: str = "1.11.4"

    @property
    def text(self) -> str:
        fields = {
            "ID": self.id,
            "Operation": self.operation,
            "Info": "",
            "Who": self.who,
            "Version": self.version,
            "Created": self.created.strftime("%Y-%m-%dT%H:%M:%S.%f") + "753Z",
            "Path": self.path,
        }
        return json.dumps(fields, separators=(",", ":"))


def small_state(*, serial: int = 7, lineage: str = "b0c5d1f2-3c0b-5a40-9e0f-0d2a6d6b8f11") -> bytes:
    """A whole Terraform state without resources."""
    fields = {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": serial,
        "lineage": lineage,
        "outputs": {},
        "resources": [],
        "check_results": None,
    }
    return json.dumps(fields, indent=2).encode()


async def threaded(call: Any, **arguments: Any) -> Any:
    return await asyncio.to_thread(call, **arguments)
