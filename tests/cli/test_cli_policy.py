"""`tflock policy` prints the least rights of a configuration, and asks nobody for them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import hcl2
import pytest
import yaml
from typer.testing import CliRunner

from bot.__main__ import cli

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tflock.example.yml"
OTHER = {
    "states": {
        "one": {"backend": {"type": "azurerm", "storage_account": "acme", "container": "states", "key": "a"}},
        "two": {"backend": {"type": "gcs", "bucket": "acme-states", "prefix": "two"}},
    },
    "tickets": {"type": "jira", "project": "OPS", "base_url": "https://acme.example"},
}


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """What the command prints for a configuration, in an environment without any secret."""

    def printed(settings, form="json"):
        path = tmp_path / "tflock.yml"
        path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
        monkeypatch.setenv("TFLOCK_CONFIG", str(path))
        ended = CliRunner().invoke(cli, ["policy", "--format", form])
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.output) if form == "json" else ended.output

    return printed


def bucket_states(count, **more):
    return {
        "aws": {"region": "eu-west-1"},
        "states": {
            f"s{n}": {
                "backend": {"type": "s3", "bucket": "acme", "key": f"env/{n}/a.tfstate", "use_lockfile": True, **more}
            }
            for n in range(count)
        },
    }


def actions(policy):
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def resources(policy, action):
    return [one for part in policy["Statement"] if action in part["Action"] for one in part["Resource"]]


def test_the_document_has_every_account_of_the_configuration(printed):
    found = printed(EXAMPLE.read_text())

    assert list(found) == ["aws", "azure", "google", "systems", "slack", "notes"]
    assert {"s3:GetObject", "dynamodb:DeleteItem", "ecs:StopTask"} <= actions(found["aws"]["policy"])
    configured = yaml.safe_load(EXAMPLE.read_text())["ci"]
    assert {one["name"] for one in found["systems"]} >= {f"ci.{name}" for name in configured if name != "ecs"}
    assert any("kms:Decrypt" in note for note in found["notes"])
    assert not any("kms" in action for action in actions(found["aws"]["policy"]))


def test_azure_google_and_tickets_have_their_own_words(printed):
    found = printed(OTHER)

    (role,), (google,), (jira,) = found["azure"], found["google"], found["systems"]
    assert [one.rpartition("/")[2] for one in role["DataActions"]] == ["read", "write"]
    assert any(note.endswith("storageAccounts/acme/blobServices/default/containers/states") for note in found["notes"])
    assert (google["buckets"], "storage.objects.delete" in google["includedPermissions"]) == (["acme-states"], True)
    assert [right["right"] for right in jira["rights"]] == ["Browse projects", "Create issues"]
    assert found["aws"] == {"policy": None, "assumed": {}}


def test_nothing_may_write_a_state(printed):
    for settings in (bucket_states(1), bucket_states(40)):
        policy = printed(settings)["aws"]["policy"]
        for action in ("s3:PutObject", "s3:DeleteObject"):
            assert resources(policy, action)
            assert all(one.endswith(".tflock") for one in resources(policy, action))


def test_many_states_are_named_by_the_folder_that_they_share(printed):
    few, many = (printed(bucket_states(count))["aws"]["policy"] for count in (3, 40))

    assert resources(few, "s3:DeleteObject") == [f"arn:aws:s3:::acme/env/{n}/a.tfstate.tflock" for n in range(3)]
    assert resources(many, "s3:DeleteObject") == ["arn:aws:s3:::acme/env/*.tflock"]
    assert resources(many, "s3:GetObject") == ["arn:aws:s3:::acme/env/*"]


def test_a_role_that_is_assumed_has_its_own_policy_and_the_bot_may_assume_it(printed):
    role = "arn:aws:iam::123456789012:role/states"
    found = printed(bucket_states(1, assume_role=role, dynamodb_table="locks"))["aws"]

    assert actions(found["policy"]) == {"sts:AssumeRole"}
    assert resources(found["policy"], "sts:AssumeRole") == [role]
    assert "arn:aws:dynamodb:eu-west-1:123456789012:table/locks" in resources(
        found["assumed"][role], "dynamodb:GetItem"
    )


@pytest.mark.parametrize(("endpoint", "is_tried"), [("https://minio.acme.example", True), (None, False)])
def test_the_throw_away_lock_has_its_right_only_where_a_store_has_to_prove_itself(printed, endpoint, is_tried):
    policy = printed(bucket_states(1, **({"endpoint_url": endpoint} if endpoint else {})))["aws"]["policy"]

    assert any("-doctor-*" in one for one in resources(policy, "s3:PutObject")) is is_tried


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_other_partitions_have_their_own_names(printed, region):
    settings = bucket_states(1, region=region, dynamodb_table="locks")
    partition = {"c": "aws-cn", "u": "aws-us-gov"}[region[0]]

    policy = printed(settings)["aws"]["policy"]

    assert resources(policy, "dynamodb:GetItem") == [f"arn:{partition}:dynamodb:{region}:*:table/locks"]
    assert all(one.startswith(f"arn:{partition}:s3:::") for one in resources(policy, "s3:GetObject"))


@pytest.mark.parametrize("settings", [EXAMPLE.read_text(), OTHER, bucket_states(40)], ids=["example", "others", "many"])
def test_terraform_reads_what_is_printed_for_it_and_would_format_it_so(printed, settings, tmp_path, terraform):
    text = printed(settings, "terraform")

    kinds = [key.strip('"') for one in hcl2.loads(text)["resource"] for key in one]
    assert kinds
    (tmp_path / "policy.tf").write_text(text)
    said = subprocess.run(
        [shutil.which("terraform"), "fmt", "-check", "-diff", tmp_path / "policy.tf"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (said.returncode, said.stdout) == (0, "")


def test_tasks_of_ecs_are_narrowed_to_their_cluster(printed):
    policy = printed(EXAMPLE.read_text())["aws"]["policy"]

    (listing,) = [part for part in policy["Statement"] if "ecs:ListTasks" in part["Action"]]
    cluster = "arn:aws:ecs:eu-west-1:*:cluster/terraform"
    assert (listing["Action"], listing["Resource"]) == (["ecs:ListTasks"], ["*"])
    assert listing["Condition"] == {"ArnEquals": {"ecs:cluster": [cluster]}}
    assert resources(policy, "ecs:StopTask") == [cluster.replace(":cluster/", ":task/") + "/*"]


def test_the_logs_of_ecs_tasks_are_narrowed_to_the_groups_that_the_configuration_names(printed):
    settings = yaml.safe_load(EXAMPLE.read_text())
    (name,) = [name for name, section in settings["ci"].items() if section["type"] == "ecs"]
    settings["ci"][name].pop("log_groups", None)
    wide = printed(settings)
    settings["ci"][name]["log_groups"] = ["/ecs/terraform", "/ecs/live-*"]
    narrow = printed(settings)

    assert resources(wide["aws"]["policy"], "logs:GetLogEvents") == ["arn:aws:logs:eu-west-1:*:log-group:*"]
    assert any("log_groups" in note for note in wide["notes"])
    assert sorted(resources(narrow["aws"]["policy"], "logs:GetLogEvents")) == [
        "arn:aws:logs:eu-west-1:*:log-group:/ecs/live-*:*",
        "arn:aws:logs:eu-west-1:*:log-group:/ecs/terraform:*",
    ]
    assert not any("log_groups" in note for note in narrow["notes"])


SCOPE = re.compile(
    r"/subscriptions/[^/]+(/resourceGroups/[^/]+)?|/providers/Microsoft\.Management/managementGroups/[^/]+"
)
"""What `AssignableScopes` of a custom role are, by "Understand Azure role definitions"."""


def faults_of_a_role(role):
    """By the table of properties in "Azure custom roles": `azure-docs`, articles/role-based-access-control."""
    required = {"Name": str, "IsCustom": bool, "Description": str, "Actions": list, "AssignableScopes": list}
    optional = {"Id": str, "NotActions": list, "DataActions": list, "NotDataActions": list}
    yield from (f"lacks {key}" for key in required if key not in role)
    for key, value in role.items():
        if not isinstance(value, (required | optional).get(key, ())):
            yield f"{key} is not what it has to be"
    if role.get("IsCustom") is not True or len(role["Name"]) > 512 or len(role["Description"]) > 2048:
        yield "is no custom role, or has too long words"
    scopes = role["AssignableScopes"]
    if not 1 <= len(scopes) <= 2000 or not all(map(SCOPE.fullmatch, scopes)):
        yield "is not assignable"
    if any("managementGroups" in scope for scope in scopes) and role.get("DataActions"):
        yield "has data actions and a management group"
    for action in (*role["Actions"], *role.get("DataActions", ())):
        if not re.fullmatch(r"Microsoft\.\w+(/\w+)+/(read|write|delete|action)", action):
            yield f"{action} is no operation"


def test_the_role_for_azure_has_the_documented_form(printed):
    (role,) = printed(OTHER)["azure"]
    assert list(faults_of_a_role(role)) == []
    assert role["AssignableScopes"] == ["/subscriptions/SUBSCRIPTION/resourceGroups/GROUP"]
    for change in (
        {"AssignableScopes": [f"{role['AssignableScopes'][0]}/providers/Microsoft.Storage/storageAccounts/acme"]},
        {"AssignableScopes": ["/providers/Microsoft.Management/managementGroups/acme"]},
        {"DataActions": ["blobs/read"]},
        {"IsCustom": "true"},
        {"Permissions": []},
    ):
        assert list(faults_of_a_role(role | change))


def test_exports_may_be_put_below_their_prefix_only(printed):
    settings = bucket_states(1) | {"export": {"s3": {"bucket": "records", "prefix": "tflock/"}}}
    policy = printed(settings)["aws"]["policy"]

    into_records = [one for one in resources(policy, "s3:PutObject") if ":::records" in one]
    assert into_records == ["arn:aws:s3:::records/tflock/*"]


def test_a_policy_that_is_too_long_for_one_says_so(printed):
    settings = bucket_states(0)
    settings["states"] = {
        f"s{n}": {
            "backend": {"type": "s3", "bucket": f"acme-{n:03d}-tfstate", "key": "a.tfstate", "use_lockfile": True}
        }
        for n in range(60)
    }
    assert any("6144" in note for note in printed(settings)["notes"])
    assert not any("6144" in note for note in printed(bucket_states(60))["notes"])


def test_a_pattern_is_allowed_for_every_state_of_its_form(printed):
    backend = {"type": "s3", "bucket": "acme", "key": "live/{env}/{service}.tfstate", "use_lockfile": True}
    pipelines = [{"ci": "github", "repo": "acme/{service}", "workflow": "deploy.yml"}]
    settings = {
        "aws": {"region": "eu-west-1"},
        "ci": {"github": {"type": "github_actions"}},
        "states": {"{env}-{service}": {"discover": True, "backend": backend, "pipelines": pipelines}},
    }

    found = printed(settings)

    policy = found["aws"]["policy"]
    assert resources(policy, "s3:DeleteObject") == ["arn:aws:s3:::acme/live/*/*.tfstate.tflock"]
    assert "arn:aws:s3:::acme/live/*/*.tfstate" in resources(policy, "s3:GetObject")
    assert resources(policy, "s3:ListBucket") == ["arn:aws:s3:::acme"]
    assert found["systems"][0]["rights"][0]["on"] == ["acme/*"]


def test_the_text_says_what_each_right_is_for(printed):
    text = printed(EXAMPLE.read_text(), "text")

    assert "  to release\n    dynamodb:DeleteItem: the lock item, under a condition\n" in text
    assert "    actions: write: cancel a run, disable and enable a workflow\n      on acme/infra" in text
    assert "  chat:write: every answer" in text


def test_a_pattern_needs_the_rights_on_every_key_of_its_form(printed):
    pattern = {
        "discover": True,
        "backend": {"type": "s3", "bucket": "acme", "key": "services/{service}/{env}.tfstate", "use_lockfile": True},
    }
    policy = printed({"aws": {"region": "eu-west-1"}, "states": {"{env}-{service}": pattern}})["aws"]["policy"]

    assert "arn:aws:s3:::acme/services/*/*.tfstate" in resources(policy, "s3:GetObject")
    assert resources(policy, "s3:DeleteObject")[0] == "arn:aws:s3:::acme/services/*/*.tfstate.tflock"
    assert "arn:aws:s3:::acme" in resources(policy, "s3:ListBucket")
    assert "{" not in json.dumps(policy["Statement"][0]["Resource"])
