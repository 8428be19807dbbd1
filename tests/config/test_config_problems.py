from datetime import timedelta

import pytest
import yaml

from bot.config.load import load
from bot.core.policy import AutoRelease
from bot.errors import ConfigInvalid

MANY_FAULTS = """\
version: 2
slak: {}
slack: {incident_channels: ["#inc"], alerts_channel: alerts}
ci:
  github: {type: githb}
  gh: {type: github_actions, tokenenv: X}
states:
  staging:
    protected: "yes"
    backend: {type: s3, bucket: acme, kye: x, region: eu-west-1}
    pipelines:
      - {ci: ghh}
      - {ci: gh, repo: infra, flow: deploy.yml}
policy:
  settle: {failed: 60}
  loop: {starts: 1}
"""


def test_all_problems_are_reported_at_once_each_with_its_line_and_key(problems_of):
    assert problems_of(MANY_FAULTS, {"PORT": "x", "REDIS_URL": "http://u:pw@h"}) == [
        "tflock.yml:1: version: must be 1",
        "tflock.yml:2: slak: is not a key here; did you mean slack?",
        (
            "tflock.yml:3: slack.incident_channels[0]: must be a name without the leading #, a pattern of names,"
            " or a channel id"
        ),
        "tflock.yml:3: slack.alerts_channel: must be a channel id, such as C0123ABCD",
        (
            "tflock.yml:5: ci.github.type: must be one of github_actions, gitlab, azure_devops, jenkins, hcp, ecs;"
            " did you mean github_actions?"
        ),
        "tflock.yml:6: ci.gh.token_env: the environment variable GITHUB_TOKEN is not set",
        "tflock.yml:6: ci.gh.tokenenv: is not a key here; did you mean token_env?",
        "tflock.yml:9: states.staging.protected: must be true or false",
        (
            "tflock.yml:10: states.staging.backend: has no lock to look at: give dynamodb_table, or use_lockfile: true,"
            " or both, as in Terraform"
        ),
        "tflock.yml:10: states.staging.backend.key: is required",
        "tflock.yml:10: states.staging.backend.kye: is not a key here; did you mean key?",
        "tflock.yml:12: states.staging.pipelines[0].ci: is not a name under ci; did you mean gh?",
        "tflock.yml:13: states.staging.pipelines[1].workflow: is required for a github_actions pipeline",
        "tflock.yml:13: states.staging.pipelines[1].flow: is not a key here; did you mean workflow?",
        "tflock.yml:13: states.staging.pipelines[1].repo: must be owner/name",
        (
            "tflock.yml:15: policy.settle.failed: must be a duration: a whole number with its unit, such as 60s, 5m,"
            " 24h or 400d"
        ),
        "tflock.yml:16: policy.loop.starts: must be from 2 to 1000",
        "SLACK_BOT_TOKEN: is not set: the bot token (xoxb-…) from the app's page OAuth & Permissions",
        "SLACK_SIGNING_SECRET: is not set: it is on the app's page Basic Information (or set SLACK_APP_TOKEN)",
        "PORT: must be a number from 0 to 65535",
        "REDIS_URL: must begin with one of redis://, rediss://, unix://, redis+sentinel://, redis+cluster://",
    ]


def test_a_missing_file_and_a_missing_variable_are_told_together(tmp_path):
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path / "none.yml", {})
    told = "\n".join(caught.value.problems)
    assert "there is no such file; copy tflock.example.yml" in told
    assert "SLACK_BOT_TOKEN" in told


def test_a_directory_is_no_file(tmp_path, environ):
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load(tmp_path, environ)


def test_bytes_that_are_no_text_are_a_problem(tmp_path, environ):
    path = tmp_path / "tflock.yml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigInvalid, match="is not UTF-8 text"):
        load(path, environ)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "the file is empty"),
        ("# only a comment\n", 1, "the file is empty"),
        ("- a list\n", 1, "must be a mapping"),
        ("just text", 1, "must be a mapping"),
        ("slack:\n  a: [1, 2\nstates: {}\n", 2, "begins a list with [ that is never closed"),
        ("slack:\n  a: {b: 1\nstates: 1\n", 2, "begins a mapping with { that is never closed"),
        ("a: 1\n\tb: 2\n", 2, "has a tab where YAML needs spaces: indent with spaces only"),
        ("a:\n\tb: 1\n", 2, "has a tab"),
        ("a:\n  b: 1\n\tc: 2\n", 3, "has a tab"),
        ("a:\n  b: 1\n c: 2\n", 3, "is indented differently from the lines that it belongs to"),
        ("- a\nb: 1\n", 2, "is indented differently from the list"),
        ("  a: 1\nb: 2\n", 2, "is indented differently from the first line"),
        ("a: b: c\n", 1, "has a colon too many"),
        ("a\nb: 1\n", 2, "the line above lacks its colon"),
        ("a: 1\nb: 'x\nc: 2\n", 2, "begins a quote that is never closed"),
        ("a: 1\nb: @x\n", 2, "begins with a character of YAML's own: put the value in quotes"),
        ("a: *x\n", 1, "refers with * to a name that no & gives"),
        ('a: "\\q"\n', 1, "has a backslash"),
        ("a: !!python/object:os.system x\n", 1, "has a tag"),
        ("a: 1\n---\nb: 2\n", 2, "begins a second document"),
        ("a: 1\nb: \x07\n", 2, "has a character that no text has"),
        ("a: 2024-99-99\n", 1, "is not YAML that can be read"),
        ("[" * 5000, 1, "is not YAML"),
        ("[" * 400_000, 1, "is not YAML"),
        ("- " * 200_000, 1, "is not YAML"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(problems_of, text, line, reason):
    first = problems_of(text)[0]
    assert first.startswith(f"tflock.yml:{line}: ")
    assert reason in first


def test_a_value_that_contains_itself_is_a_problem(problems_of):
    assert problems_of("slack: &a\n  incident_channels: *a\n") == [
        "tflock.yml:2: slack.incident_channels: refers to itself"
    ]


def test_a_duration_of_centuries_is_a_problem(problems_of, smallest):
    assert problems_of(smallest + "timeline: {retention: 9999d}\n") == [
        "tflock.yml:5: timeline.retention: must not be longer than ten years"
    ]


def test_a_key_that_is_a_list_is_a_problem(problems_of, smallest):
    assert problems_of(smallest + "ci: {[a, b]: 1}\n") == ["tflock.yml:5: ci: has a key on line 5 that is not text"]


def test_keys_that_stand_twice_are_problems(problems_of, smallest):
    doubled = smallest + "policy: {state_quiet: 2m}\npolicy: {state_quiet: 1s}\n"
    assert problems_of(doubled) == ["tflock.yml:5: policy: occurs twice, on lines 5 and 6"]


def test_two_names_for_one_state_object_are_a_problem(problems_of, smallest):
    twin = smallest + smallest.split("states:\n")[1].replace("staging", "twin")
    told = problems_of(twin)
    assert told == [
        "tflock.yml:6: states.twin.backend: is the same state object as that of staging (bucket, key and workspace)"
    ]


def test_two_workspaces_of_one_key_are_two_states(loaded, smallest):
    other = smallest.split("states:\n")[1].replace("staging", "other").replace("type: s3", "type: s3, workspace: blue")
    assert set(loaded(smallest + other).states) == {"staging", "other"}


@pytest.mark.parametrize("name", ["a b", "a:b", "x" * 61, "-a", "'123'", "123", "a/b", "é"])
def test_state_names_that_could_be_misread_are_problems(problems_of, smallest, name):
    (problem,) = problems_of(smallest.replace("  staging:", f"  {name}:"))
    assert problem.startswith("tflock.yml:3: ")
    assert "a state's name" in problem


def test_a_state_without_a_region_is_a_problem(problems_of, smallest):
    assert problems_of(smallest.replace("region: eu-west-1, ", "")) == [
        "tflock.yml:4: states.staging.backend.region: is given neither here, nor in aws.region, nor in AWS_REGION"
    ]


def test_without_an_incident_channel_nobody_could_unlock(problems_of, smallest):
    assert "slack.incident_channels: names no channel" in problems_of(smallest.partition("\n")[2])[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [("state_quiet", wrong) for wrong in ("60", "1.5h", "-5m", "5 minutes", "3:00", "'5M'", "null", "[1m]")]
    + [("release_deadline", "0s"), ("evidence_max_age", "0s")],
)
def test_durations_are_whole_numbers_with_a_unit(problems_of, smallest, key, value):
    (problem,) = problems_of(f"{smallest}policy: {{{key}: {value}}}\n")
    assert problem.startswith(f"tflock.yml:5: policy.{key}: must be")


@pytest.mark.parametrize(
    "line",
    [
        "holders: {run_id_hosts: ['*@gha-x']}",
        "holders: {run_id_hosts: ['*@{run}-{run}']}",
        "holders: {people: {e: {slack: elliott}}}",
        "holders: {people: {e: {email: nobody}}}",
        "holders: {people: {e: {hours: always}}}",
        "holders: {people: {e: {gitlab: ''}}}",
        "policy: {unlock_groups: [oncall]}",
        "policy: {unlock_groups: S0ONCALL}",
        "export: {formats: [markdwn]}",
        "export: {timezone: Mars/Olympus}",
        "export: {timezone: ../etc/passwd}",
        "export: {s3: {prefix: x}}",
        "tickets: {type: jra}",
        "tickets: {repo: x}",
        "tickets: {type: github, repo: infra}",
        "ci: {jenkins: {type: jenkins}}",
        "ci: {x: {base_url: 'https://x'}}",
        "ci: {x: {type: ecs, base_url: 'https://x'}}",
        "ci: {x: 3}",
        "ci: []",
        "timeline: null",
        "aws: {endpoint_url: 'ftp://x'}",
        "aws: {endpoint_url: 'http://[x'}",
        "3: x",
    ],
)
def test_each_wrong_value_is_one_problem_on_its_line(problems_of, smallest, line):
    (problem,) = problems_of(f"{smallest}{line}\n")
    assert problem.startswith("tflock.yml:5: ")


def test_tickets_without_their_credentials_are_a_problem_that_names_the_variables(problems_of, smallest):
    line = "tickets: {type: jira, base_url: 'https://acme.atlassian.net', project: OPS, token_env: OUR_TOKEN}"

    assert problems_of(f"{smallest}{line}\n") == [
        "tflock.yml:5: tickets.user_env: the environment variable JIRA_USER is not set",
        "tflock.yml:5: tickets.token_env: the environment variable OUR_TOKEN is not set",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "tickets: {type: github, repo: acme/infra, token_env: ghp_Secret123}",
        "tickets: {type: github, repo: acme/infra, token: ghp_Secret123}",
        "ci: {x: {type: github_actions, token_env: ghp_Secret123}}",
        "ci: {x: {type: github_actions, token: ghp_Secret123}}",
        "ci: {x: {type: github_actions, base_url: 'https://me:ghp_Secret123@github.example.com'}}",
        "ci: {x: {type: ghp_Secret123}}",
        "aws: {endpoint_url: ghp_Secret123}",
        "slack: {alerts_channel: ghp_Secret123}",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(problems_of, smallest, line):
    told = "\n".join(problems_of(f"{smallest}{line}\n", {"REDIS_URL": "ghp_Secret123", "PORT": "ghp_Secret123"}))
    assert "ghp_Secret123" not in told


@pytest.mark.parametrize("value", ["true", "null", "''", "[a]", "1.5"])
def test_a_pipelines_values_are_text_or_whole_numbers(problems_of, smallest, value):
    pipeline = f"    pipelines: [{{ci: gh, repo: a/b, workflow: {value}}}]\nci: {{gh: {{type: github_actions}}}}\n"
    assert problems_of(smallest + pipeline) == [
        "tflock.yml:5: states.staging.pipelines[0].workflow: must be text or a whole number, and not empty"
    ]


def test_a_version_in_quotes_is_told_to_drop_them(problems_of, smallest):
    assert problems_of(f"{smallest}version: '1'\n") == ["tflock.yml:5: version: must be 1; write it without quotes"]


@pytest.mark.parametrize(("text", "reason"), [("states: {}", "must not be empty"), ("version: 1", "is required")])
def test_there_is_at_least_one_state(problems_of, text, reason):
    assert problems_of(text, need_slack=False) == [f"tflock.yml:1: states: {reason}"]


def test_an_empty_variable_counts_as_unset(problems_of, smallest):
    told = problems_of(smallest, {"SLACK_BOT_TOKEN": " ", "SLACK_SIGNING_SECRET": "s"})
    assert [problem.split(":")[0] for problem in told] == ["SLACK_BOT_TOKEN"]


def test_a_variable_of_another_ci_than_github_may_be_unset_and_spoils_only_its_own_answers(loaded, smallest):
    config = loaded(f"{smallest}ci: {{x: {{type: gitlab}}}}\n")
    assert config.ci["x"].token_env == "GITLAB_TOKEN"
    assert config.secrets["GITLAB_TOKEN"].get_secret_value() == ""


@pytest.mark.parametrize("environment", [{"LOG_LEVEL": "loud"}, {"LOG_FORMAT": "xml"}, {"SLACK_API_URL": "slack.com"}])
def test_wrong_variables_are_named(problems_of, smallest, environ, environment):
    (problem,) = problems_of(smallest, environ | environment)
    assert problem.startswith(f"{next(iter(environment))}: must be ")


@pytest.mark.parametrize("factor", ["0.5", "101", "much", "true"])
def test_a_factor_that_makes_no_sense_is_a_problem(problems_of, factor):
    told = problems_of(MANY_FAULTS.replace("policy:\n", f"watch: {{overdue_factor: {factor}}}\npolicy:\n"))

    assert any("watch.overdue_factor" in problem for problem in told)


def test_private_channels_as_a_whole_need_a_channel_for_announcements(problems_of, loaded, smallest):
    allowed = smallest.replace("slack: {", "slack: {private_incident_channels: true, ")
    assert allowed != smallest

    assert [problem.partition(": ")[2] for problem in problems_of(allowed)] == [
        "slack.private_incident_channels: needs slack.alerts_channel, where releases in private channels are announced"
    ]
    assert loaded(allowed.replace("slack: {", "slack: {alerts_channel: C0PLATFORM, ")).slack.private_incident_channels


RULE = "    auto_release: {after: 10m, veto: 5m}\n"


def test_a_protected_state_is_not_released_automatically(problems_of, loaded, smallest):
    [problem] = problems_of(f"{smallest}    protected: true\n{RULE}")
    assert "states.staging.auto_release: is not for a protected state" in problem
    assert loaded(f"{smallest}    protected: false\n{RULE}").state("staging").auto_release == AutoRelease(
        timedelta(minutes=10), timedelta(minutes=5)
    )
    assert loaded(f"{smallest}    protected: true\n    auto_release: null\n").state("staging").auto_release is None
    assert loaded(smallest).state("staging").auto_release is None


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{after: 10m}", "states.staging.auto_release.veto: is required"),
        ("{after: 10m, veto: 0s}", "states.staging.auto_release.veto: must be longer than zero"),
        ("{after: 0s, veto: 5m}", "states.staging.auto_release.after: must be longer than zero"),
        ("true", "states.staging.auto_release: must be a mapping of keys"),
    ],
)
def test_an_automatic_release_takes_both_times(problems_of, smallest, rule, problem):
    assert [told.partition(": ")[2] for told in problems_of(f"{smallest}    auto_release: {rule}\n")] == [problem]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("bucket", "s3://acme-tfstate", "without s3://, a path or an ARN"),
        ("bucket", "acme-tfstate/env", "must be a bucket's plain name"),
        ("bucket", "ab", "must be a bucket's plain name"),
        ("dynamodb_table", "acme locks", "must be a DynamoDB table's name"),
        ("dynamodb_table", "ab", "must be a DynamoDB table's name"),
        ("dynamodb_table", "arn:aws:s3:::acme", "must be a DynamoDB table's name"),
    ],
)
def test_names_that_no_bucket_and_no_table_has_are_problems(problems_of, key, value, reason):
    names = {"bucket": "acme-tfstate", "dynamodb_table": "acme-tf-locks"} | {key: value}
    backend = {"type": "s3", "key": "k", "region": "eu-west-1", **names}
    (told,) = problems_of(yaml.safe_dump({"version": 1, "states": {"staging": {"backend": backend}}}), need_slack=False)
    assert f"states.staging.backend.{key}: " in told
    assert reason in told


@pytest.mark.parametrize("table", ["acme_tf.locks-1", "arn:aws:dynamodb:eu-west-1:123456789012:table/acme-locks"])
def test_names_that_tables_have_are_taken(loaded, table):
    backend = {"type": "s3", "bucket": "acme-tfstate", "key": "k", "region": "eu-west-1", "dynamodb_table": table}
    config = loaded(yaml.safe_dump({"version": 1, "states": {"staging": {"backend": backend}}}), need_slack=False)
    assert config.states["staging"].backend.dynamodb_table == table
