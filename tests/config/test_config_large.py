"""Twenty thousand states: what a file costs grows with its length and no faster."""

from __future__ import annotations

import sys

STATE = """\
  svc-{0}:
    description: Service {0}
    backend: {{type: s3, bucket: acme-tfstate, key: "env/{0}.tfstate", dynamodb_table: locks, region: eu-west-1}}
    pipelines: [{{ci: github, repo: acme/infra-{0}, workflow: deploy.yml}}]
"""
HEAD = 'slack: {incident_channels: ["inc-*"]}\nci: {github: {type: github_actions}}\nstates:\n'


def steps_of(loaded, count):
    """How many functions of Python's are called: the same on any machine, however busy."""
    text = HEAD + "".join(map(STATE.format, range(count)))
    calls = 0

    def count_one(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count_one)
    try:
        config = loaded(text)
    finally:
        sys.setprofile(None)
    assert len(config.states) == count
    return calls


def test_twice_as_many_states_cost_twice_as_much(loaded):
    assert steps_of(loaded, 800) < 2.2 * steps_of(loaded, 400)


def test_twenty_thousand_states_are_loaded(loaded):
    config = loaded(HEAD + "".join(map(STATE.format, range(20_000))))

    assert len(config.states) == 20_000
    assert config.state("SVC-19999").backend.key == "env/19999.tfstate"
