"""The directory, over HTTP against the local workspace."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.people import Presence
from bot.errors import Denied, Throttled, Unreachable
from bot.sandbox.slack.team import BOT_USER, TEAM
from bot.slack.client import slack_client
from bot.slack.directory import SlackDirectory, _channel
from tests.worlds.clocks import MovableClock
from tests.worlds.own_time import own_time
from tests.worlds.slack.workspace import FullWorkspace


async def test_introducing_gives_the_bots_user_and_its_team(directory):
    assert directory.home_team is None
    assert await directory.introduce() == BOT_USER
    assert directory.home_team == TEAM


async def test_introducing_with_a_wrong_token_is_denied(workspace, wall_clock):
    stranger = SlackDirectory(slack_client("xoxb-of-nobody", base_url=workspace.api_url), clock=wall_clock)
    with pytest.raises(Denied, match="invalid_auth"):
        await stranger.introduce()


async def test_introducing_to_a_broken_slack_is_unreachable(workspace, directory):
    workspace.crash("auth.test")
    with pytest.raises(Unreachable):
        await directory.introduce()


async def test_introducing_to_a_busy_slack_says_how_long_to_wait(workspace, directory):
    workspace.throttle("auth.test", retry_after=30)
    with pytest.raises(Throttled) as caught:
        await directory.introduce()
    assert caught.value.retry_after == 30


async def test_the_time_is_slacks_own_however_far_this_machines_clock_was_set(workspace):
    clock = MovableClock(timedelta(hours=1))
    seen = await SlackDirectory(slack_client(workspace.bot_token, base_url=workspace.api_url), clock=clock).now()
    assert isinstance(seen, Found)
    assert timedelta(0) <= datetime.now(UTC) - seen.value < timedelta(seconds=10)


@pytest.mark.parametrize("date", ["", "soon", "Tue, 01 Dec 2026 05:00:00 -0000"])
async def test_a_slack_that_names_no_time_leaves_it_unseen(workspace, directory, monkeypatch, date):
    ask = directory._client.auth_test

    async def undated():
        response = await ask()
        response.headers = {"Date": date}
        return response

    monkeypatch.setattr(directory._client, "auth_test", undated)
    assert isinstance(await directory.now(), Unseen)


async def test_a_member_is_found_with_what_bears_on_their_rights(directory):
    before = datetime.now(UTC)
    seen = await directory.member("U0QUINN")
    assert isinstance(seen, Found)
    assert before <= seen.at <= datetime.now(UTC)
    member = seen.value
    assert (member.id, member.name, member.team_id, member.email) == ("U0QUINN", "quinn", TEAM, "quinn@example.com")
    assert not any((member.is_bot, member.is_guest, member.is_stranger, member.is_deleted))


async def test_a_member_has_their_own_time_zone(directory):
    seen = await directory.member("U0ELLIOTT")
    assert seen.value.tz == "America/New_York"
    assert seen.value.tz_offset in (-5 * 3600, -4 * 3600)


@pytest.mark.parametrize("kind", ["is_guest", "is_stranger", "is_bot", "is_deleted"])
async def test_whoever_is_not_a_full_member_is_told_apart(workspace, directory, kind):
    workspace.add_user("U0OTHER", "other", **{kind: True})
    seen = await directory.member("U0OTHER")
    marks = {mark: getattr(seen.value, mark) for mark in ("is_guest", "is_stranger", "is_bot", "is_deleted")}
    assert marks == {mark: mark == kind for mark in marks}


async def test_slackbot_counts_as_a_bot_though_slack_does_not_say_so(workspace, directory):
    workspace.add_user("USLACKBOT", "slackbot")
    assert (await directory.member("USLACKBOT")).value.is_bot


async def test_a_member_of_another_company_keeps_their_own_team(workspace, directory):
    await directory.introduce()
    workspace.add_user("U0GUEST", "visitor", team="T0ELSEWHERE", enterprise="E0ELSEWHERE")
    assert (await directory.member("U0GUEST")).value.team_id == "T0ELSEWHERE"


async def test_a_member_whose_team_slack_does_not_name_has_none(workspace, directory):
    workspace.add_user("U0GRID", "grid", team=None)
    assert (await directory.member("U0GRID")).value.team_id is None


async def test_a_member_of_the_bots_own_organisation_belongs_to_the_home_team(wall_clock):
    async with FullWorkspace(enterprise="E0ACME") as slack:
        slack.add_user("U0SISTER", "sister", team="T0SISTER", enterprise="E0ACME")
        slack.add_user("U0NULL", "null", team=None, enterprise="E0ACME")
        slack.add_user("U0FOREIGN", "foreign", team="T0FOREIGN", enterprise="E0FOREIGN")
        directory = SlackDirectory(slack_client(slack.bot_token, base_url=slack.api_url), clock=wall_clock)
        await directory.introduce()
        teams = [(await directory.member(user)).value.team_id for user in ("U0SISTER", "U0NULL", "U0FOREIGN")]
    assert teams == [TEAM, TEAM, "T0FOREIGN"]


async def test_an_unknown_user_is_not_found(directory):
    seen = await directory.member("U0NOBODY")
    assert isinstance(seen, NotFound)
    assert "user_not_found" in seen.what


async def test_a_user_is_found_by_email_whatever_its_case(directory):
    assert (await directory.by_email("Quinn@Example.com")).value.id == "U0QUINN"


async def test_an_unknown_email_is_not_found(directory):
    assert isinstance(await directory.by_email("nobody@example.com"), NotFound)


async def test_a_missing_scope_is_denied_and_named(workspace, directory):
    workspace.refuse("users.lookupByEmail", "missing_scope", needed="users:read.email", provided="users:read")
    seen = await directory.by_email("quinn@example.com")
    assert seen.trouble is Trouble.DENIED
    assert "users:read.email" in seen.detail


async def test_a_member_of_a_channel_is_in_it(directory):
    assert (await directory.is_in_channel("U0QUINN", "C0INC")).value is True


async def test_somebody_else_is_not_in_the_channel(directory):
    assert (await directory.is_in_channel("U0ELLIOTT", "C0INC")).value is False


async def test_the_last_of_3000_members_is_found_behind_short_pages(workspace, directory):
    crowd = [f"U{number:05}" for number in range(3000)]
    workspace.add_channel("C0CROWD", "crowd", [*crowd, "U0ELLIOTT"])
    assert (await directory.is_in_channel("U0ELLIOTT", "C0CROWD")).value is True
    assert (await directory.is_in_channel("U0QUINN", "C0CROWD")).value is False
    assert (await directory.members("C0CROWD")).value == (*crowd, "U0ELLIOTT", BOT_USER)


async def test_the_search_stops_at_the_page_that_has_the_user(workspace, directory):
    workspace.add_channel("C0CROWD", "crowd", ["U0QUINN", *(f"U{number:05}" for number in range(3000))])
    assert (await directory.is_in_channel("U0QUINN", "C0CROWD")).value is True
    assert len([call for call in workspace.calls if call.method == "conversations.members"]) == 1


async def test_a_page_that_cannot_be_read_makes_membership_unseen_not_false(workspace, directory):
    workspace.add_channel("C0CROWD", "crowd", [f"U{number:05}" for number in range(3000)])
    workspace.crash("conversations.members", skip=1)
    seen = await directory.is_in_channel("U0QUINN", "C0CROWD")
    assert isinstance(seen, Unseen)
    assert seen.trouble is Trouble.SERVER_ERROR
    workspace.crash("conversations.members", skip=1)
    assert isinstance(await directory.members("C0CROWD"), Unseen)


async def test_a_list_of_members_that_takes_too_long_is_unseen(workspace, client, wall_clock):
    workspace.add_channel("C0CROWD", "crowd", [f"U{number:05}" for number in range(3000)])
    workspace.slow("conversations.members", seconds=0.2)
    hurried = SlackDirectory(client, clock=wall_clock, timeout=5, paging=0.3)
    assert (await hurried.is_in_channel("U0QUINN", "C0CROWD")).trouble is Trouble.TIMED_OUT
    assert (await hurried.members("C0CROWD")).trouble is Trouble.TIMED_OUT


async def test_a_channel_that_the_bot_may_not_see_is_not_found(workspace, directory):
    workspace.add_channel("C0SECRET", "secret", ["U0QUINN"], with_bot=False, is_private=True)
    assert isinstance(await directory.is_in_channel("U0QUINN", "C0SECRET"), NotFound)
    assert isinstance(await directory.members("C0SECRET"), NotFound)
    assert isinstance(await directory.channel("C0SECRET"), NotFound)


async def test_a_channel_has_its_name_and_says_if_it_is_archived(workspace, directory):
    workspace.add_channel("C0OLD", "inc-old", is_archived=True)
    assert (await directory.channel("C0INC")).value.name == "inc-1"
    assert (await directory.channel("C0INC")).value.is_archived is False
    assert (await directory.channel("C0OLD")).value.is_archived is True


async def test_a_channel_is_private_unless_slack_says_that_it_is_public(workspace, directory):
    workspace.add_channel("C0SECRET", "inc-secret", ["U0QUINN"], is_private=True)
    assert (await directory.channel("C0INC")).value.is_private is False
    assert (await directory.channel("C0SECRET")).value.is_private is True
    assert _channel({"channel": {"id": "C0NEW", "name": "inc-new"}}).is_private is True


async def test_a_direct_message_is_a_channel_without_a_name(workspace, directory):
    room = (await directory.channel(workspace.team.direct("U0QUINN").id)).value
    assert room.is_direct
    assert room.name == ""


async def test_a_user_group_decides_who_is_in_it(workspace, directory):
    workspace.add_usergroup("S0SRE", "sre", ["U0QUINN"])
    workspace.add_usergroup("S0DEV", "dev", [])
    assert (await directory.is_in_groups("U0QUINN", ["S0DEV", "S0SRE"])).value is True
    assert (await directory.is_in_groups("U0ELLIOTT", ["S0DEV", "S0SRE"])).value is False


async def test_an_unreadable_group_is_unseen_unless_another_has_the_user(workspace, directory):
    workspace.add_usergroup("S0SRE", "sre", ["U0QUINN"])
    assert (await directory.is_in_groups("U0QUINN", ["S0GONE", "S0SRE"])).value is True
    seen = await directory.is_in_groups("U0ELLIOTT", ["S0GONE", "S0SRE"])
    assert isinstance(seen, Unseen)
    assert "S0GONE" in seen.detail


async def test_a_group_behind_a_slack_error_is_unseen(workspace, directory):
    workspace.add_usergroup("S0SRE", "sre", ["U0QUINN"])
    workspace.crash("usergroups.users.list")
    assert isinstance(await directory.is_in_groups("U0ELLIOTT", ["S0SRE"]), Unseen)


async def test_whereabouts_tell_presence_status_and_do_not_disturb(workspace, directory):
    monday = int((datetime.now(UTC) + timedelta(days=3)).timestamp())
    workspace.change_user(
        "U0ELLIOTT",
        presence="away",
        status_text="On PTO until Monday",
        status_emoji=":palm_tree:",
        status_until=monday,
        dnd_until=monday,
    )
    seen = (await directory.whereabouts("U0ELLIOTT")).value
    assert seen.presence is Presence.AWAY
    assert (seen.status_text, seen.status_emoji) == ("On PTO until Monday", ":palm_tree:")
    assert seen.status_until == seen.snoozed_until == datetime.fromtimestamp(monday, UTC)


async def test_somebody_at_their_desk_has_no_ends_set(directory):
    seen = (await directory.whereabouts("U0QUINN")).value
    assert seen.presence is Presence.ACTIVE
    assert (seen.status_text, seen.status_until, seen.snoozed_until) == ("", None, None)


async def test_an_expired_status_is_gone(workspace, directory):
    workspace.change_user("U0QUINN", status_text="lunch", status_until=1)
    assert (await directory.whereabouts("U0QUINN")).value.status_text == ""


@pytest.mark.parametrize(
    ("method", "named"),
    [("users.getPresence", "presence"), ("users.profile.get", "status"), ("dnd.info", "do-not-disturb")],
)
async def test_what_cannot_be_seen_of_somebody_is_named_and_the_rest_is_told(workspace, directory, method, named):
    later = int((datetime.now(UTC) + timedelta(hours=3)).timestamp())
    workspace.change_user("U0ELLIOTT", status_text="On PTO", dnd_until=later, presence="away")
    workspace.crash(method)
    seen = (await directory.whereabouts("U0ELLIOTT")).value
    assert seen.unseen == (named,)
    assert (seen.presence is Presence.UNKNOWN) == (named == "presence")
    assert seen.status_text == ("" if named == "status" else "On PTO")
    assert (seen.snoozed_until is None) == (named == "do-not-disturb")


async def test_somebody_of_whom_nothing_can_be_seen_is_unseen(workspace, directory):
    workspace.crash("*", times=None)
    assert isinstance(await directory.whereabouts("U0ELLIOTT"), Unseen)


async def test_a_presence_is_asked_for_alone(workspace, directory):
    assert (await directory.presence("U0QUINN")).value is Presence.ACTIVE
    assert [call.method for call in workspace.calls] == ["users.getPresence"]


async def test_a_roll_that_breaks_off_keeps_what_was_read_and_says_why(workspace, client, wall_clock, directory):
    crowd = [f"U{number:05}" for number in range(3000)]
    workspace.add_channel("C0CROWD", "crowd", crowd)
    assert (await directory.roll("C0CROWD", within=60)).ids == (*crowd, BOT_USER)
    workspace.throttle("conversations.members", retry_after=30, times=1, skip=1)
    cut = await directory.roll("C0CROWD", within=60)
    assert 0 < len(cut.ids) < 3000
    assert cut.missing.trouble is Trouble.THROTTLED
    workspace.slow("conversations.members", seconds=1)
    late = await directory.roll("C0CROWD", within=2.5)
    assert 0 < len(late.ids) < 3000
    assert late.missing.trouble is Trouble.TIMED_OUT


async def test_the_members_of_groups_are_told_only_if_every_group_is(workspace, directory):
    workspace.add_usergroup("S0SRE", "sre", ["U0QUINN"])
    workspace.add_usergroup("S0DEV", "dev", ["U0QUINN", "U0ELLIOTT"])
    assert (await directory.group_members(["S0SRE", "S0DEV"])).value == ("U0QUINN", "U0ELLIOTT")
    assert isinstance(await directory.group_members(["S0SRE", "S0GONE"]), NotFound)


async def test_a_look_up_whose_connection_was_cut_is_tried_again(workspace, directory):
    workspace.cut("users.info")
    assert isinstance(await directory.member("U0QUINN"), Found)


async def test_a_connection_that_is_always_cut_is_no_connection(workspace, directory):
    workspace.cut("users.info", times=None)
    assert (await directory.member("U0QUINN")).trouble is Trouble.NO_CONNECTION


async def test_a_short_429_is_waited_out(workspace, directory):
    workspace.throttle("users.info", retry_after=1)
    assert isinstance(await directory.member("U0QUINN"), Found)


async def test_a_long_429_is_answered_at_once_as_throttled(workspace, directory):
    workspace.throttle("users.info", retry_after=30, times=None)
    async with own_time() as spent:
        seen = await directory.member("U0QUINN")
    assert (seen.trouble, seen.retry_after) == (Trouble.THROTTLED, 30)
    assert spent.seconds < 2


async def test_a_slow_slack_is_timed_out(workspace, client, wall_clock):
    workspace.slow("users.info", seconds=3)
    hurried = SlackDirectory(client, clock=wall_clock, timeout=0.2)
    assert (await hurried.member("U0QUINN")).trouble is Trouble.TIMED_OUT


async def test_slack_out_of_reach_is_no_connection(wall_clock, unused_tcp_port_url):
    lost = SlackDirectory(slack_client("xoxb-any", base_url=unused_tcp_port_url), clock=wall_clock)
    assert (await lost.member("U0QUINN")).trouble is Trouble.NO_CONNECTION


@pytest.fixture
async def unused_tcp_port_url():
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}/api/"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "trouble"),
    [
        ("bad gateway", "text/plain", 502, Trouble.SERVER_ERROR),
        ("hello", "text/plain", 200, Trouble.GARBLED),
        ("<html>", "text/html", 502, Trouble.SERVER_ERROR),
        ("<html>", "text/html", 200, Trouble.GARBLED),
        ("{not json", "application/json", 200, Trouble.GARBLED),
        ('{"ok": true}', "application/json", 200, Trouble.GARBLED),
        ("[]", "application/json", 200, Trouble.GARBLED),
        ('{"ok": false, "error": "fatal_error"}', "application/json", 200, Trouble.SERVER_ERROR),
        ('{"ok": false, "error": "brand_new_error"}', "application/json", 200, Trouble.GARBLED),
    ],
)
async def test_whatever_comes_instead_of_an_answer_is_unseen(wall_clock, body, content_type, status, trouble):
    async def odd(_request):
        return web.Response(text=body, content_type=content_type, status=status)

    app = web.Application()
    app.router.add_route("*", "/api/{method}", odd)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
        seen = await SlackDirectory(slack_client("xoxb-any", base_url=url), clock=wall_clock).member("U0QUINN")
    finally:
        await runner.cleanup()
    assert isinstance(seen, Unseen)
    assert seen.trouble is trouble


async def test_no_detail_carries_the_token(workspace, directory, client):
    workspace.crash("*", times=None)
    seen = await directory.member("U0QUINN")
    assert workspace.bot_token not in repr(seen)
    assert workspace.bot_token not in repr(client)
