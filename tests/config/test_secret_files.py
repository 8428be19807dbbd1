"""A secret may be in a file: `NAME_FILE` names it."""

import pytest

from bot.config.models import DEFAULT_VARIABLES
from bot.config.secret_files import OWN, SecretFile
from bot.config.secret_text import SecretUnreadable, secret_in

ALL = """\
slack: {incident_channels: ["inc-*"]}
ci:
  github: {type: github_actions}
  gitlab: {type: gitlab, token_env: OUR_GITLAB}
  jenkins: {type: jenkins, base_url: "https://jenkins.acme.example"}
tickets: {type: jira, project: OPS, base_url: "https://acme.example"}
states:
  one:
    backend: {type: azurerm, storage_account: acme, container: states, key: a, sas_token_env: OUR_SAS}
"""
NAMED = ("GITHUB_TOKEN", "OUR_GITLAB", "JENKINS_USER", "JENKINS_TOKEN", "JIRA_USER", "JIRA_TOKEN", "OUR_SAS")


@pytest.fixture
def in_files(tmp_path):
    """Writes secrets into files; gives the environment that names them."""

    def in_files(**secrets):
        for name, value in secrets.items():
            (tmp_path / name).write_text(value)
        return {f"{name}_FILE": str(tmp_path / name) for name in secrets}

    return in_files


def revealed(config):
    slack = config.slack
    own = (slack.bot_token, slack.signing_secret, slack.app_token, config.redis_url, config.claim_token)
    return {
        **{name: secret.get_secret_value() for name, secret in zip(OWN, own, strict=True)},
        **{name: secret.get_secret_value() for name, secret in config.secrets.items()},
    }


def test_every_secret_may_be_in_a_file_as_well_as_in_its_variable(loaded, in_files):
    values = {name: f"secret-of-{name}" for name in (*OWN, *NAMED)} | {"REDIS_URL": "redis://:secret@h/0"}

    from_files = loaded(ALL, in_files(**{name: f"{value}\n" for name, value in values.items()}))

    assert revealed(from_files) == revealed(loaded(ALL, values)) == values
    assert {secret.variable for secret in from_files.secret_files} == set(values)
    assert not loaded(ALL, values).secret_files
    assert all(value not in f"{from_files!r}" for value in values.values())


def test_a_variable_and_its_file_at_once_are_a_problem_that_shows_neither(problems_of, environ, smallest, in_files):
    (problem,) = problems_of(smallest, environ | in_files(SLACK_BOT_TOKEN="xoxb-other"))

    assert problem == "SLACK_BOT_TOKEN_FILE: is set, and SLACK_BOT_TOKEN is set, too: leave only one of them"


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "REDIS_URL", "GITHUB_TOKEN"])
def test_a_file_that_is_not_there_is_the_only_problem_of_its_variable(problems_of, environ, name, tmp_path):
    text = (
        ALL.partition("  gitlab")[0]
        + "states"
        + ALL.partition("tickets")[2].partition("states")[2].replace(", sas_token_env: OUR_SAS", "")
    )
    given = {key: value for key, value in environ.items() if key != name}

    (problem,) = problems_of(text, given | {f"{name}_FILE": f"{tmp_path}/none"})

    assert problem == f"{name}_FILE: none cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\0" * 32, "has NUL bytes"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_file_that_has_no_secret_is_refused_without_its_content(tmp_path, content, why):
    (tmp_path / "secret").write_bytes(content)

    with pytest.raises(SecretUnreadable, match=why) as raised:
        secret_in(tmp_path / "secret")
    assert "xx" not in str(raised.value)


def test_commands_that_need_no_token_read_no_file_of_one(loaded, smallest, environ, tmp_path):
    given = environ | {"JENKINS_TOKEN_FILE": f"{tmp_path}/none"}

    assert loaded(smallest, given, need_tokens=False).states


def test_a_file_of_something_that_is_no_secret_of_ours_is_left_alone(loaded, smallest, environ):
    assert loaded(smallest, environ | {"SSL_CERT_FILE": "/none", "AWS_WEB_IDENTITY_TOKEN_FILE": "/none"}).states


def test_a_file_that_is_read_again_gives_what_it_has_then_and_keeps_it_when_it_is_gone(tmp_path):
    path = tmp_path / "secret"
    path.write_text("first")
    secret = SecretFile("SLACK_BOT_TOKEN", path)
    assert secret.read_again() is False

    path.write_text("second\n")
    assert secret.read_again() is True
    path.unlink()
    with pytest.raises(SecretUnreadable):
        secret.read_again()

    assert secret.get_secret_value() == "second"
    assert "second" not in f"{secret!r} {secret}"


def test_the_variables_that_sections_mean_without_naming_them_are_known():
    assert {"GITHUB_TOKEN", "GITLAB_TOKEN", "AZURE_DEVOPS_TOKEN", "JENKINS_USER", "JIRA_TOKEN"} < DEFAULT_VARIABLES
