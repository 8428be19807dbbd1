"""`doctor`: each thing that would stop an unlock is found, named with its mend, and nothing else is changed."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from bot.doctor import exports
from bot.doctor.check import Level
from bot.slack.rights import SCOPES
from bot.store.jobs import open_docket
from tests.worlds.proxy import Answer, Deny
from tests.worlds.tickets import GitHubIssues

MANIFEST = Path(__file__).parents[2] / "manifest.yml"


@pytest.fixture
def healthy(terminal, slack, redis):
    """Everything that an unlock needs is there."""
    terminal.settings["policy"] = {}
    terminal.environ |= slack.environment() | {"REDIS_URL": redis}
    return terminal


@pytest.fixture
def levels(healthy):
    """The levels and texts of one area and subject, and the exit code."""

    async def levels(area, subject):
        ended = await healthy.run("doctor", "--json")
        found = [c for c in ended.document["checks"] if (c["area"], c["subject"]) == (area, subject)]
        return ended.code, [c["level"] for c in found], " ".join(f"{c['detail']} {c['mend']}" for c in found)

    return levels


async def test_a_healthy_bot_is_told_so_line_by_line(around, healthy):
    lock = await around.hold()
    before = (await around.aws.objects(), await around.aws.items())

    ended = await healthy.run("doctor", "--all")

    assert ended.code == 0
    checks = ended.lines[: ended.lines.index("")]
    assert all(line.startswith(("OK ", "WARN ", "UNPROVEN ")) for line in checks)
    assert "nothing would stop an unlock" in ended.lines[-2]
    assert (await around.aws.objects(), await around.aws.items()) == before
    assert await around.still_held(lock)


async def test_a_healthy_bot_has_no_warning_and_only_a_log_that_nobody_could_try_is_not_proven(healthy):
    ended = await healthy.run("doctor", "--json")

    found = [check for check in ended.document["checks"] if check["level"] != "ok"]
    assert [(check["level"], check["subject"], check["essential"]) for check in found] == [("unproven", "logs", False)]


async def test_the_json_is_one_document_with_the_documented_keys(healthy, described):
    ended = await healthy.run("doctor", "--json")

    named = described("commands-json.md", "`doctor`")
    assert ended.document["ok"] is True
    assert set(ended.document) == {name for name in named if "." not in name}
    assert {f"checks[].{key}" for key in ended.document["checks"][0]} == {name for name in named if "." in name}


async def test_one_state_is_looked_at_by_its_name_in_any_case(healthy):
    states = healthy.settings["states"]
    states["other"] = {**states["staging"], "backend": {**states["staging"]["backend"], "key": "other.tfstate"}}

    ended = await healthy.run("doctor", "--state", "STAGING", "--json")
    unknown = await healthy.run("doctor", "--state", "stagin")

    areas = {check["area"] for check in ended.document["checks"]}
    assert "staging" in areas
    assert "other" not in areas
    assert unknown.code == 2
    assert "Did you mean staging?" in unknown.err


async def test_without_slack_it_is_a_line_and_not_a_crash(terminal, redis):
    ended = await terminal.run("doctor", "--all", REDIS_URL=redis)

    assert ended.code == 1
    assert "FAIL     slack, token: SLACK_BOT_TOKEN is not set." in ended.out
    assert "FAIL     slack, requests: neither" in ended.out
    assert "OK       staging, lock" in ended.out


async def test_without_redis_url_the_embedded_one_is_tried_and_leaves_nothing(terminal):
    ended = await terminal.run("doctor", "--all")

    assert "OK       redis, timeline: the embedded Redis, Redis 7" in ended.out.replace("Redis 6", "Redis 7")
    assert "OK       redis, durability" in ended.out
    assert "OK       redis, replicas: none" in ended.out
    assert not (terminal.home / "var").exists()


async def test_the_scopes_are_those_of_the_manifest():
    assert set(yaml.safe_load(MANIFEST.read_text())["oauth_config"]["scopes"]["bot"]) == set(SCOPES)


async def test_a_token_that_slack_refuses_stops_unlocks(healthy, levels):
    healthy.environ["SLACK_BOT_TOKEN"] = "xoxb-distinctive-but-wrong"

    code, found, told = await levels("slack", "token")

    assert (code, found) == (1, ["fail"])
    assert "invalid_auth" in told


async def test_missing_scopes_are_named_by_what_they_stop(slack, levels):
    slack.team.scopes = tuple(scope for scope in slack.team.scopes if scope not in {"chat:write", "dnd:read"})

    code, found, told = await levels("slack", "scopes")

    assert (code, sorted(found)) == (1, ["fail", "warn"])
    assert "chat:write is missing" in told
    assert "install the app again" in told


async def test_socket_mode_is_tried_with_its_token(slack, healthy, levels):
    healthy.environ |= slack.environment(socket_mode=True)
    good = await levels("slack", "requests")
    healthy.environ["SLACK_APP_TOKEN"] = "xapp-distinctive"
    bad = await levels("slack", "requests")

    assert good[:2] == (0, ["ok"])
    assert bad[:2] == (1, ["fail"])


async def test_a_channel_that_the_bot_is_not_in_stops_unlocks_there(slack, levels):
    slack.add_channel("C0STAGING", "ops-staging", ["U0QUINN"], with_bot=False)

    code, found, told = await levels("slack", "channels")

    assert code == 1
    assert found == ["fail", "ok"]
    assert "/invite @tflock" in told


async def test_a_channel_that_slack_does_not_know_stops_unlocks(healthy, levels):
    healthy.settings["slack"]["incident_channels"] = ["C0NOWHERE", "war-*"]

    code, found, told = await levels("slack", "channels")

    assert (code, found) == (1, ["fail", "warn"])
    assert "C0NOWHERE" in told
    assert "no channel that may be one is called war-*" in told


@pytest.mark.parametrize("channel", [None, "C0STAGING"])
async def test_an_automatic_release_without_an_alerts_channel_is_a_warning(healthy, levels, channel):
    state = next(iter(healthy.settings["states"].values()))
    state["auto_release"] = {"after": "10m", "veto": "5m"}
    healthy.settings["slack"]["alerts_channel"] = channel

    code, found, told = await levels("slack", "alerts channel")

    assert (code, found) == (0, ["warn"] if channel is None else ["ok"])
    assert ("set slack.alerts_channel" in told) is (channel is None)


async def test_a_user_group_that_cannot_be_read_stops_unlocks(healthy, levels):
    healthy.settings["policy"] = {"unlock_groups": ["S0NOBODY"]}

    assert (await levels("slack", "unlock groups"))[:2] == (1, ["fail"])


async def test_a_redis_that_is_away_stops_unlocks_and_keeps_its_password(healthy, levels):
    healthy.environ["REDIS_URL"] = "redis://:distinctive@127.0.0.1:1/0"

    code, found, told = await levels("redis", "timeline")

    assert (code, found) == (1, ["fail"])
    assert "redis://127.0.0.1:1/0" in told


async def test_a_redis_that_may_lose_a_second_is_a_warning_and_one_that_throws_timelines_away_a_failure(
    healthy, store_at, redis, levels
):
    async with store_at(redis) as store:
        client = store.records._client
        await client.config_set("appendfsync", "everysec")
        durability = await levels("redis", "durability")
        await client.config_set("maxmemory-policy", "allkeys-lru")

    memory = await levels("redis", "memory")

    assert durability[:2] == (0, ["warn"])
    assert "appendfsync always" in durability[2]
    assert memory[:2] == (1, ["fail"])
    assert "throws away timelines" in memory[2]


@pytest.mark.parametrize(
    ("rights", "named"),
    [
        ("~tflock:* ~tflock-jobs:* resetchannels +@all", "channels *"),
        ("~tflock:* ~tflock-jobs:* &* +@all -@scripting", "command EVALSHA"),
        ("~tflock:* &* +@all", "keys tflock-jobs:*"),
    ],
    ids=("channels", "scripts", "the queue's keys"),
)
async def test_a_right_that_redis_withholds_is_named_and_nothing_is_left_in_redis(
    healthy, store_at, redis, levels, rights, named
):
    async with store_at(redis) as store:
        client = store.records._client
        await client.execute_command("ACL", "SETUSER", "tflock", "on", ">distinctive", *rights.split())
        healthy.environ["REDIS_URL"] = f"{redis}?username=tflock&password=distinctive"

        code, found, told = await levels("redis", "rights")
        assert (code, found) == (1, ["fail"])
        assert named in told
        assert "NOPERM" in told

        await client.execute_command("ACL", "SETUSER", "tflock", "~*", "&*", "+@all")
        assert (await levels("redis", "rights"))[:2] == (0, ["ok"])
        assert (await levels("redis", "jobs"))[1] == ["ok"]
        # what is remembered of a store that proved itself is for the bot
        assert [key for key in await client.keys() if "conditional-store" not in key] == []


async def test_jobs_that_are_due_while_no_worker_runs_stop_unlocks(levels, redis):
    async with open_docket(redis) as docket:
        docket.register(asyncio.sleep, names=["sleep"])
        execution = await docket.add("sleep", key="k")(0)
        code, found, told = await levels("redis", "workers")
        await docket.cancel(execution.key)

    assert (code, found) == (1, ["fail"])
    assert "1 job is due and no worker runs" in told
    assert (await levels("redis", "workers"))[:2] == (0, ["ok"])


async def test_missing_aws_rights_are_listed_by_their_iam_names(around, levels):
    lock = await around.hold()
    for name in ("dynamodb:DeleteItem", "s3:DeleteObject"):
        around.proxy.fault(name, Deny())

    item = await levels("staging", "release of the dynamodb item")
    file = await levels("staging", "release of the lockfile")

    assert (item[0], item[1], file[1]) == (1, ["fail"], ["fail"])
    assert "dynamodb:DeleteItem is denied" in item[2]
    assert "s3:DeleteObject is denied" in file[2]
    assert await around.still_held(lock)


async def test_a_store_that_ignores_conditions_stops_unlocks(around, levels):
    around.proxy.fault("s3:DeleteObject", Answer(204))

    code, found, told = await levels("staging", "release of the lockfile")

    assert (code, found) == (1, ["fail"])
    assert "although the condition does not hold" in told


async def test_a_lock_that_cannot_be_read_stops_unlocks(around, levels):
    around.proxy.fault("dynamodb:GetItem", Deny())

    code, found, told = await levels("staging", "lock")

    assert (code, found) == (1, ["fail"])
    assert "dynamodb:GetItem" in told


async def test_without_the_right_to_read_all_locks_at_once_nothing_is_watched_and_that_is_a_warning(around, levels):
    assert (await levels("watch", "locks"))[:2] == (0, ["ok"])
    around.proxy.fault("dynamodb:BatchGetItem", Deny())

    code, found, told = await levels("watch", "locks")

    assert (code, found) == (0, ["warn"])
    assert "grant dynamodb:BatchGetItem" in told


async def test_a_bucket_without_versions_is_a_warning(around, levels):
    suspended = {"Status": "Suspended"}
    await asyncio.to_thread(
        around.aws.s3.put_bucket_versioning, Bucket=around.aws.bucket, VersioningConfiguration=suspended
    )

    assert (await levels("staging", "versions"))[:2] == (0, ["warn"])


async def test_a_token_that_github_refuses_stops_unlocks(healthy, levels):
    healthy.environ["GITHUB_TOKEN"] = "ghp-distinctive-but-wrong"

    code, found, told = await levels("github", "runs")

    assert (code, found) == (1, ["fail"])
    assert "GITHUB_TOKEN is wrong or expired" in told


async def test_a_workflow_that_github_does_not_know_stops_unlocks(healthy, levels):
    healthy.settings["states"]["staging"]["pipelines"].append(
        {"ci": "github", "repo": "acme/infra", "workflow": "gone.yml"}
    )

    code, found, told = await levels("github", "runs")

    assert (code, found) == (1, ["ok", "fail"])
    assert "gone.yml" in told


async def test_a_token_that_may_only_read_is_a_warning_for_kill_job(around, healthy, levels):
    around.github.reading_token = healthy.environ["GITHUB_TOKEN"] = "ghp-distinctive-reader"
    running = await around.hold(ended=None)

    code, found, told = await levels("github", "kill-job")

    assert (code, found) == (0, ["warn"])
    assert "actions: write" in told
    assert await around.still_held(running)


async def test_the_log_of_a_job_is_tried_and_a_missing_right_is_a_warning(around, levels):
    await around.hold()
    around.github.runs.runs("acme/infra")[0].jobs[-1].log = "2026-11-21T09:05:03.1Z ok\r\n"

    assert (await levels("github", "logs"))[:2] == (0, ["ok"])
    around.github.answer_next("/logs", status=403, body='{"message": "Resource not accessible"}')
    code, found, told = await levels("github", "logs")

    assert (code, found) == (0, ["warn"])
    assert "actions: read" in told


async def test_looking_whether_runs_may_be_cancelled_cancels_none(around, levels):
    await around.hold(ended=None)

    code, found, _ = await levels("github", "kill-job")

    assert (code, found) == (0, ["ok"])
    assert [run.status for run in around.github.runs.runs("acme/infra")] == ["in_progress"]


async def test_a_ci_system_that_cannot_be_reached_is_not_proven_which_counts_as_wrong(healthy, levels):
    healthy.settings["ci"]["gitlab"] = {"type": "gitlab", "base_url": "http://127.0.0.1:9/api/v4"}
    healthy.settings["states"]["staging"]["pipelines"].append({"ci": "gitlab", "project": "acme/infra"})

    code, found, told = await levels("gitlab", "runs")

    assert (code, found) == (1, ["unproven"])
    assert "GitLab" in told
    assert "try again" in told
    _, found, told = await levels("gitlab", "logs")
    assert found == ["unproven"]
    assert "no connection to GitLab" in told
    assert "no job" not in told


@pytest.mark.parametrize(("minutes", "expected"), [(1, (0, ["warn"])), (-10, (1, ["fail"]))])
async def test_a_clock_that_is_off_is_measured(minutes, expected, around, levels):
    around.github.offset = timedelta(minutes=minutes)

    code, found, told = await levels("clock", "CI github")

    assert (code, found) == expected
    assert ("behind" if minutes > 0 else "ahead") in told


async def test_safeguards_below_the_defaults_are_warnings(healthy, levels):
    healthy.settings["policy"] = {"settle": {"lost": "1s"}, "evidence_max_age": "5m"}

    assert (await levels("policy", "settle.lost"))[:2] == (0, ["warn"])
    assert (await levels("policy", "evidence_max_age"))[:2] == (0, ["warn"])


async def test_a_table_with_tiny_capacity_is_a_warning_that_names_its_units(around, levels):
    await around.aws.switch_billing(units=1)

    code, found, told = await levels("staging", "table")

    assert (code, found) == (0, ["warn"])
    assert "PROVISIONED with 1 read unit and 1 write unit" in told
    assert "PAY_PER_REQUEST" in told


async def test_a_ttl_on_the_lock_table_is_a_warning_that_names_its_attribute(around, levels):
    await around.aws.forget_items_by("expires_at")

    code, found, told = await levels("staging", "table")

    assert (code, found) == (0, ["warn"])
    assert "TTL by expires_at" in told
    assert "turn the table's TTL off" in told


async def test_a_table_that_throttles_is_a_warning(around, levels):
    await around.aws.count_refusals(at=datetime.now(UTC) - timedelta(minutes=1), writes=12)

    code, found, told = await levels("staging", "table")

    assert (code, found) == (0, ["warn"])
    assert "12 requests" in told


@pytest.mark.parametrize(
    "action", ["dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "cloudwatch:GetMetricData"]
)
async def test_a_missing_optional_right_on_the_table_is_a_warning(around, levels, action):
    around.proxy.fault(action, Deny())

    code, found, told = await levels("staging", "table")

    assert (code, found) == (0, ["warn"])
    assert f"{action} on table" in told
    assert "optional" in told


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [("acme-tfstate", "the bucket is there"), ("acme-nowhere", "not found"), ("acme-denied", "exports do not need")],
)
async def test_the_export_bucket_is_looked_at_and_nothing_is_put_into_it(around, healthy, levels, bucket, expected):
    healthy.settings["aws"] = {"region": "eu-west-1", "endpoint_url": around.proxy.url}
    healthy.settings["export"] = {"s3": {"bucket": around.aws.bucket if bucket == "acme-tfstate" else bucket}}
    if bucket == "acme-denied":
        around.proxy.fault("s3:HeadBucket", Deny())
    before = await around.aws.objects()

    code, found, told = await levels("exports", "s3")

    assert (code, found) == (0, ["warn" if bucket == "acme-nowhere" else "ok"])
    assert expected in told
    assert await around.aws.objects() == before


async def test_an_export_directory_that_cannot_be_made_is_a_warning(healthy, levels, tmp_path):
    (tmp_path / "taken").write_text("a file")
    healthy.settings["export"] = {"directory": str(tmp_path / "taken" / "exports")}

    assert (await levels("exports", "directory"))[:2] == (0, ["warn"])


@pytest.mark.parametrize("trouble", ["", "token"])
async def test_the_ticket_system_is_looked_at_and_nothing_is_filed(healthy, levels, trouble):
    async with GitHubIssues() as github:
        token = "ghp-distinctive-and-wrong" if trouble == "token" else github.token
        healthy.environ["TICKET_TOKEN"] = token
        healthy.settings["tickets"] = {
            "type": "github",
            "repo": github.place,
            "base_url": github.base_url,
            "token_env": "TICKET_TOKEN",
        }

        code, found, told = await levels("tickets", f"GitHub {github.place}")

        assert (code, found) == (0, ["warn" if trouble else "ok"])
        assert github.issues == []
        assert all(line.startswith("GET") for line in github.asked)
    assert ("renew TICKET_TOKEN" if trouble else "takes issues") in told


@pytest.mark.parametrize(("free", "level"), [(0, Level.WARN), (16 * 1024**2, Level.OK)])
def test_a_full_disk_is_no_place_for_exports(tmp_path, free, level):
    found = exports._directory(tmp_path / "exports", free_at=lambda _: free)
    assert found.level is level
    assert ("is full" in found.detail) == (free == 0)
