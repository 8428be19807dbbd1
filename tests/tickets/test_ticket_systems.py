"""What each ticket system has of its own: its limits, its switches, its ways to say no."""

from __future__ import annotations

import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.account.ticket import FileResult, Ticket
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.phrase import Quoted
from tests.worlds.tickets import GitHubIssues, GitLabIssues, JiraIssues, tracker_of

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)
TICKET = Ticket("tflock-inc-1-0123456789ab", "Let it end", ("Because of ", Quoted("it"), "."), (("Do it.",),))


@pytest.fixture
async def github():
    async with GitHubIssues() as stand_in:
        yield stand_in


@pytest.fixture
async def on_github(github):
    async with aclosing(tracker_of(github)) as tickets:
        yield tickets


@pytest.fixture
async def gitlab():
    async with GitLabIssues() as stand_in:
        yield stand_in


@pytest.fixture
async def on_gitlab(gitlab):
    async with aclosing(tracker_of(gitlab)) as tickets:
        yield tickets


@pytest.fixture
async def jira():
    async with JiraIssues() as stand_in:
        yield stand_in


@pytest.fixture
async def on_jira(jira):
    async with aclosing(tracker_of(jira)) as tickets:
        yield tickets


async def test_github_finds_the_ticket_of_a_token_whose_labels_are_dropped(github, on_github):
    github.can_push = False

    await on_github.file(TICKET)

    assert github.issues[0].labels == ()
    assert isinstance(await on_github.find(TICKET.marker, since=LONG_AGO), Found)


async def test_a_pull_request_that_quotes_the_marker_is_not_the_ticket(github, on_github):
    github.take("Fix it", f"<!-- {TICKET.marker} -->", is_pull_request=True)

    assert isinstance(await on_github.find(TICKET.marker, since=LONG_AGO), NotFound)


async def test_a_list_that_does_not_end_is_not_an_answer(github, on_github):
    oldest = github.take("the ticket", f"<!-- {TICKET.marker} -->")
    for number in range(3_999):
        github.take(f"issue {number}", "text")
    assert isinstance(await on_github.find(TICKET.marker, since=LONG_AGO), Found)

    oldest.text = "text"
    github.take("one more", "text")

    seen = await on_github.find(TICKET.marker, since=LONG_AGO)
    assert (seen.trouble, seen.detail) == (
        Trouble.TOO_MUCH,
        "more than 4000 issues of acme/infra changed since then",
    )


async def test_issues_that_are_switched_off_are_told_with_the_switch(github, on_github):
    github.has_issues = False

    filing, ready = await on_github.file(TICKET), await on_github.ready()

    assert filing.result is FileResult.REFUSED
    assert "switched off" in filing.detail
    assert "tickets.repo" in filing.detail
    assert (ready.is_ready, ready.fix) == (False, "switch them on, or name another tickets.repo")


async def test_an_archived_repository_takes_none(github, on_github):
    github.is_archived = True

    assert (await on_github.file(TICKET)).result is FileResult.REFUSED
    assert not (await on_github.ready()).is_ready


@pytest.mark.parametrize(("scopes", "is_ready"), [("repo, gist", True), ("public_repo", False), ("gist", False)])
async def test_the_scopes_of_a_classic_token_are_looked_at(github, on_github, scopes, is_ready):
    github.scopes = scopes

    assert (await on_github.ready()).is_ready is is_ready


async def test_githubs_primary_limit_names_its_end(github, on_github):
    reset = int(datetime.now(UTC).timestamp()) + 1_200
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    github.answer_next("POST", status=403, body="{}", headers=headers)

    filing = await on_github.file(TICKET)

    assert filing.result is FileResult.LATER
    assert 1_100 < filing.retry_after <= 1_200


async def test_githubs_secondary_limit_is_no_refusal(github, on_github):
    github.answer_next("POST", status=403, body='{"message": "You have exceeded a secondary rate limit."}')

    filing = await on_github.file(TICKET)

    assert (filing.result, filing.retry_after) == (FileResult.LATER, 60)


async def test_gitlab_is_given_no_order(gitlab, on_gitlab):
    said = (Quoted("/close"), "\n/assign @root")
    await on_gitlab.file(Ticket(TICKET.marker, "/close", said, (("/close",),), (("/close", (Quoted("/close"),)),)))

    assert len(gitlab.issues) == 1
    assert gitlab.orders == []


async def test_gitlab_drops_the_labels_of_a_guest_and_the_ticket_is_found_all_the_same(gitlab, on_gitlab):
    gitlab.level = 10

    await on_gitlab.file(TICKET)

    assert gitlab.issues[0].labels == ()
    assert isinstance(await on_gitlab.find(TICKET.marker, since=LONG_AGO), Found)


@pytest.mark.parametrize("trouble", ["has_issues", "is_archived", "level", "scope"])
async def test_what_keeps_gitlab_from_taking_issues_is_told_with_its_mend(gitlab, on_gitlab, trouble):
    gitlab.has_issues = trouble != "has_issues"
    gitlab.is_archived = trouble == "is_archived"
    gitlab.level = 10 if trouble == "level" else 40
    if trouble == "scope":
        gitlab.token, gitlab.reading_token = "another", gitlab.token

    ready = await on_gitlab.ready()

    assert not ready.is_ready
    assert ready.fix


async def test_a_token_that_gitlab_does_not_describe_is_judged_by_its_role(gitlab, on_gitlab):
    gitlab.answer_next("personal_access_tokens", status=404, body="{}")

    assert (await on_gitlab.ready()).is_ready


@pytest.mark.parametrize("trouble", ["types", "has_labels", "rights"])
async def test_jira_names_the_field_that_it_does_not_take(jira, on_jira, trouble):
    told = {"types": "tickets.issue_type", "has_labels": "create screen", "rights": "Create issues"}[trouble]
    jira.types = ("Story",) if trouble == "types" else jira.types
    jira.has_labels = trouble != "has_labels"
    jira.rights["CREATE_ISSUES"] = trouble != "rights"

    filing = await on_jira.file(TICKET)

    assert filing.result is FileResult.REFUSED
    assert told in filing.detail
    assert jira.issues == []


async def test_jira_shows_a_ticket_by_its_label_once_it_can_be_searched(jira, on_jira):
    filing = await on_jira.file(TICKET)
    jira.lag = timedelta(hours=1)
    assert isinstance(await on_jira.find(TICKET.marker, since=LONG_AGO), NotFound)

    jira.lag = timedelta(0)
    found = await on_jira.find(TICKET.marker, since=LONG_AGO)

    assert found.value == filing.url == f"{jira.base_url}/browse/OPS-1"


async def test_jira_gets_a_document_and_no_markup(jira, on_jira):
    await on_jira.file(TICKET)

    (issue,) = jira.issues
    assert json.loads(issue.text)["type"] == "doc"
    assert set(issue.labels) == {"tflock", TICKET.marker}


async def test_an_answer_as_to_a_stranger_is_a_refusal_and_not_an_empty_search(jira, on_jira):
    headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    jira.answer_next("GET", body='{"issues": [], "isLast": true}', headers=headers)

    assert isinstance(await on_jira.find(TICKET.marker, since=LONG_AGO), Unseen)


@pytest.mark.parametrize("right", ["CREATE_ISSUES", "BROWSE_PROJECTS"])
async def test_jira_says_which_right_is_missing(jira, on_jira, right):
    jira.rights[right] = False

    ready = await on_jira.ready()

    assert not ready.is_ready
    assert "lacks" in ready.detail


async def test_a_hostile_project_name_cannot_leave_its_place_in_the_question(jira):
    async with aclosing(tracker_of(jira, place='OPS" OR project = "SECRET')) as tickets:
        assert isinstance(await tickets.find(TICKET.marker, since=LONG_AGO), Unseen)
        assert (await tickets.file(TICKET)).result is FileResult.REFUSED
    assert jira.issues == []
