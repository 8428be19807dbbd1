import aiohttp
import pytest

from bot.slack.client import slack_client
from bot.slack.directory import SlackDirectory
from bot.slack.messenger import SlackMessenger
from tests.worlds.clocks import WallClock
from tests.worlds.slack.workspace import FullWorkspace

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "the checklist"}}


@pytest.fixture
def blocks():
    return [SECTION]


@pytest.fixture
def wall_clock():
    return WallClock()


@pytest.fixture
async def workspace():
    async with FullWorkspace() as slack:
        slack.add_user("U0QUINN", "quinn", email="quinn@example.com")
        slack.add_user("U0ELLIOTT", "elliott", tz="America/New_York")
        slack.add_channel("C0INC", "inc-1", ["U0QUINN"])
        yield slack


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as shared:
        yield shared


@pytest.fixture
def client(workspace, session):
    return slack_client(workspace.bot_token, base_url=workspace.api_url, session=session)


@pytest.fixture
def directory(client, wall_clock):
    return SlackDirectory(client, clock=wall_clock)


@pytest.fixture
def messenger(client):
    return SlackMessenger(client)
