"""Entries for many states: which states they mean, and what is wrong with one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config.patterns import beginning, common, expression, filled, readings, variables

HEAD = """\
slack: {incident_channels: ["inc-*"]}
aws: {region: eu-west-1}
ci: {github: {type: github_actions}}
states:
"""
PATTERN = (
    HEAD
    + """\
  "{env}-{service}":
    discover: true
    protected: {env: [prod, "live-*"]}
    description: "{service} in {env}"
    auto_release: {after: 10m, veto: 5m}
    backend: {type: s3, bucket: acme-tfstate, key: "services/{service}/{env}.tfstate", dynamodb_table: locks}
    pipelines: [{ci: github, repo: acme/services, workflow: "deploy-{service}.yml"}]
"""
)


def entry(name, key, **more):
    settings = {"discover": "true", **more}
    return (
        f'  "{name}":\n    backend: {{type: s3, bucket: acme-tfstate, key: "{key}", use_lockfile: true}}\n'
        + "".join(f"    {name}: {value}\n" for name, value in settings.items() if value is not None)
    )


def test_a_pattern_makes_a_state_of_each_name_that_it_means(loaded):
    config = loaded(PATTERN)
    (pattern,) = config.patterns
    state = pattern.state("services/billing/staging.tfstate")

    assert not config.states
    assert (state.name, state.description, state.protected) == ("staging-billing", "billing in staging", False)
    assert state.backend.lock_path == "acme-tfstate/services/billing/staging.tfstate"
    assert (state.backend.region, state.backend.dynamodb_table) == ("eu-west-1", "locks")
    assert state.auto_release is not None
    assert [pipeline.get("workflow") for pipeline in state.pipelines] == ["deploy-billing.yml"]


@pytest.mark.parametrize(
    ("workflow", "of_a_state", "of_all"),
    [
        ("deploy-{service}.yml", ["deploy-billing.yml"], []),
        ("deploy.yml", ["deploy.yml"], ["deploy.yml"]),
        ("{env}-{service}.yml", [], []),
    ],
)
def test_a_pipeline_that_lacks_a_variable_works_on_other_states_too_whichever_are_found(
    loaded, workflow, of_a_state, of_all
):
    (pattern,) = loaded(PATTERN.replace("deploy-{service}.yml", workflow)).patterns
    state = pattern.state("services/billing/staging.tfstate")

    assert [each.get("workflow") for each in state.shared] == of_a_state
    assert [each.get("workflow") for each in pattern.shared] == of_all


@pytest.mark.parametrize("env", ["prod", "live-eu"])
def test_a_state_with_a_value_that_is_protected_is_protected_and_never_released_without_being_asked(loaded, env):
    (pattern,) = loaded(PATTERN).patterns
    state = pattern.state(f"services/billing/{env}.tfstate")
    assert (state.protected, state.auto_release) == (True, None)


@pytest.mark.parametrize(
    "key",
    [
        "services/billing/eu/prod.tfstate",
        "services//prod.tfstate",
        "services/billing/.tfstate",
        "other/billing/prod.tfstate",
        "services/billing/prod.tfstate.backup",
    ],
)
def test_other_keys_are_no_states_of_it(loaded, key):
    (pattern,) = loaded(PATTERN).patterns
    assert pattern.state(key) is None


BESIDE = HEAD + entry("{env}-{app}", "live/{env}-{app}.tfstate", protected="{env: prod}")


def test_a_key_that_can_be_read_in_two_ways_is_no_state_so_that_none_loses_its_protection(loaded):
    """`prod-pay-api` would be of the environment `prod-pay`, which nobody protects."""
    (pattern,) = loaded(BESIDE).patterns

    assert pattern.state("live/prod-pay-api.tfstate") is None
    assert pattern.unclear("live/prod-pay-api.tfstate") == "env=prod-pay, app=api or env=prod, app=pay-api"
    state = pattern.state("live/prod-api.tfstate")
    assert (state.name, state.protected, pattern.unclear("live/prod-api.tfstate")) == ("prod-api", True, "")


def test_a_key_that_can_be_read_in_two_ways_may_have_an_entry_of_its_own(loaded, problems_of):
    own = entry("prod-pay-api", "live/prod-pay-api.tfstate", discover=None, protected="true")
    assert loaded(BESIDE + own).states["prod-pay-api"].protected
    assert problems_of(BESIDE + entry("prod-api", "live/prod-api.tfstate", discover=None))


def test_the_path_of_a_lock_says_which_state_would_have_it(loaded):
    (pattern,) = loaded(PATTERN).patterns
    assert pattern.by_path("acme-tfstate/services/billing/staging.tfstate").name == "staging-billing"
    assert pattern.by_path("acme-other/services/billing/staging.tfstate") is None
    (beside,) = loaded(BESIDE).patterns
    assert beside.by_path("acme-tfstate/live/prod-pay-api.tfstate") is None


def test_a_workspace_may_be_a_variable(loaded):
    text = HEAD + (
        '  "app-{stage}":\n    discover: true\n    backend: {type: s3, bucket: acme-tfstate, key: app.tfstate, '
        'workspace: "{stage}", use_lockfile: true}\n'
    )
    (pattern,) = loaded(text).patterns
    state = pattern.state("env:/blue/app.tfstate")
    assert (state.name, state.backend.workspace, pattern.state("app.tfstate")) == ("app-blue", "blue", None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (entry("{env}", "{env}.tfstate", discover=None), "must be true for a name with {variables}"),
        (entry("plain", "plain.tfstate"), "is for a name with {variables}, one for each in the key"),
        (entry("{env}", "{service}/{env}.tfstate"), "lacks {service}, which the key has"),
        (entry("{env}-{who}", "{env}.tfstate"), "uses {who}, which the backend's key does not have"),
        (entry("{env}", "{env}.tfstate", protected="{who: x}"), "uses {who}, which the backend's key does not have"),
        (entry("{env}", "{env}.tfstate", protected="{env: 1}"), "must be true, false, or the values of variables"),
        (entry("{env}", "{env}.tfstate", protected="'yes'"), "must be true or false"),
        (entry("a", "a.tfstate", discover=None, protected="{a: b}"), "must be true or false: only a name"),
        (entry("{Env}", "{Env}.tfstate"), "a state's name begins with a letter or digit"),
    ],
)
def test_an_entry_that_cannot_be_a_pattern_is_a_problem(problems_of, text, problem):
    assert any(problem in found for found in problems_of(HEAD + text))


def test_a_pattern_and_a_fixed_state_that_are_one_are_a_problem(problems_of):
    text = HEAD + entry("{env}", "envs/{env}.tfstate") + entry("staging", "envs/staging.tfstate", discover=None)
    assert problems_of(text) == [
        "tflock.yml:8: states.staging: is found by {env}, too: remove one of the two, or narrow the pattern"
    ]


def test_two_patterns_for_one_key_are_a_problem_with_the_key(problems_of):
    text = HEAD + entry("{env}", "a/{env}.tfstate") + entry("{folder}-prod", "{folder}/prod.tfstate")
    (problem,) = problems_of(text)
    assert problem.startswith(
        "tflock.yml:8: states.{folder}-prod: can mean the same state as {env} (a/prod.tfstate, say)"
    )


@pytest.mark.parametrize(
    "other",
    [
        entry("staging", "other/staging.tfstate", discover=None),
        entry("{env}-db", "db/{env}.tfstate"),
        entry("{env}-db", "envs/{env}.tfstate").replace("acme-tfstate", "acme-other"),
    ],
)
def test_a_pattern_and_another_place_are_no_problem(loaded, other):
    assert loaded(HEAD + entry("{env}", "envs/{env}.tfstate") + other).patterns


TEXTS = st.lists(st.sampled_from(["a", "b", "/", ".", "{x}", "{y}"]), min_size=1, max_size=6).map("".join)


@given(TEXTS, TEXTS)
def test_a_key_that_two_patterns_are_said_to_have_in_common_is_one_of_each(one, other):
    shared = common(one, other)
    if shared is not None:
        # a variable that occurs twice may differ there: only the comparison of two patterns allows that
        assert loosely(one).fullmatch(shared)
        assert loosely(other).fullmatch(shared)


@given(TEXTS, TEXTS)
def test_what_two_patterns_have_in_common_is_not_overlooked(one, other):
    """Every short text is tried."""
    is_shared = any(
        loosely(one).fullmatch(text) and loosely(other).fullmatch(text)
        for length in range(1, 6)
        for text in map("".join, itertools.product("ab/.", repeat=length))
    )
    assert not is_shared or common(one, other) is not None


def loosely(pattern):
    """The pattern with each variable of its own, as a regular expression."""
    parts, count = pattern, 0
    for name in ("{x}", "{y}"):
        while name in parts:
            parts, count = parts.replace(name, f"{{v{count}}}", 1), count + 1
    return expression(parts)


@given(st.dictionaries(st.sampled_from("xy"), st.text("ab-", min_size=1, max_size=4), min_size=2, max_size=2))
def test_a_name_that_was_filled_gives_its_values_back(values):
    text = "services/{x}/{y}.tfstate"
    assert expression(text).fullmatch(filled(text, values)).groupdict() == values


@given(st.sampled_from(["{x}-{y}", "{x}-{y}-{x}", "a{x}{y}", "{x}.{y}/{x}"]), st.text("a-./", max_size=7))
def test_a_name_has_as_many_readings_as_there_are_up_to_two(text, name):
    """All ways to cut it are tried."""
    texts = [name[a:b] for a in range(len(name)) for b in range(a + 1, len(name) + 1)]
    values = ({"x": x, "y": y} for x, y in itertools.product(set(texts), repeat=2) if "/" not in x + y)
    ways = [each for each in values if filled(text, each) == name]
    assert len(readings(text, name)) == min(len(ways), 2)
    assert all(each in ways for each in readings(text, name))


def test_the_beginning_is_what_all_names_have_in_common():
    assert beginning("services/{service}/{env}.tfstate") == "services/"
    assert variables("a/{x}/{y}/{x}") == ("x", "y")


TOKEN = {"TFE_TOKEN": "x"}
HCP = "slack: {incident_channels: ['inc-*']}\nci: {hcp: {type: hcp}}\nstates:\n"


def workspaces(name, workspace, **more):
    keys = "".join(f", {key}: {value}" for key, value in more.items() if key != "discover")
    entry = f'  "{name}":\n    backend: {{type: hcp, organization: acme, workspace: "{workspace}"{keys}}}\n'
    return entry + ("    discover: true\n" if "{" in name else "")


def test_patterns_for_two_projects_of_one_organization_are_apart(loaded):
    text = HCP + workspaces("{ws}", "{ws}", project="Shop") + workspaces("net-{ws}", "{ws}", project="Platform")
    assert len(loaded(text + workspaces("main", "main", project="Other"), TOKEN, need_slack=False).patterns) == 2


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (workspaces("b-{ws}", "{ws}"), "b-{ws}: can mean the same state as {ws}"),
        (workspaces("b-{ws}", "{ws}-x", project="shop"), "b-{ws}: can mean the same state as {ws}"),
        (workspaces("b-{ws}", "{ws}", tags="[app]"), "b-{ws}: can mean the same state as {ws}"),
        (workspaces("b-{ws}", "{ws}", project="Shop"), "is the same state object as that of {ws}"),
        (workspaces("main", "MAIN"), "main: is found by {ws}, too"),
        (workspaces("main", "main", project="Shop"), "main: is found by {ws}, too"),
        (workspaces("main", "main", tags="[app]", project="x"), "tags: chooses among the workspaces of a pattern"),
        (workspaces("b-{ws}", "{ws}", project="'{ws}'"), "has {ws} in what is listed"),
        (workspaces("b-{ws}", "{ws}", tags="['a,b']", project="x"), "must be a tag's name"),
    ],
)
def test_a_pattern_for_workspaces_that_may_be_anothers_is_a_problem(problems_of, other, problem):
    found = problems_of(HCP + workspaces("{ws}", "{ws}", project="Shop") + other, TOKEN, need_slack=False)
    assert any(problem in each for each in found), found


def test_states_of_gitlab_are_apart_by_project_and_name(loaded, problems_of):
    def states(name, project, state):
        discover = "    discover: true\n" if "{" in name else ""
        return f'  "{name}":\n{discover}    backend: {{type: gitlab, project: {project}, state: "{state}"}}\n'

    head = HCP.replace("ci: {hcp: {type: hcp}}", "ci: {}")
    env = {"GITLAB_TOKEN": "x"}
    first = states("{env}", "acme/network", "{env}")
    assert len(loaded(head + first + states("db-{env}", "acme/db", "{env}"), env, need_slack=False).patterns) == 2
    for other in (states("b-{env}", "Acme/Network", "live-{env}"), states("live", "acme/network", "live")):
        assert problems_of(head + first + other, env, need_slack=False)


def test_a_pattern_for_the_http_protocol_is_refused_as_it_has_no_list(problems_of):
    (problem,) = problems_of(
        HCP.replace("ci: {hcp: {type: hcp}}", "ci: {}")
        + '  "{env}":\n    discover: true\n    backend: {type: http, address: "https://tf.example.com/{env}"}\n'
    )
    assert problem.endswith(
        "states.{env}.discover: is not possible with the backend http: tflock cannot list its states"
    )


@pytest.mark.parametrize(
    ("ci", "mapped", "pipelines"),
    [
        ("{}", "[]", [("hcp", "acme", "Network")]),
        ("{tfe: {type: hcp}}", "[]", [("tfe", "acme", "Network")]),
        ("{tfe: {type: hcp}}", "[{ci: tfe, organization: ACME, workspace: network}]", [("tfe", "ACME", "network")]),
        (
            "{tfe: {type: hcp}}",
            "[{ci: tfe, organization: acme, workspace: other}]",
            [("tfe", "acme", "other"), ("tfe", "acme", "Network")],
        ),
        ("{hcp: {type: hcp, base_url: 'https://tfe.example.com'}}", "[]", [("hcp2", "acme", "Network")]),
    ],
)
def test_the_runs_of_a_workspace_are_known_without_being_named(loaded, ci, mapped, pipelines):
    head = HCP.replace("{hcp: {type: hcp}}", ci)
    config = loaded(head + workspaces("network", "Network") + f"    pipelines: {mapped}\n", TOKEN, need_slack=False)
    own = config.states["network"].pipelines[-1].ci

    found = [(each.ci, *(value for _, value in each.fields)) for each in config.states["network"].pipelines]
    assert found == pipelines
    assert (config.ci[own].base_url, config.ci[own].token_env) == ("https://app.terraform.io", "TFE_TOKEN")


def test_so_are_those_of_a_patterns_workspaces(loaded):
    config = loaded(HCP.replace("{hcp: {type: hcp}}", "{}") + workspaces("{ws}", "app-{ws}"), TOKEN, need_slack=False)
    (own,) = config.patterns[0].state("app-blue").pipelines
    assert dict(own.fields) == {"organization": "acme", "workspace": "app-blue"}
