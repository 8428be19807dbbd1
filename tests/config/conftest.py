"""Configuration files of a test's own, and the environment beside them."""

from pathlib import Path

import pytest

from bot.config.load import load
from bot.errors import ConfigInvalid

SLACK = {"SLACK_BOT_TOKEN": "xoxb-secret-1", "SLACK_SIGNING_SECRET": "signing-secret-2"}
TOKENS = {"GITHUB_TOKEN": "ghp-secret-3"}

SMALLEST = """\
slack: {incident_channels: ["inc-*"]}
states:
  staging:
    backend: {type: s3, bucket: acme, key: a.tfstate, region: eu-west-1, use_lockfile: true}
"""


@pytest.fixture
def environ():
    return SLACK | TOKENS


@pytest.fixture
def smallest():
    return SMALLEST


@pytest.fixture
def example():
    return Path(__file__).parents[2] / "tflock.example.yml"


@pytest.fixture
def loaded(tmp_path, environ):
    """Loads a text as a file, with the usual environment or another one."""

    def loaded(text, env=None, **options):
        path = tmp_path / "tflock.yml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ if env is None else env, **options)

    return loaded


@pytest.fixture
def problems_of(loaded, tmp_path):
    """The problems of a text, without the directory of the file."""

    def problems_of(text, env=None, **options):
        with pytest.raises(ConfigInvalid) as caught:
            loaded(text, env, **options)
        return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return problems_of
