"""The least that a Bolt app can do: ack. Run as a program with a port and a signing secret.

With the address of a Redis it also connects what the bot has besides: the queue of durable jobs, and clients of AWS.
"""

import asyncio
import sys

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient


async def authorize() -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=None, team_id="T", bot_token="xoxb-bare", bot_user_id="UBARE")


app = AsyncApp(signing_secret=sys.argv[2], authorize=authorize, client=AsyncWebClient(token="xoxb-bare"))


@app.command("/tflock")
async def on_command(ack: AsyncAck) -> None:
    await ack()


async def connected(redis_url: str) -> None:
    import botocore.session
    from docket import Docket

    session = botocore.session.Session()
    for service in ("dynamodb", "s3"):
        session.create_client(service, region_name="eu-central-1")
    async with Docket(name="bare", url=redis_url) as docket, docket.redis() as client:
        await client.ping()


if __name__ == "__main__":
    for url in sys.argv[3:]:
        asyncio.run(connected(url))
    app.start(port=int(sys.argv[1]))
