"""The least that a Bolt app can do: ack. Run as a program with a port and a signing secret."""

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


if __name__ == "__main__":
    app.start(port=int(sys.argv[1]))
