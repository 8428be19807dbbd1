import copy
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from bot.app.adapters import export_bucket, run_sources, ticket_system
from bot.aws.clients import AwsClients
from bot.config.load import load
from bot.config.models import (
    TICKET_SECTIONS,
    AwsSection,
    BucketSection,
    CiSection,
    TicketsSection,
    sections_in,
)
from bot.core.policy import ByTime, KnownPerson, LoopRule, Policy, WatchRule
from bot.core.run import Conclusion, Pipeline
from bot.errors import UnknownState

EXAMPLE = Path(__file__).parents[2] / "tflock.example.yml"
MINUTE = timedelta(minutes=1)
VARIABLES = {
    name: f"value of {name}"
    for name in ("GITHUB_TOKEN", "GITLAB_TOKEN", "AZURE_DEVOPS_TOKEN", "JENKINS_USER", "JENKINS_TOKEN", "OTHER")
}


@pytest.fixture
def config(environ):
    return load(EXAMPLE, environ | VARIABLES)


def test_a_file_of_the_first_version_loads_unchanged_and_means_what_it_did(config, environ):
    first = load(Path(__file__).parent / "first_version.yml", environ | VARIABLES)

    own = ("runner@*", "root@runner-*", "vsts@*", "jenkins@*", "circleci@*", "*@ip-*")
    assert (first.states, first.policy) == (config.states, config.policy)
    assert first.holders == replace(config.holders, ci_hosts=own)
    assert first.watch == WatchRule()


def test_the_example_names_the_channels(config):
    assert config.slack.incident_channels == ("inc-*", "C0STAGING")
    assert config.slack.alerts_channel == "C0PLATFORM"


def test_the_example_has_every_ci_system_with_its_credentials(config):
    def settings(name, kind, base_url="", token="", user="", relist_delay=timedelta(0)):
        found = {"base_url": "", "token_env": "", "user_env": "", "relist_delay": timedelta(0)} | dict(config.ci[name])
        assert (found["type"], found["base_url"], found["relist_delay"]) == (kind, base_url, relist_delay)
        assert (found["token_env"], found["user_env"]) == (token, user)
        secrets = [config.secrets[variable].get_secret_value() for variable in (token, user) if variable]
        assert secrets == [VARIABLES[variable] for variable in (token, user) if variable]

    settings("github", "github_actions", "https://api.github.com", "GITHUB_TOKEN")
    settings("gitlab", "gitlab", "https://gitlab.example.com/api/v4", "GITLAB_TOKEN")
    settings("azure", "azure_devops", "https://dev.azure.com/acme", "AZURE_DEVOPS_TOKEN")
    settings("jenkins", "jenkins", "https://jenkins.example.com", "JENKINS_TOKEN", "JENKINS_USER")
    settings("ecs", "ecs", relist_delay=timedelta(seconds=5))
    assert config.ci["ecs"].region == "eu-west-1"


def test_the_example_describes_staging(config):
    staging = config.state("staging")
    assert (staging.name, staging.description, staging.protected) == ("staging", "Staging, all services", False)
    backend = staging.backend
    assert (backend.bucket, backend.key) == ("acme-tfstate", "environments/staging/terraform.tfstate")
    assert (backend.workspace, backend.workspace_key_prefix, backend.region) == ("default", "env:", "eu-west-1")
    assert (backend.dynamodb_table, backend.use_lockfile) == ("acme-tf-locks", False)
    assert (backend.assume_role, backend.endpoint_url) == (None, None)
    assert staging.pipelines == (
        Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml"), ("branch", "main"))),
        Pipeline("github", (("repo", "acme/infra"), ("workflow", "dependency-update.yml"))),
    )


def test_the_example_describes_production_with_a_region_from_the_aws_defaults(config):
    production = config.state("production")
    assert production.protected
    assert production.backend.region == "eu-west-1"
    assert (production.backend.dynamodb_table, production.backend.use_lockfile) == ("acme-tf-locks", True)
    assert production.pipelines == (
        Pipeline("gitlab", (("project", "acme/infra"), ("ref", "main"))),
        Pipeline("azure", (("project", "infra"), ("definition", "42"))),
        Pipeline("jenkins", (("job", "infra/deploy"),)),
        Pipeline("ecs", (("cluster", "terraform"), ("family", "terraform-production"))),
    )
    assert [pipeline.system for pipeline in production.pipelines] == ["GitLab CI", "Azure DevOps", "Jenkins", "ECS"]


def test_the_example_gives_its_own_ci_hosts_and_none_that_a_person_can_have(config):
    assert config.holders.ci_hosts == ("ci@build-*",)
    assert not config.holders.looks_like_ci("root@ip-10-0-0-7")
    assert not config.holders.looks_like_ci("jenkins@a-macbook")
    assert config.policy.by_time is ByTime.APPROVAL
    assert config.holders.run_id_hosts == ("*@gha-{run}-{attempt}",)
    elliott = KnownPerson("elliott", "U0ELLIOTT", "elliott@example.com", "elliott-ci", ("elliott@*",))
    assert config.holders.people == (elliott,)


def test_the_example_spells_out_the_default_policy(config):
    assert config.policy == Policy(
        settle={
            Conclusion.FAILED: timedelta(seconds=60),
            Conclusion.CANCELLED: timedelta(seconds=330),
            Conclusion.TIMED_OUT: timedelta(seconds=330),
            Conclusion.LOST: timedelta(seconds=660),
        },
        state_quiet=2 * MINUTE,
        clock_skew=2 * MINUTE,
        evidence_max_age=MINUTE / 2,
        unlock_groups=(),
        approval_timeout=15 * MINUTE,
        release_deadline=3 * MINUTE,
        lock_age_alert=60 * MINUTE,
        loop=LoopRule(starts=5, within=15 * MINUTE),
    )
    assert config.policy == Policy()


def test_the_example_spells_out_how_states_are_watched(config):
    assert config.watch == WatchRule(every=MINUTE, look_every=5 * MINUTE, overdue_factor=2.0) == WatchRule()


def test_the_example_keeps_timelines_and_exports(config):
    assert (config.timeline.retention, config.timeline.close_after_quiet) == (timedelta(days=400), timedelta(hours=24))
    assert config.timeline.capture_reactions == ("pushpin", "round_pushpin")
    assert config.export.formats == ("markdown", "html", "json", "csv")
    assert (config.export.directory, config.export.s3, config.export.upload_to_channel) == ("exports", None, True)


def test_every_type_of_ci_has_its_adapter(config):
    aws = AwsClients()
    made = run_sources(config, aws, ())
    assert {name: type(source.ci).__name__ for name, source in made.items()} == {
        "github": "GitHubActions",
        "gitlab": "GitLab",
        "azure": "AzureDevOps",
        "jenkins": "Jenkins",
        "hcp": "HcpTerraform",
        "ecs": "Ecs",
    }
    assert {type(section) for section in config.ci.values()} == set(sections_in(CiSection))


TICKETS = {
    "github": ("{type: github, repo: acme/infra}", "GitHub", "acme/infra"),
    "gitlab": ("{type: gitlab, project: acme/platform/infra}", "GitLab", "acme/platform/infra"),
    "jira": ("{type: jira, base_url: 'https://acme.atlassian.net', project: OPS}", "Jira", "OPS"),
}


@pytest.mark.parametrize("kind", TICKETS)
async def test_every_ticket_system_has_its_adapter_and_keeps_its_secrets(loaded, smallest, environ, kind):
    given, system, place = TICKETS[kind]
    secrets = {"GITHUB_TOKEN": "hush-1", "GITLAB_TOKEN": "hush-2", "JIRA_TOKEN": "hush-3", "JIRA_USER": "hush-4"}
    config = loaded(f"{smallest}tickets: {given}\n", environ | secrets)

    tickets = ticket_system(config)
    await tickets.aclose()

    assert (tickets.system, tickets.place) == (system, place)
    assert "hush" not in f"{config!r} {tickets!r} {vars(tickets.of)!r}"


def test_every_type_of_tickets_has_its_maker():
    assert {TICKET_SECTIONS[kind] for kind in TICKETS} == set(sections_in(TicketsSection))


def test_without_tickets_follow_ups_are_filed_nowhere(loaded, smallest):
    assert ticket_system(loaded(smallest)) is None


def test_an_export_bucket_is_reached_with_the_defaults_for_aws(loaded, smallest):
    aws = "aws: {region: eu-west-1, assume_role: arn:aws:iam::1:role/x, endpoint_url: 'http://localhost:1'}\n"
    config = loaded(f"{smallest}{aws}export: {{s3: {{bucket: acme, prefix: p}}}}\n")
    assert config.export.s3 == BucketSection(bucket="acme", prefix="p")
    assert config.aws == AwsSection(
        region="eu-west-1", assume_role="arn:aws:iam::1:role/x", endpoint_url="http://localhost:1"
    )
    assert export_bucket(config, aws=AwsClients()).place("inc") == "s3://acme/p/inc/"


def _leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


OTHER = {
    "alerts_channel": "C0OTHERONE",
    "assume_role": "arn:aws:iam::123456789012:role/other",
    "endpoint_url": "https://other.example.com",
    "base_url": "https://other.example.com",
    "repo": "acme/other",
    "slack": "U0OTHER",
    "email": "other@example.com",
    "incident_channels": ["other"],
    "unlock_groups": ["S0OTHER"],
    "formats": ["json"],
    "run_id_hosts": ["*@other-{run}"],
    "by_time": "refuse",
    "s3": {"bucket": "other"},
    "tickets": {"type": "github", "repo": "acme/other"},
    "auto_release": {"after": "10m", "veto": "5m"},
}


def _another(key, value):
    if key in OTHER:
        return OTHER[key]
    if str(key).endswith("_env"):
        return "OTHER"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return ["other"]
    return "7m" if re.fullmatch(r"\d+[smhd]", str(value)) else "other"


CHANGEABLE = [
    path
    for path, _ in _leaves(yaml.safe_load(EXAMPLE.read_text()))
    # these choose the form of the rest; their other values are refused or tested elsewhere
    if path[-1] not in {"type", "version", "ci"}
    and path != ("states", "staging", "backend", "dynamodb_table")
    and path[1:] not in {("{env}-{service}", "discover"), ("{env}-{service}", "backend", "key")}
]


@pytest.mark.parametrize("path", CHANGEABLE, ids=lambda path: ".".join(map(str, path)))
def test_every_key_of_the_example_makes_a_difference(path, loaded, environ):
    document = yaml.safe_load(EXAMPLE.read_text())
    changed = copy.deepcopy(document)
    around = changed
    for part in path[:-1]:
        around = around[part]
    around[path[-1]] = _another(path[-1], around[path[-1]])

    env = environ | VARIABLES
    if path[0] == "aws":
        # a backend with a region of its own overrides the default, so let it have none
        for text in (document, changed):
            text["states"]["staging"]["backend"].pop("region")
    if path[-1] == "auto_release":
        for text in (document, changed):
            text["states"]["production"]["protected"] = False  # it is for no protected state

    assert loaded(yaml.safe_dump(document), env) != loaded(yaml.safe_dump(changed), env)


def test_only_a_state_and_an_incident_channel_must_be_given(loaded, smallest):
    config = loaded(smallest)
    assert config.policy == Policy()
    assert dict(config.ci) == {}
    assert config.tickets is None
    assert (config.port, config.redis_url, config.claim_token) == (3000, None, None)
    assert (config.log_format, config.log_level) == ("json", "info")
    assert config.slack.api_url == "https://slack.com/api/"


def test_the_environment_is_taken_over(loaded, smallest, environ):
    config = loaded(
        smallest,
        environ
        | {
            "SLACK_APP_TOKEN": "xapp-1",
            "SLACK_API_URL": "http://127.0.0.1:9/api",
            "PORT": "8080",
            "REDIS_URL": "rediss://:pw@redis.example.com/0",
            "TFLOCK_CLAIM_TOKEN": "claims",
            "LOG_FORMAT": "Console",
            "LOG_LEVEL": "DEBUG",
        },
    )
    assert config.slack.app_token.get_secret_value() == "xapp-1"
    assert config.slack.api_url == "http://127.0.0.1:9/api/"
    assert config.port == 8080
    assert config.redis_url.get_secret_value() == "rediss://:pw@redis.example.com/0"
    assert config.claim_token.get_secret_value() == "claims"
    assert (config.log_format, config.log_level) == ("console", "debug")


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_the_slack_address_ends_with_one_slash(loaded, smallest, environ, slashes):
    config = loaded(smallest, environ | {"SLACK_API_URL": f"https://slack-gov.com/api{slashes}"})
    assert config.slack.api_url == "https://slack-gov.com/api/"


def test_no_secret_shows_in_any_text_of_the_configuration(environ):
    secrets = {
        **VARIABLES,
        "SLACK_APP_TOKEN": "xapp-secret-4",
        "REDIS_URL": "redis://:redis-secret-5@h/0",
        "TFLOCK_CLAIM_TOKEN": "claim-secret-6",
    }
    config = load(EXAMPLE, environ | secrets)
    shown = f"{config!r} {config} {config.slack!r} {config.ci['github']!r} {config.redis_url}"
    for value in (environ | secrets).values():
        assert value not in shown


def test_commands_that_talk_to_nobody_need_no_slack(loaded, smallest):
    without_channels = smallest.partition("\n")[2]
    config = loaded(without_channels, {}, need_slack=False)
    assert config.slack.bot_token is None
    assert config.slack.incident_channels == ()


def test_socket_mode_needs_no_signing_secret(loaded, smallest):
    config = loaded(smallest, {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"})
    assert config.slack.signing_secret is None


def test_a_backend_overrides_the_aws_defaults(loaded):
    config = loaded("""
slack: {incident_channels: [inc]}
aws: {region: eu-west-1, assume_role: "arn:default", endpoint_url: "http://localhost:1/"}
states:
  one:
    backend: {type: s3, bucket: acme, key: one, use_lockfile: true}
  two:
    backend:
      {type: s3, bucket: acme, key: two, use_lockfile: true, region: us-east-1, assume_role: "arn:own", endpoint_url: "http://localhost:2"}
""")
    one, two = config.state("one").backend, config.state("two").backend
    assert (one.region, one.assume_role, one.endpoint_url) == ("eu-west-1", "arn:default", "http://localhost:1")
    assert (two.region, two.assume_role, two.endpoint_url) == ("us-east-1", "arn:own", "http://localhost:2")


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_may_come_from_the_environment(loaded, smallest, environ, variable):
    config = loaded(smallest.replace("region: eu-west-1, ", ""), environ | {variable: "eu-north-1"})
    assert config.state("staging").backend.region == "eu-north-1"


def test_an_unknown_state_gets_the_nearest_name(config):
    with pytest.raises(UnknownState) as caught:
        config.state("stagign")
    assert caught.value.nearest == "staging"
    assert caught.value.known == ("staging", "production")


def test_yaml_anchors_and_merges_work(loaded):
    config = loaded("""
slack: {incident_channels: [inc]}
states:
  one:
    backend: &common {type: s3, bucket: acme, key: one, region: eu-west-1, use_lockfile: true}
  two:
    backend: {<<: *common, key: two}
""")
    assert config.state("two").backend.bucket == "acme"
    assert config.state("two").backend.key == "two"


def test_the_configuration_cannot_be_changed(config):
    with pytest.raises(AttributeError):
        config.port = 1
    with pytest.raises(AttributeError):
        config.state("staging").protected = True
