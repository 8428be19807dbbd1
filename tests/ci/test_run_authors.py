"""Who started a run and who wrote its commit, as each CI system tells it, where a program started it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.ci.azure.source import AzureDevOps
from bot.ci.ecs.runs import run_from as task_from
from bot.ci.gitlab.source import GitLab
from bot.ci.jenkins.source import Jenkins
from bot.core.run import Pipeline
from tests.worlds.ci.azure.server import AzureStandIn
from tests.worlds.ci.gitlab.server import GitLabStandIn
from tests.worlds.ci.jenkins.server import JenkinsStandIn
from tests.worlds.ci.sources import source_of, value

NOW = datetime.now(UTC).replace(microsecond=0)
SINCE = NOW - timedelta(hours=1)
AUTHOR = ("Elliott Example", "elliott@example.com")
MAIN = Pipeline("gitlab", (("project", "acme/infra"), ("ref", "main")))
DEFINITION = Pipeline("azure", (("project", "infra"), ("definition", "42")))
JOB = Pipeline("jenkins", (("job", "infra/deploy"),))
FAMILY = Pipeline("ecs", (("cluster", "terraform"), ("family", "deploy")))
TFS = "Microsoft.VisualStudio.Services.TFS"


def told(run):
    return run.actor, run.by_bot, (run.author, run.author_email)


@pytest.fixture
async def gitlab():
    async with GitLabStandIn() as server:
        source = source_of(GitLab, server, MAIN)
        yield server, source
        await source.aclose()


@pytest.fixture
async def azure():
    async with AzureStandIn() as server:
        source = source_of(AzureDevOps, server, DEFINITION)
        yield server, source
        await source.aclose()


@pytest.fixture
async def jenkins():
    async with JenkinsStandIn() as server:
        source = source_of(Jenkins, server, JOB)
        yield server, source
        await source.aclose()


async def test_github_lists_the_author_of_a_commit_that_a_bot_deployed(source, github, update):
    github.runs.start_run(
        "acme/infra", "dependency-update.yml", actor="renovate[bot]", author=AUTHOR[0], author_email=AUTHOR[1]
    )

    (run,) = value(await source.runs(update, since=SINCE))

    assert told(run) == ("renovate[bot]", True, AUTHOR)


@pytest.mark.parametrize(("event", "by_bot"), [("push", False), ("schedule", True)])
async def test_github_tells_a_persons_run_from_that_of_a_schedule(source, github, update, event, by_bot):
    github.runs.start_run("acme/infra", "dependency-update.yml", actor="elliott-ci", event=event)

    (run,) = value(await source.runs(update, since=SINCE))

    assert (run.actor, run.by_bot) == ("elliott-ci", by_bot)


@pytest.mark.parametrize(
    ("user", "source_word", "by_bot"),
    [
        ("project_7120_bot_9f2c", "push", True),
        ("group_12_bot", "api", True),
        ("service_account_group_12_9f2c", "api", True),
        ("elliott", "schedule", True),
        ("elliott", "push", False),
        ("abbot", "push", False),
    ],
)
async def test_gitlab_tells_the_author_with_the_jobs(gitlab, user, source_word, by_bot):
    server, source = gitlab
    server.runs.start_pipeline(
        "acme/infra", user=user, source=source_word, author=AUTHOR[0], author_email=AUTHOR[1], at=NOW
    )
    (listed,) = value(await source.runs(MAIN, since=SINCE))

    assert told(value(await source.with_jobs(listed))) == (user, by_bot, AUTHOR)


async def test_azure_asks_for_the_author_of_a_build_that_nobody_asked_for(azure):
    server, source = azure
    server.runs.start_run("infra", 42, requested_for=TFS, reason="schedule", author="Elliott", at=NOW)
    (listed,) = value(await source.runs(DEFINITION, since=SINCE))

    run = value(await source.with_jobs(listed))

    assert told(run) == (TFS, True, ("Elliott", "elliott@example.com"))


async def test_azure_is_not_asked_for_more_where_a_person_asked_for_the_build(azure):
    server, source = azure
    server.runs.start_run("infra", 42, requested_for="Elliott", author="Quinn", at=NOW)
    (listed,) = value(await source.runs(DEFINITION, since=SINCE))

    run = value(await source.with_jobs(listed))

    assert (run.actor_email, run.by_bot, run.author) == ("elliott@example.com", False, "")
    assert not any("/changes" in line for line in server.asked)


async def test_an_azure_that_does_not_tell_the_changes_still_tells_the_build(azure):
    server, source = azure
    server.runs.start_run("infra", 42, requested_for=TFS, author="Elliott", at=NOW)
    (listed,) = value(await source.runs(DEFINITION, since=SINCE))
    server.answer_next("/changes", status=403, times=5)

    run = value(await source.with_jobs(listed))

    assert (run.author, run.jobs is None) == ("", False)


@pytest.mark.parametrize("freestyle", [True, False])
async def test_jenkins_tells_the_author_of_the_commit_that_a_timer_built(jenkins, freestyle):
    server, source = jenkins
    server.runs.add_job("infra/deploy", freestyle=freestyle)
    build = server.runs.start_build("infra/deploy", trigger="hudson.triggers.TimerTrigger$TimerTriggerCause", at=NOW)
    build.author, build.author_email = AUTHOR
    (listed,) = value(await source.runs(JOB, since=SINCE))

    assert told(value(await source.with_jobs(listed))) == ("", True, AUTHOR)


async def test_a_jenkins_build_that_a_person_started_is_no_bots(jenkins):
    server, source = jenkins
    server.runs.start_build("infra/deploy", actor="elliott", at=NOW)

    (listed,) = value(await source.runs(JOB, since=SINCE))

    assert (listed.actor, listed.by_bot) == ("elliott", False)


@pytest.mark.parametrize(
    ("started_by", "tags", "expected"),
    [
        ("events-rule/nightly", {}, ("events-rule/nightly", True, ("", ""))),
        ("events-rule/nightly", {"Actor": "elliott"}, ("elliott", False, ("", ""))),
        ("jenkins/deploy", {"author": AUTHOR[0], "author-email": AUTHOR[1]}, ("jenkins/deploy", False, AUTHOR)),
    ],
)
def test_an_ecs_task_tells_by_its_tags_who_is_behind_it(started_by, tags, expected):
    task = {
        "taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/terraform/0123456789abcdef",
        "createdAt": NOW,
        "lastStatus": "RUNNING",
        "startedBy": started_by,
        "tags": [{"key": key, "value": text} for key, text in tags.items()],
    }

    assert told(task_from(task, FAMILY, "")) == expected
