"""Exports in a channel, the summary and its files, over HTTP against the local workspace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.account.edition import Edition, ExportReport, Outline
from bot.core.record.incident import Incident
from bot.core.reports.report import Notice
from bot.errors import Denied, Missing, Throttled, Unreachable
from bot.sandbox.slack.text import flat
from bot.slack.files import SlackFiles
from tests.worlds.slack.limits import Cut

NOW = datetime.now(UTC)


@pytest.fixture
def shelf(client):
    return SlackFiles(client)


@pytest.fixture
def report():
    incident = Incident("inc-1", "C0INC", "staging", NOW, "U0QUINN", NOW)
    edition = Edition(incident, "5f" * 32, "7", NOW, {}, "UTC")
    return ExportReport(edition, Outline((), None, ("not known",), (), {}, 7), ("exports/",))


@pytest.fixture
def files(tmp_path):
    made = [tmp_path / "inc-1.md", tmp_path / "inc-1.json"]
    for path in made:
        path.write_text(path.name)
    return made


async def test_a_summary_is_found_again_by_its_mark_and_by_no_other(workspace, messenger, report):
    posted = await messenger.post("C0INC", report, mark=report.edition.mark)
    await messenger.post("C0INC", Notice("something else"), mark="another/mark")

    assert await messenger.find("C0INC", mark=report.edition.mark, since=NOW) == posted
    assert await messenger.find("C0INC", mark="nobody's", since=NOW) is None
    assert "Export of staging" in flat(workspace.messages("C0INC")[0])


async def test_a_summary_in_a_thread_is_found_there(workspace, messenger, report):
    root = workspace.say("U0QUINN", "C0INC", "closed")
    posted = await messenger.post("C0INC", report, mark=report.edition.mark, thread=root.ts)

    assert await messenger.find("C0INC", mark=report.edition.mark, thread=root.ts, since=NOW) == posted
    assert await messenger.find("C0INC", mark=report.edition.mark, since=NOW) is None


async def test_a_summary_is_found_behind_many_messages(workspace, messenger, report):
    posted = await messenger.post("C0INC", report, mark=report.edition.mark)
    for number in range(450):
        workspace.say("U0QUINN", "C0INC", f"message {number}")

    assert await messenger.find("C0INC", mark=report.edition.mark, since=NOW) == posted


async def test_a_summary_whose_answer_was_lost_is_found(workspace, messenger, report):
    workspace.cut("chat.postMessage", when=Cut.AFTER)
    with pytest.raises(Unreachable):
        await messenger.post("C0INC", report, mark=report.edition.mark)

    assert (await messenger.find("C0INC", mark=report.edition.mark, since=NOW)).ts == workspace.messages("C0INC")[0].ts


async def test_nobody_is_found_from_before_it_was_begun(messenger, report):
    await messenger.post("C0INC", report, mark=report.edition.mark)
    assert await messenger.find("C0INC", mark=report.edition.mark, since=NOW + timedelta(hours=1)) is None


async def test_an_outdated_summary_leads_to_the_newer_one_and_keeps_its_mark(workspace, messenger, report):
    posted = await messenger.post("C0INC", report, mark=report.edition.mark)
    link = await messenger.link(posted)
    await messenger.update(posted, ExportReport(report.edition, report.outline, (), newer=link))

    assert "replaced by" in flat(workspace.message("C0INC", posted.ts))
    assert await messenger.find("C0INC", mark=report.edition.mark, since=NOW) == posted


async def test_staged_files_are_seen_by_nobody_until_they_are_shared_in_one_message(workspace, shelf, files):
    root = workspace.say("U0QUINN", "C0INC", "closed")
    staged = {await shelf.stage(path): path.name for path in files}
    assert workspace.messages("C0INC") == []
    first = next(iter(staged))
    assert await shelf.is_shared("C0INC", first) is None

    await shelf.share("C0INC", staged, thread=root.ts)

    [message] = await workspace.wait_for(lambda: workspace.messages("C0INC", thread_ts=root.ts))
    assert [file["title"] for file in message.files] == ["inc-1.md", "inc-1.json"]
    assert await shelf.is_shared("C0INC", first)
    assert not await shelf.is_shared("C0OTHER", first)


async def test_a_file_that_is_gone_is_missing(shelf):
    with pytest.raises(Missing):
        await shelf.share("C0INC", {"F0GONE": "inc-1.md"}, thread="")


@pytest.mark.parametrize(
    ("method", "code", "error"),
    [
        ("files.getUploadURLExternal", "file_uploads_disabled", Denied),
        ("files.getUploadURLExternal", "missing_scope", Denied),
        ("files.getUploadURLExternal", "ratelimited", Throttled),
    ],
)
async def test_a_refused_upload_says_why(workspace, shelf, files, method, code, error):
    workspace.refuse(method, code, times=None)
    with pytest.raises(error):
        await shelf.stage(files[0])


async def test_files_for_a_channel_without_the_bot_are_denied(workspace, shelf, files):
    workspace.add_channel("C0OTHER", "other", with_bot=False)
    staged = {await shelf.stage(files[0]): "inc-1.md"}
    with pytest.raises(Denied, match="invite it"):
        await shelf.share("C0OTHER", staged, thread="")
    assert workspace.files("C0OTHER") == []


async def test_without_the_scope_for_reading_it_says_so(workspace, messenger, shelf, report):
    for method in ("conversations.history", "files.info"):
        workspace.refuse(method, "missing_scope", needed="the:scope")
    with pytest.raises(Denied, match="the:scope"):
        await messenger.find("C0INC", mark=report.edition.mark, since=NOW)
    with pytest.raises(Denied, match="the:scope"):
        await shelf.is_shared("C0INC", "F0ANY")


async def test_an_uploaded_file_is_read_whole_or_not_at_all(workspace, shelf):
    file = workspace.attached("apply.log", b"Error: x\n" * 1000)

    assert await shelf.read(file["id"], most=9000) == b"Error: x\n" * 1000
    assert await shelf.read(file["id"], most=8999) is None
    with pytest.raises(Missing):
        await shelf.read("F0GONE", most=9000)


async def test_the_token_goes_to_no_other_address_that_a_file_names(workspace, shelf, monkeypatch):
    file = workspace.attached("apply.log", b"x")
    there = {"id": file["id"], "size": 1, "url_private_download": "https://files.example.com/apply.log"}
    monkeypatch.setitem(workspace._server.methods, "files.info", lambda *_: {"file": there})

    with pytest.raises(Denied, match="not kept by Slack"):
        await shelf.read(file["id"], most=10)


async def test_a_file_that_slack_wants_a_login_for_says_which_scope_is_missing(workspace, shelf):
    file = workspace.attached("apply.log", b"x")
    workspace.team.scopes = [scope for scope in workspace.team.scopes if scope != "files:read"]

    with pytest.raises(Denied, match="files:read"):
        await shelf.read(file["id"], most=10)
